"""Entities in text: spans of characters, tags of words (BIO), labels of word pieces, scores, a baseline.

Each step has its way back: spans to tags to labels, and logits to tags to spans. Not for training
(`finetuning`), and not for reading files (`data`, `conll`).
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

Span = dict  # {"start": first character, "end": one past the last, "type": text}
Word = tuple[int, int]  # first character, one past the last
WORD = re.compile(r"\w+|[^\w\s]")
IGNORED = -100  # the label that torch's cross-entropy leaves out

# ------------------------------------------------------------------------------ spans and tags of words


def to_bio(text: str, spans: Iterable[Span]) -> tuple[list[Word], list[str]]:
    """Return the words of `text` as (start, end) in characters, and a tag for each: B-type, I-type or O.

    A word is a run of letters and digits, or one other character that is not white space. B opens
    an entity, I goes on with it (Ramshaw and Marcus, 1995; in the form called IOB2).

    Raises:
        ValueError: a span that begins or ends inside a word, or two spans that share a word.
    """
    words = [match.span() for match in WORD.finditer(text)]
    tags = ["O"] * len(words)
    starts, ends = ({word[side]: i for i, word in enumerate(words)} for side in (0, 1))
    for span in spans:
        start, end = span["start"], span["end"]
        if start not in starts or end not in ends or start >= end:
            raise ValueError(f"{text[start:end]!r} begins or ends inside a word of {text!r}, or is empty.")
        first, last = starts[start], ends[end]
        if any(tag != "O" for tag in tags[first : last + 1]):
            raise ValueError(f"two entities share a word at {text[start:end]!r} in {text!r}.")
        tags[first] = f"B-{span['type']}"
        tags[first + 1 : last + 1] = [f"I-{span['type']}"] * (last - first)
    return words, tags


def from_bio(words: Sequence[Word], tags: Sequence[str]) -> list[Span]:
    """Return the spans that the tags of `words` say, read as `repair` reads them: the inverse of `to_bio`."""
    spans: list[Span] = []
    for (start, end), tag in zip(words, repair(tags)[0], strict=True):
        if tag.startswith("B-"):
            spans.append({"start": start, "end": end, "type": tag[2:]})
        elif tag.startswith("I-"):
            spans[-1]["end"] = end
    return spans


def repair(tags: Sequence[str]) -> tuple[list[str], int]:
    """Turn each I that follows no B or I of its own type into a B, as conlleval does, and count them.

    The older form IOB1, where B stands only between neighbours (Ramshaw and Marcus, 1995), comes out
    as IOB2. A tag that is not O, B-type or I-type raises ValueError.
    """
    kinds = ["", *map(entity_type, tags)]
    repaired = [
        f"B-{kind}" if tag.startswith("I-") and kind != before else tag
        for tag, before, kind in zip(tags, kinds[:-1], kinds[1:], strict=True)
    ]
    return repaired, sum(new != old for new, old in zip(repaired, tags, strict=True))


def entity_type(tag: str) -> str:
    """Return the type that a tag names, "" for O; a tag that is not BIO raises ValueError."""
    if tag == "O":
        return ""
    if not isinstance(tag, str) or tag[:2] not in ("B-", "I-") or not tag[2:].strip():
        raise ValueError(f"{tag!r} is not a BIO tag: write O, B-type or I-type.")
    return tag[2:]


def tag_spans(tags: Sequence[str]) -> list[Span]:
    """Return the entities of a tag sequence, counted in words: to score tags without their text."""
    return from_bio([(position, position + 1) for position in range(len(tags))], tags)


# -------------------------------------------------------------------------------------- word pieces


def label_names(types: Iterable[str]) -> tuple[str, ...]:
    """Return the classes of a token classifier: O, then B and I of each type, in order of the alphabet."""
    return "O", *(f"{place}-{kind}" for kind in sorted(set(types)) for place in "BI")


def first_pieces(offsets: Sequence[Word], words: Sequence[Word]) -> list[int]:
    """Return for each word piece the index of the word whose first piece it is, or -1.

    That is the first piece that starts inside the word. Some words have none: an accent alone is
    dropped, and `£100` is one piece of two words. Both arguments are (first character, one past the
    last) in the same text, in order; `offsets` comes from a fast tokenizer.
    """
    starts, firsts, done = [start for start, _ in words], [], -1
    for start, _ in offsets:
        word = bisect_right(starts, start) - 1
        firsts.append(word if word > done and start < words[word][1] else -1)
        done = max(done, firsts[-1])
    return firsts


def encode(
    tokenizer, rows: Iterable[dict], labels: Sequence[str], max_length: int, stride: int = 32
) -> list[dict]:
    """Turn texts into windows of word pieces with labels, for a token classifier; not padded.

    Nothing is cut off: a text of more than `max_length` pieces ([CLS] and [SEP] included) becomes
    several windows with `stride` pieces in common, and each word is labelled in one of them only,
    the one where it stands farther inside. A word's first piece carries its label; other pieces,
    [CLS] and [SEP] carry -100 (Devlin et al., 2019, section 5.3).

    Args:
        rows: each has `text` and `entities` (spans of characters), or `text`, `words` (start, end)
            and `tags` (one for each word); with neither, the windows come without labels.
        labels: the names of the classes, from `label_names`.

    Returns:
        windows in the order of the rows: `input_ids`; `token_labels`; `words`, for each piece the index of
        the word whose first piece it is, or -1; and `row`, the row's index.

    Raises:
        ValueError: a stride not below the window; or, with the row's id, an entity inside a word or
            a tag that is not among `labels`.
    """
    size = max_length - 2
    if not 0 <= stride < size:
        raise ValueError(
            f"the stride of {stride} is not below the {size} word pieces of a window (max_length {max_length} "
            "without [CLS] and [SEP]): choose a smaller stride or longer windows."
        )
    whole = {"add_special_tokens": False, "truncation": False, "return_offsets_mapping": True}
    windows = []
    for index, row in enumerate(rows):
        words, targets = _targets(row, index, labels)
        pieces = tokenizer(row["text"], verbose=False, **whole)
        firsts = first_pieces(pieces["offset_mapping"], words)
        for start, end, own in _windows(len(firsts), size, stride):
            ids = [tokenizer.cls_token_id, *pieces["input_ids"][start:end], tokenizer.sep_token_id]
            inside = [-1, *(firsts[i] if i in own else -1 for i in range(start, end)), -1]
            windows.append({"row": index, "input_ids": ids, "words": inside})
            if targets is not None:
                windows[-1]["token_labels"] = [targets[word] if word >= 0 else IGNORED for word in inside]
    return windows


def _windows(pieces: int, size: int, stride: int) -> Iterator[tuple[int, int, range]]:
    """Cut into windows (start, end), each with the pieces that it alone answers for."""
    start = first = 0
    while start + size < pieces:
        last = start + size - stride + stride // 2
        yield start, start + size, range(first, last)
        start, first = start + size - stride, last
    yield start, pieces, range(first, pieces)


def _words(row: dict) -> list[Word]:
    return list(map(tuple, row["words"])) if "words" in row else to_bio(row["text"], ())[0]


def _targets(row: dict, index: int, labels: Sequence[str]) -> tuple[list[Word], list[int] | None]:
    """Return the words of a row and the label of each; what is wrong is said with the row's id."""
    words = _words(row)
    try:
        known = "entities" in row and "words" not in row
        tags = to_bio(row["text"], row["entities"])[1] if known else row.get("tags")
        if tags is None:
            return words, None
        if len(words) != len(tags):
            raise ValueError(f"{len(words)} words and {len(tags)} tags: give one tag for each word.")
        if unknown := [tag for tag in tags if tag not in labels]:
            raise ValueError(f"the tag {unknown[0]!r} is not one of the labels {', '.join(labels)}.")
    except ValueError as error:
        raise ValueError(f"row {row.get('sentence_id', index)!r}: {error}") from None
    return words, [labels.index(tag) for tag in tags]


def word_tags(
    rows: Iterable[dict], windows: Sequence[dict], logits: Sequence, labels: Sequence[str]
) -> list[tuple[list[Word], list[str]]]:
    """Return for each row its words and the tags that a model gives them, not repaired.

    A word has the best label of its first piece. One without a first piece goes on as the word that
    it touches on its left (`100` in `£100`, an accent), or is left out where it touches none.

    Args:
        windows: what `encode` made of `rows`.
        logits: for each window an array (length, labels) on the CPU; padding past the window's
            length is not read. Those that do not fit windows or labels raise ValueError.
    """
    if len(windows) != len(logits):
        raise ValueError(f"there are logits for {len(logits)} windows of {len(windows)}: give all, in order.")
    words = [_words(row) for row in rows]
    tags: list[list] = [[None] * len(some) for some in words]
    for number, (window, scored) in enumerate(zip(windows, map(np.asarray, logits), strict=True)):
        wanted = (len(window["words"]), len(labels))
        if scored.ndim != 2 or len(scored) < wanted[0] or scored.shape[1] != wanted[1]:
            raise ValueError(f"logits of window {number}: the shape is {scored.shape}, expected {wanted}.")
        for word, best in zip(window["words"], scored.argmax(-1), strict=False):
            if word >= 0:
                tags[window["row"]][word] = labels[best]
    return [_without_gaps(*pair) for pair in zip(words, tags, strict=True)]


def _without_gaps(words: list[Word], tags: list[str | None]) -> tuple[list[Word], list[str]]:
    kept_words, kept_tags = [], []
    for word, tag in zip(words, tags, strict=True):
        if tag is None and kept_words and kept_words[-1][1] == word[0]:
            tag = re.sub("^B-", "I-", kept_tags[-1])
        if tag is not None:
            kept_words.append(word)
            kept_tags.append(tag)
    return kept_words, kept_tags


def decode(
    rows: Iterable[dict], windows: Sequence[dict], logits: Sequence, labels: Sequence[str]
) -> list[list[Span]]:
    """Return for each row the spans that a model finds: `word_tags`, read as `from_bio` reads them.

    A span begins where a word begins and ends where one ends, in the row's own text: `text[start:end]`
    is the entity letter by letter, whatever the tokenizer made of it.
    """
    return [from_bio(words, tags) for words, tags in word_tags(rows, windows, logits, labels)]


# ------------------------------------------------------------------------------------------- scores


def scores(predicted: list[list[Span]], expected: list[list[Span]]) -> dict[str, float]:
    """Return precision, recall and F1 in percent over all texts, counted by entity.

    An entity is right only with the right start, end and type (Tjong Kim Sang and De Meulder, 2003).
    Nothing predicted gives precision 0, nothing expected gives recall 0.
    """
    hits = found = wanted = 0
    for guess, truth in zip(predicted, expected, strict=True):
        guess, truth = ({(s["start"], s["end"], s["type"]) for s in spans} for spans in (guess, truth))
        hits, found, wanted = hits + len(guess & truth), found + len(guess), wanted + len(truth)
    precision, recall = (hits / total if total else 0.0 for total in (found, wanted))
    f1 = 2 * hits / (found + wanted) if found + wanted else 0.0
    return {"precision": 100 * precision, "recall": 100 * recall, "f1": 100 * f1}


def scores_by_type(predicted: list[list[Span]], expected: list[list[Span]]) -> dict[str, dict[str, float]]:
    """Return `scores` for each type that occurs, with `support` (how many were expected) and `predicted`.

    The overall figures are those of `scores`: it counts entities (the micro average).
    """
    result = {}
    for kind in sorted({span["type"] for spans in (*predicted, *expected) for span in spans}):
        guess, truth = (
            [[span for span in spans if span["type"] == kind] for spans in texts]
            for texts in (predicted, expected)
        )
        result[kind] = scores(guess, truth)
        result[kind] |= {"support": sum(map(len, truth)), "predicted": sum(map(len, guess))}
    return result


class Dictionary:
    """The baseline: mark what was marked in the training texts, longest first, and some patterns.

    A surface form has the type that it had most often in training. Order numbers and sums of money
    that were never seen are found by two patterns, as a sensible person would do without learning.
    """

    PATTERNS = (("order", re.compile(r"\bOM-\d{6}\b")), ("money", re.compile(r"[£€]\s?\d+(?:[.,]\d\d)?")))

    def __init__(self, texts: Iterable[str], spans: Iterable[list[Span]]):
        seen: dict[str, Counter] = {}
        for text, marked in zip(texts, spans, strict=True):
            for span in marked:
                seen.setdefault(text[span["start"] : span["end"]].lower(), Counter())[span["type"]] += 1
        self.types = {surface: counts.most_common(1)[0][0] for surface, counts in seen.items()}
        longest_first = sorted(map(re.escape, self.types), key=len, reverse=True)
        self.known = re.compile(rf"(?<!\w)(?:{'|'.join(longest_first)})(?!\w)") if longest_first else None

    def predict(self, text: str) -> list[Span]:
        """Return the spans found in `text`, in order and without overlap."""
        found = [
            (m.start(), m.end(), kind) for kind, pattern in self.PATTERNS for m in pattern.finditer(text)
        ]
        # Not lower(): it can change the length of a text, and with it every offset.
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
        if self.known:
            found += [(m.start(), m.end(), self.types[m[0]]) for m in self.known.finditer(lower)]
        spans: list[Span] = []
        for start, end, kind in sorted(found, key=lambda span: (span[0], -span[1])):
            if not spans or start >= spans[-1]["end"]:
                spans.append({"start": start, "end": end, "type": kind})
        return spans
