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


FAMILIES = {"BERT": "encoder", "GPT": "decoder", "T5": "encoder-decoder"}


def _families_problem(answer) -> str | None:
    if not isinstance(answer, dict) or set(answer) != set(FAMILIES):
        return f"give a dictionary with exactly the keys {', '.join(FAMILIES)}."
    if answer["BERT"] != "encoder":
        return "BERT reads in both directions at once and writes nothing: which family is that?"
    if answer["GPT"] != "decoder":
        return "GPT predicts the next token from those before it: which family is that?"
    if answer["T5"] != "encoder-decoder":
        return "T5 reads one text with one half and writes another with the other half: which family is that?"
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
        "three families",
        FAMILIES,
        _families_problem,
        (
            ({"BERT": "decoder", "GPT": "encoder", "T5": "encoder-decoder"}, "both directions"),
            ({"BERT": "encoder", "GPT": "encoder-decoder", "T5": "decoder"}, "next token"),
            ("encoder", "keys"),
        ),
    ),
}
