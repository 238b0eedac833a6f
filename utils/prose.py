"""Docstrings to prose: reads a library's source with `ast` and keeps the sentences that people wrote.

Nothing is imported or run. Not for choosing libraries or caching the result (`documentation`).
"""

import ast
import inspect
import re
import sysconfig
import warnings
from collections import deque
from collections.abc import Iterator
from pathlib import Path

STANDARD_LIBRARY = "python"  # stands for the standard library among the names of packages
SKIPPED_FOLDERS = {"site-packages", "test", "tests", "testing", "_vendor", "vendor", "idlelib", "__pycache__"}
Document = list[str]

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
BLOCKS = ("body", "cases", "handlers", "orelse", "finalbody")  # fields of statements that hold statements

NOT_PROSE = re.compile(
    r"^\s*(>>>|\.\.\.( |$)|\.\. |\||\+[-=+]+\+|[-=~^*#]{3,}\s*$|[-=~^ ]{6,}$|!\[|<|@|:\w+:)"
)
UNDERLINE = re.compile(r"^\s*([-=~^*])\1{2,}\s*$")
FENCE = re.compile(r"^\s*(```|~~~)")
ITEM = re.compile(r"^(?:[-*+•]|#\.|\d{1,2}[.)]|\(\w\))\s+")  # the mark of a list item
ARGUMENT = re.compile(r"^[\w*`., ]{1,60}\s*(?:\([^)]*(?:\([^)]*\)[^)]*)*\))?:\s+(?=\S)")  # "x (`int`): …"
TYPED = re.compile(r"^[\w*`, ]{1,60}(?: : \S|\s*\(.*\):$)")  # numpy's "x : array_like", or "x (`int`):" alone
ROLE = re.compile(r":[\w:+-]+:`[~!]?([^`<]*?)(?:\s*<[^`>]*>)?`")
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)|`([^`<]+?)\s*<[^`>]*>`_{0,2}|\[`?([^\]`]*)`?\](?:_|\[[^\]]*\])?")
MARKUP = re.compile(r"`{1,2}|\*{1,3}|(?<=\w)_{1,2}(?=[\s.,;:)]|$)|\|")
ADDRESS = re.compile(r"https?://\S+|www\.\S+")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])")
ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|al|resp|Fig|Eq|Ref|No|approx|Dr|Mr|Mrs|St)|\b[A-Z])\.$"
)
WORD = re.compile(r"[A-Za-z][a-z]*(?:['-][A-Za-z]+)*[.,;:!?)\"']*$")


class CorpusError(ValueError):
    """A corpus cannot be read; the message is one line that names the file, the row and the remedy."""


def source_files(package: str) -> list[Path]:
    """Return the Python files of an installed package, or of the standard library, without tests.

    Raises:
        CorpusError: no such package is installed.
    """
    paths = sysconfig.get_paths()
    if package == STANDARD_LIBRARY:
        root = Path(paths["stdlib"])
    else:
        root = next(
            (
                Path(paths[key]) / package
                for key in ("purelib", "platlib")
                if (Path(paths[key]) / package).is_dir()
            ),
            None,
        )
        if root is None:
            raise CorpusError(f"no package {package!r} is installed: choose libraries that are.")
    files = root.rglob("*.py")
    return sorted(path for path in files if not SKIPPED_FOLDERS & set(path.relative_to(root).parts[:-1]))


def file_documents(path: Path) -> list[list[str]]:
    """Return the documents of one source file: for each docstring its sentences, empty ones left out.

    A file that is not Python of this version is passed over, as it is no text of ours to mend.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old escapes such as "\d" in other people's code
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):
        return []
    found = (docstring_sentences(text) for text in docstrings(tree))
    return [sentences for sentences in found if sentences]


def documents_by_file(paths: list[Path]) -> list[list[Document]]:
    """Return the documents of each file: work for another process, which then loads this light module only."""
    return [file_documents(path) for path in paths]


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Yield the docstrings of a module, its classes and its functions, the outer before the inner.

    Only statements are visited: `ast.walk` spends nearly all of its time in expressions.
    """
    todo: deque[ast.AST] = deque([tree])
    while todo:
        node = todo.popleft()
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
            yield text
        for block in BLOCKS:
            todo.extend(getattr(node, block, ()))


def docstring_sentences(docstring: str) -> list[str]:
    """Return the sentences of a docstring without code, tables, headings, argument names and markup."""
    sentences = []
    for paragraph in paragraphs(inspect.cleandoc(docstring)):
        sentences += [s for s in split_sentences(plain(paragraph)) if is_prose(s)]
    return sentences


def paragraphs(text: str) -> Iterator[str]:
    """Join the lines of each paragraph; code blocks, examples, tables and headings end a paragraph."""
    gathered, indent, code_indent, fenced = [], 0, None, False
    lines = text.splitlines()
    for number, line in enumerate([*lines, ""]):
        stripped = line.strip()
        here = len(line) - len(line.lstrip())
        if FENCE.match(line):
            fenced, stripped = not fenced, ""
        elif fenced:
            continue
        if code_indent is not None and stripped and here <= code_indent:
            code_indent = None
        underlined = number + 1 < len(lines) and UNDERLINE.match(lines[number + 1])
        no_prose = NOT_PROSE.match(line)
        if not stripped or code_indent is not None or underlined or no_prose or TYPED.match(stripped):
            if gathered:
                yield " ".join(gathered)
            gathered = []
            if no_prose and stripped.startswith(".. ") and not stripped.startswith(".. note"):
                code_indent = here
            continue
        new_item = bool(ITEM.match(stripped) or ARGUMENT.match(stripped))
        if gathered and (here != indent or new_item):
            yield " ".join(gathered)
            gathered = []
        stripped = ITEM.sub("", stripped)
        gathered.append(ARGUMENT.sub("", stripped) if not gathered else stripped)
        indent = here if not new_item else here + 4
        if stripped.endswith("::"):
            code_indent = here
            gathered[-1] = stripped[:-1]


def plain(text: str) -> str:
    """Remove the markup of reStructuredText and Markdown, and addresses; keep the words."""
    text = ROLE.sub(lambda match: match[1].rsplit(".", 1)[-1], text)
    text = LINK.sub(lambda match: next((group for group in match.groups() if group), ""), text)
    return re.sub(r"\s+", " ", MARKUP.sub("", ADDRESS.sub("", text))).strip()


def split_sentences(text: str) -> list[str]:
    """Split at full stops, question and exclamation marks before a capital; abbreviations stay whole."""
    sentences, start = [], 0
    for match in SENTENCE_END.finditer(text):
        if ABBREVIATION.search(text[start : match.start()]):
            continue
        sentences.append(text[start : match.start()].strip())
        start = match.end()
    rest = text[start:].strip()
    return [sentence for sentence in (*sentences, rest) if sentence]


def is_prose(sentence: str) -> bool:
    """True for 4 to 80 words, ended like a sentence, of which at least 7 in 10 are plain words."""
    words = sentence.split()
    if not 4 <= len(words) <= 80 or sentence[-1] not in ".!?:)\"'":
        return False
    return sum(bool(WORD.fullmatch(word.lstrip("(\"'"))) for word in words) >= 0.7 * len(words)
