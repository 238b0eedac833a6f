"""Entities in text: spans of characters, tags of words (BIO), their scores, and a dictionary baseline.

Not for word pieces and training, which come with notebook 10.
"""

import re
from collections import Counter
from collections.abc import Iterable

Span = dict  # {"start": first character, "end": one past the last, "type": text}
WORD = re.compile(r"\w+|[^\w\s]")


def to_bio(text: str, spans: Iterable[Span]) -> tuple[list[tuple[int, int]], list[str]]:
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
        if span["start"] not in starts or span["end"] not in ends:
            raise ValueError(
                f"{text[span['start'] : span['end']]!r} begins or ends inside a word of {text!r}."
            )
        first, last = starts[span["start"]], ends[span["end"]]
        if any(tag != "O" for tag in tags[first : last + 1]):
            raise ValueError(
                f"two entities share a word at {text[span['start'] : span['end']]!r} in {text!r}."
            )
        tags[first] = f"B-{span['type']}"
        tags[first + 1 : last + 1] = [f"I-{span['type']}"] * (last - first)
    return words, tags


def from_bio(words: list[tuple[int, int]], tags: list[str]) -> list[Span]:
    """Return the spans that the tags of `words` say: the inverse of `to_bio`.

    An I that follows no B or I of its own type opens an entity, as in conlleval.
    """
    spans: list[Span] = []
    before = "O"
    for (start, end), tag in zip(words, tags, strict=True):
        kind = tag[2:]
        if tag.startswith("B-") or (tag.startswith("I-") and before[2:] != kind):
            spans.append({"start": start, "end": end, "type": kind})
        elif tag.startswith("I-"):
            spans[-1]["end"] = end
        before = tag
    return spans


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
