"""The documentation on this machine as a corpus: prose of the docstrings of installed libraries, cached.

Not for cleaning one docstring (`prose`) or for other corpora (`corpus`).
"""

import functools
import gc
import hashlib
import importlib.metadata
import json
import multiprocessing
import platform
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import datasets
import pyarrow as pa
from tqdm.auto import tqdm

from utils.profile import cache_folder
from utils.prose import STANDARD_LIBRARY, CorpusError, Document, documents_by_file, source_files

LIBRARIES = (
    STANDARD_LIBRARY,
    *("numpy", "scipy", "pandas", "sklearn", "sympy", "networkx", "matplotlib", "seaborn"),
    *("torch", "transformers", "datasets", "tokenizers", "accelerate", "huggingface_hub"),
    *(
        "IPython",
        "fontTools",
        "mpmath",
        "PIL",
        "pyarrow",
        "rich",
        "tornado",
        "pydantic",
        "hypothesis",
        "joblib",
    ),
    *(
        "fsspec",
        "jupyterlab",
        "jupyter_server",
        "jupyter_client",
        "nbformat",
        "nbconvert",
        "traitlets",
        "ipykernel",
    ),
    *(
        "ipywidgets",
        "jinja2",
        "psutil",
        "httpx",
        "requests",
        "setuptools",
        "pip",
        "prompt_toolkit",
        "pygments",
    ),
    *("aiohttp", "anyio", "dateutil", "narwhals", "jsonschema", "packaging", "tqdm", "zmq", "bs4", "yaml"),
)
SCHEMA = pa.schema({"library": pa.string(), "sentences": pa.list_(pa.string())})
CLEANING = 1  # raise it when the cleaning changes, so that old caches are left alone
NAMES = re.compile(r"\S*[\d_]\S*|\S*[a-z][A-Z]\S*")  # numbers and identifiers: what near-copies differ in


def docs(libraries: Iterable[str] = LIBRARIES, progress: bool = True) -> datasets.Dataset:
    """Return the prose of the docstrings of installed libraries, one row a docstring, from an Arrow file.

    Columns: `library`, and `sentences` (a list). A sentence that an earlier docstring has too, up to
    numbers and identifiers, is left out, and the docstring is parted there, so that neighbours in a
    row were neighbours in the docstring. Built once for a set of library versions;
    a library that is not installed is passed over.

    Raises:
        CorpusError: none of the libraries is installed.
    """
    versions = _versions(libraries)
    if not versions:
        raise CorpusError(f"none of {', '.join(libraries)} is installed: run make setup, or name others.")
    path = cache_folder() / f"docs-{docs_key(libraries)}.arrow"
    if not path.exists():
        _build_docs(path, list(versions), progress)
    return datasets.Dataset.from_file(str(path))


def docs_libraries(corpus: str) -> tuple[str, ...]:
    """Return the libraries that "docs:numpy,scipy" names; all of them for "docs"."""
    named = corpus.partition(":")[2]
    return tuple(named.split(",")) if named else LIBRARIES


def docs_key(libraries: Iterable[str] = LIBRARIES) -> str:
    """Return what names the documentation of these libraries in their installed versions."""
    return hashlib.sha256(json.dumps([CLEANING, _versions(libraries)]).encode()).hexdigest()[:16]


def _build_docs(path: Path, libraries: list[str], progress: bool) -> None:
    files = [(library, file) for library in libraries for file in source_files(library)]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{multiprocessing.current_process().pid}.part")
    seen: set[int] = set()
    bar = tqdm(total=len(files), desc="Reading documentation", unit=" files", disable=not progress)
    try:
        with pa.OSFile(str(unfinished), "wb") as sink, pa.ipc.new_stream(sink, SCHEMA) as writer:
            for start, found in _read_in_order(files):
                bar.update(len(found))
                rows = [
                    {"library": files[start + i][0], "sentences": run}
                    for i, of_file in enumerate(found)
                    for document in of_file
                    for run in new_runs(document, seen)
                ]
                writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
        bar.close()


def _read_in_order(
    files: list[tuple[str, Path]], size: int = 50
) -> Iterator[tuple[int, list[list[Document]]]]:
    """Yield (number of the first file, documents by file) for `size` files at a time, on two processes."""
    starts = range(0, len(files), size)
    chunks = [[path for _, path in files[start : start + size]] for start in starts]
    # A fresh interpreter, not a fork: a fork of a process with torch's threads can hang. Without the search
    # for cycles, of which a syntax tree has none and which takes half of the time.
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), initializer=gc.disable) as pool:
        yield from zip(starts, pool.map(documents_by_file, chunks), strict=True)


def new_runs(document: Document, seen: set[int]) -> list[Document]:
    """Return the unbroken runs of sentences that `seen` has not, and add the document's sentences to it.

    Runs of at least two sentences, or the first of one where there is no longer one.
    """
    runs: list[Document] = [[]]
    for sentence in document:
        key = hash_of(sentence)
        if key in seen:
            runs.append([])
        else:
            runs[-1].append(sentence)
        seen.add(key)
    longer = [run for run in runs if len(run) > 1]
    return longer or [run for run in runs if run][:1]


def hash_of(sentence: str) -> int:
    """Return 64 bits that are equal for sentences that differ in case, numbers and identifiers only."""
    plain = " ".join(NAMES.sub("_", sentence).lower().split())
    return int.from_bytes(hashlib.blake2b(plain.encode(), digest_size=8).digest())


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())  # takes seconds: it reads every package's list


def _versions(libraries: Iterable[str]) -> dict[str, str]:
    """Return the versions of those libraries that are installed."""
    distributions = _distributions()
    versions = {
        name: importlib.metadata.version(distributions[name][0])
        for name in libraries
        if name in distributions
    }
    if STANDARD_LIBRARY in libraries:
        versions = {STANDARD_LIBRARY: platform.python_version()} | versions
    return versions
