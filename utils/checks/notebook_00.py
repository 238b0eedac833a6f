"""The exercises of notebook 00."""

import math

from utils.checks import Exercise


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / (math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(y * y for y in b)))


def _cosine_problem(answer) -> str | None:
    value = answer([3.0, 4.0], [4.0, 3.0])
    if not isinstance(value, (int, float)):
        return f"it gives {value!r}; it must give one number."
    if math.isclose(value, 24.0):
        return "24 is the dot product of [3, 4] and [4, 3]; divide it by both lengths."
    if math.isclose(value, 24 / 5):
        return "you divided by one length only; divide by the lengths of both vectors."
    if math.isclose(value, 24 / 50):
        return "you divided by the sum of the squares; the length is the square root of it, one for each vector, multiplied."
    if not math.isclose(value, 0.96):
        return f"[3, 4] and [4, 3] give {value:.3g}; it must be 24 / (5 * 5)."
    if abs(answer([1.0, 0.0, 2.0], [2.0, 0.0, -1.0])) > 1e-9:
        return "you used only the first two numbers of each list; vectors may be longer."
    if not math.isclose(answer([1.0, 0.0, 2.0], [-2.0, 0.0, -4.0]), -1.0):
        return "two vectors that point in opposite directions must give -1."
    return None


def nearest(similarities: list[float]) -> int:
    return max(range(len(similarities)), key=lambda index: similarities[index])


def _nearest_problem(answer) -> str | None:
    index = answer([0.1, 0.8, -0.9, 0.3])
    if index == 2:
        return "you chose the lowest similarity (or the largest without its sign); the nearest text has the highest."
    if index == 0.8:
        return "you gave the similarity itself; give its place in the list, counted from 0."
    if index == 2 - 1 and answer([0.5, 0.2]) == 0:
        return None
    return f"for [0.1, 0.8, -0.9, 0.3] it gives {index!r}; the highest value is at place 1."


READ = 3  # of six tokens, the encoder-decoder reads three and writes three


def may_look(family: str, row: int, column: int) -> bool:
    if family == "encoder":
        return True
    if family == "decoder":
        return column <= row
    return column < READ or (row >= READ and column <= row)


def _may_look_problem(answer) -> str | None:
    def wrong(family: str) -> list[tuple[int, int]]:
        places = [(row, column) for row in range(6) for column in range(6)]
        return [place for place in places if bool(answer(family, *place)) != may_look(family, *place)]

    if wrong("encoder"):
        return f"in an encoder every token sees all others, so token {wrong('encoder')[0][0]} sees token {wrong('encoder')[0][1]}."
    row, column = (wrong("decoder") or [(None, None)])[0]
    if row is not None and row == column:
        return f"in a decoder each token also sees itself: row {row}, column {column} must be True."
    if row is not None:
        return f"in a decoder token {row} must {'' if column < row else 'not '}see token {column}: only what came before."
    row, column = (wrong("encoder-decoder") or [(None, None)])[0]
    if row is not None and row < READ:
        return f"in the encoder-decoder tokens 0 to 2 are read: token {row} must {'' if column < READ else 'not '}see token {column}."
    if row is not None:
        return f"in the encoder-decoder token {row} is written: it must {'' if column <= row else 'not '}see token {column}."
    return None


EXERCISES = {
    "00.1": Exercise(
        "cosine similarity",
        cosine,
        _cosine_problem,
        (
            (lambda a, b: sum(x * y for x, y in zip(a, b, strict=True)), "dot product"),
            (lambda a, b: sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a), "both vectors"),
            (lambda a, b: math.dist(a, b), "must be 24"),
            (lambda a, b: (a[0] * b[0] + a[1] * b[1]) / math.hypot(*a[:2]) / math.hypot(*b[:2]), "first two"),
        ),
    ),
    "00.2": Exercise(
        "the nearest text",
        nearest,
        _nearest_problem,
        (
            (lambda s: min(range(len(s)), key=lambda i: s[i]), "lowest"),
            (max, "place in the list"),
        ),
    ),
    "00.3": Exercise(
        "who may look at whom",
        may_look,
        _may_look_problem,
        (
            (lambda family, row, column: column <= row, "in an encoder"),
            (lambda family, row, column: family == "encoder" or column < row, "itself"),
            (lambda family, row, column: family == "encoder" or column >= row, "only what came before"),
            (lambda family, row, column: family == "encoder" or column <= row, "are read"),
        ),
    ),
}
