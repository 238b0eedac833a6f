"""Extractive question answering: how an answer is scored, and the baseline that counts shared words.

Not for training (`finetuning`), and not for reading SQuAD files (`data`, `schemas`).
"""

import re
import string
from collections import Counter
from collections.abc import Iterable

# ------------------------------------------------------------------------------------------- scores


def normalize(text: str) -> str:
    """Lower the case and drop punctuation, the articles a, an, the, and spare blanks.

    The definition of SQuAD's own script (Rajpurkar et al., 2016, section 6.1), step by step in its order.
    """
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def exact_match(prediction: str, answer: str) -> float:
    """Return 1.0 if both texts are the same after `normalize`, else 0.0."""
    return float(normalize(prediction) == normalize(answer))


def token_f1(prediction: str, answer: str) -> float:
    """Return the F1 of the words that both texts share, each word as often as it occurs in both."""
    predicted, expected = normalize(prediction).split(), normalize(answer).split()
    if not predicted or not expected:  # "no answer" is right or wrong, nothing between
        return float(predicted == expected)
    shared = sum((Counter(predicted) & Counter(expected)).values())
    return 2 * shared / (len(predicted) + len(expected))


def evaluate(predictions: dict[str, str], references: Iterable[dict] | dict) -> dict[str, float]:
    """Score answers as SQuAD's scripts do (version 1.1, and 2.0 for questions without an answer).

    Args:
        predictions: the answer to each question id; "" says that there is none.
        references: SQuAD JSON (the whole object), or rows with `id` and `answers` (a list `text`).

    Returns:
        `exact_match` and `f1` in percent: for each question the best over its reference answers,
        then the mean. `total` counts the questions. With unanswerable questions among them, also
        `has_answer_…` and `no_answer_…`.

    Raises:
        ValueError: no question at all, or a question without a prediction (its id is named).
    """
    scores = {"has_answer": [], "no_answer": []}
    for name, answers in _references(references):
        if name not in predictions:
            raise ValueError(f'question {name!r} has no prediction: give "" to say that it has no answer.')
        # A reference that is empty after normalize() does not count; without any, silence is right.
        kept = [answer for answer in answers if normalize(answer)] or [""]
        best = [
            max(metric(predictions[name], answer) for answer in kept) for metric in (exact_match, token_f1)
        ]
        scores["has_answer" if answers else "no_answer"].append(best)
    everything = scores["has_answer"] + scores["no_answer"]
    if not everything:
        raise ValueError("there is no question to score: give at least one reference.")
    result = _means("", everything)
    if scores["no_answer"]:
        for kind, part in scores.items():
            result |= _means(f"{kind}_", part)
    return result


def _references(references) -> Iterable[tuple[str, list[str]]]:
    if not isinstance(references, dict):
        return ((row["id"], list(row["answers"]["text"])) for row in references)
    return (
        (question["id"], [answer["text"] for answer in question["answers"]])
        for article in references["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    )


def _means(prefix: str, scores: list[list[float]]) -> dict[str, float]:
    result = {f"{prefix}total": len(scores)}
    for position, name in enumerate(("exact_match", "f1")):
        if scores:
            result[prefix + name] = 100 * sum(score[position] for score in scores) / len(scores)
    return result


# ----------------------------------------------------------------------------------------- baseline


def most_shared_words(question: str, context: str, length: int = 20) -> str:
    """Answer with the `length` words of the context around which most of the question's words stand.

    The sliding window of Richardson et al. (2013): no learning. The sentence that shares the rarest
    words with the question is found first; the answer is its stretch of words that the question
    does not have. No shared word at all gives "", no answer.
    """
    counts = Counter(normalize(context).split())
    asked = set(normalize(question).split())

    def weight(text: str) -> float:
        return sum(1 / counts[word] for word in set(normalize(text).split()) & asked)

    sentence = max(re.split(r"(?<=[.!?])\s+", context), key=weight)
    if not weight(sentence):
        return ""
    words = sentence.split()
    stretches = [words[start : start + length] for start in range(max(1, len(words) - length + 1))]
    return " ".join(
        max(stretches, key=lambda stretch: len(set(normalize(" ".join(stretch)).split()) - asked))
    )
