"""The exercises of notebook 07."""

from collections import Counter

import numpy as np

from utils.checks import Exercise, named_mistake

# ------------------------------------------------------------------------- 07.1 the answer's tokens


def answer_tokens(offsets: list[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    inside = [token for token, (begin, stop) in enumerate(offsets) if begin < end and stop > start]
    return inside[0], inside[-1]


OFFSETS = [(0, 3), (4, 6), (6, 9), (10, 15), (15, 16), (17, 22), (23, 25)]


def _tokens_problem(answer) -> str | None:
    found = answer(OFFSETS, 10, 22)
    if not isinstance(found, tuple) or len(found) != 2:
        return "it must give two numbers, the first and the last token: (first, last)."
    if found == (3, 6):
        return "the last token is one too far: give the last token inside, not the one behind it."
    if found == (10, 22):
        return "those are characters; give the numbers of tokens."
    if found != (3, 5):
        return f"characters 10 to 22 are tokens 3 to 5; it gives {found}."
    try:
        edges = answer(OFFSETS, 6, 9), answer(OFFSETS, 7, 13)
    except (IndexError, ValueError, TypeError):
        edges = None
    if edges is None or edges[1] != (2, 3):
        return "an answer may begin or end inside a token: take every token that shares a character with it."
    if edges[0] != (2, 2):
        return f"characters 6 to 9 are token 2 alone; it gives {edges[0]}: a token that ends where the answer begins is outside."
    return None


def _exact_borders(offsets, start, end):
    starts, ends = [begin for begin, _ in offsets], [stop for _, stop in offsets]
    return starts.index(start), ends.index(end)


def _one_too_far(offsets, start, end):
    first, last = answer_tokens(offsets, start, end)
    return first, last + 1


def _touching(offsets, start, end):
    inside = [token for token, (begin, stop) in enumerate(offsets) if begin < end and stop >= start]
    return inside[0], inside[-1]


# ---------------------------------------------------------------------------------- 07.2 windows


def cut(pieces: int, size: int, stride: int) -> list[tuple[int, int]]:
    windows = [(0, min(size, pieces))]
    while windows[-1][1] < pieces:
        start = windows[-1][0] + size - stride
        windows.append((start, min(start + size, pieces)))
    return windows


def _cut_problem(answer) -> str | None:
    found = [tuple(window) for window in answer(10, 4, 1)]
    if found == [(0, 4), (4, 8), (8, 10)]:
        return "neighbours share nothing: each window must begin `stride` pieces before the last one ended."
    if found == [(start, min(start + 4, 10)) for start in range(0, 10)] or found[:2] == [(0, 4), (1, 5)]:
        return "you move on by `stride`; here `stride` is how much two neighbours share, so move on by size - stride."
    if found and found[-1][1] < 10:
        return "the last pieces are in no window: keep the last window, even if it is not full."
    if any(end > 10 for _, end in found):
        return "a window ends behind the text: cut it at `pieces`."
    if found == [(0, 4), (3, 7), (6, 10), (9, 10)]:
        return "the last window holds nothing new: stop as soon as a window reaches the end."
    if found != cut(10, 4, 1):
        return f"10 pieces, size 4, stride 1 give (0, 4), (3, 7), (6, 10); it gives {found}."
    if [tuple(window) for window in answer(3, 4, 1)] != [(0, 3)]:
        return "a text that is shorter than a window is one window, as long as the text."
    return (
        None
        if [tuple(window) for window in answer(11, 5, 2)] == cut(11, 5, 2)
        else "it is right for stride 1 alone."
    )


def _without_overlap(pieces, size, stride):
    return [(start, min(start + size, pieces)) for start in range(0, pieces, size)]


def _moves_by_stride(pieces, size, stride):
    windows = [(0, min(size, pieces))]
    while windows[-1][1] < pieces:
        start = windows[-1][0] + stride
        windows.append((start, min(start + size, pieces)))
    return windows


def _loses_the_rest(pieces, size, stride):
    return [
        (start, start + size) for start in range(0, pieces - size + 1, size - stride) if start + size < pieces
    ]


def _one_too_many(pieces, size, stride):
    return [(start, min(start + size, pieces)) for start in range(0, pieces, size - stride)]


# ------------------------------------------------------------------------------ 07.3 the best span


def best_span(start: np.ndarray, end: np.ndarray, longest: int) -> tuple[int, int]:
    spans = [(i, j) for i in range(len(start)) for j in range(i, min(i + longest, len(end)))]
    return max(spans, key=lambda span: start[span[0]] + end[span[1]])


START, END = np.array([0.5, 4.0, 0.0, 3.0, 1.0, 0.0]), np.array([0.0, 1.0, 0.5, 2.0, 1.0, 5.0])


def _span_problem(answer) -> str | None:
    found = tuple(int(place) for place in answer(START, END, 3))
    if found == (1, 5):
        return "that span has 5 tokens, and `longest` is 3."
    if found == (3, 5):
        crossed = tuple(int(place) for place in answer(END, START, 3))
        if crossed[0] > crossed[1]:
            return "it can end before it begins: compare only pairs with start <= end."
        if tuple(int(place) for place in answer(START, START, 1)) != (1, 1):
            return "a span of one token is a span: start and end may be the same."
        if crossed != best_span(END, START, 3):
            return (
                f"with the two vectors swapped it must give {best_span(END, START, 3)}; it gives {crossed}."
            )
        return None
    if found == (2, 5):
        return "a span of `longest` tokens counts from i to i + longest - 1: (2, 5) has four tokens."
    return f"of all spans of at most 3 tokens (3, 5) has the highest sum, 8; it gives {found}."


def _separately(start, end, longest):
    return int(np.argmax(start)), int(np.argmax(end))


def _start_first(start, end, longest):
    first = int(np.argmax(start))
    return first, first + int(np.argmax(end[first : first + longest]))


def _may_cross(start, end, longest):
    spans = [(i, j) for i in range(len(start)) for j in range(len(end)) if j - i < longest]
    return max(spans, key=lambda span: start[span[0]] + end[span[1]])


def _never_one(start, end, longest):
    spans = [(i, j) for i in range(len(start)) for j in range(i + 1, min(i + max(2, longest), len(end)))]
    return max(spans, key=lambda span: start[span[0]] + end[span[1]])


# ------------------------------------------------------------------------------- 07.4 F1 of words


def words_f1(predicted: list[str], expected: list[str]) -> float:
    shared = sum((Counter(predicted) & Counter(expected)).values())
    return 2 * shared / (len(predicted) + len(expected))


def _words_problem(answer) -> str | None:
    predicted, expected = ["half", "past", "ten", "on", "monday"], ["half", "past", "ten"]
    value = answer(predicted, expected)
    if not isinstance(value, (int, float)):
        return f"it gives {value!r}; it must give one number."
    sentences = {
        0.6: "that is the precision, the share of predicted words that are right; F1 needs the recall as well.",
        1.0: "that is the recall, the share of expected words that were found; F1 needs the precision as well.",
        0.8: "that is the plain mean of precision and recall; F1 is 2PR / (P + R).",
        75.0: "that is in percent; give a number from 0 to 1.",
    }
    if mistake := named_mistake(value, sentences, rel_tol=0, abs_tol=1e-9):
        return mistake
    if abs(value - 0.75) > 1e-9:
        return f"3 shared words, 5 predicted, 3 expected make 0.75; it gives {value:.3g}."
    if abs(answer(["the"] * 3 + ["lamp"], ["the", "lamp"]) - 2 / 3) > 1e-9:
        return "a word counts as often as it occurs in both: 'the' three times finds only one 'the'."
    try:
        nothing = answer(["lamp"], ["chair"])
    except ZeroDivisionError:
        return "it divides by zero where no word is shared: F1 is 0 there."
    return None if nothing == 0 else f"no shared word gives 0; it gives {nothing:.3g}."


def _sets(predicted, expected):
    shared = len(set(predicted) & set(expected))
    return 2 * shared / (len(set(predicted)) + len(set(expected)))


def _precision_and_recall(predicted, expected):
    shared = sum((Counter(predicted) & Counter(expected)).values())
    return shared / len(predicted), shared / len(expected)


def _divides(predicted, expected):
    precision, recall = _precision_and_recall(predicted, expected)
    return 2 * precision * recall / (precision + recall)


EXERCISES = {
    "07.1": Exercise(
        "the answer's tokens",
        answer_tokens,
        _tokens_problem,
        ((_exact_borders, "inside a token"), (_one_too_far, "too far"), (_touching, "outside")),
    ),
    "07.2": Exercise(
        "windows with stride",
        cut,
        _cut_problem,
        (
            (_without_overlap, "share nothing"),
            (_moves_by_stride, "move on by size - stride"),
            (_loses_the_rest, "last pieces"),
            (_one_too_many, "nothing new"),
        ),
    ),
    "07.3": Exercise(
        "the best valid span",
        best_span,
        _span_problem,
        (
            (_separately, "5 tokens"),
            (_start_first, "highest sum"),
            (_may_cross, "before it begins"),
            (_never_one, "one token"),
        ),
    ),
    "07.4": Exercise(
        "F1 of words",
        words_f1,
        _words_problem,
        (
            (_sets, "three times"),
            (lambda predicted, expected: _precision_and_recall(predicted, expected)[0], "precision"),
            (lambda predicted, expected: sum(_precision_and_recall(predicted, expected)) / 2, "plain mean"),
            (_divides, "divides by zero"),
        ),
    ),
}
