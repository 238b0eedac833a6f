"""Extractive question answering: how an answer is scored, and the baseline that counts shared words.

Not for windows and spans (`answer_spans`), the model (`reader`), or reading SQuAD files (`data`, `schemas`).
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


def evaluate(
    predictions: dict[str, str],
    references: Iterable[dict] | dict,
    null_scores: dict[str, float] | None = None,
    threshold: float = 1.0,
) -> dict[str, float]:
    """Score answers as SQuAD's scripts do (version 1.1, and 2.0 for questions without an answer).

    Args:
        predictions: the answer to each question id; "" says that there is none.
        references: SQuAD JSON (the whole object), or rows with `id` and `answers` (a list `text`).
        null_scores: for each question id, how strongly the model holds that there is no answer.
        threshold: above this null score, a prediction counts as "".

    Returns:
        `exact_match` and `f1` in percent: for each question the best over its reference answers,
        then the mean. `total` counts the questions. With unanswerable questions among them, also
        `has_answer_…` and `no_answer_…`. With `null_scores`, also `best_…` and `best_…_threshold` of
        both: what the best threshold for these very questions would give (Rajpurkar et al., 2018).

    Raises:
        ValueError: no question at all, or one without a prediction or null score (its id is named).
    """
    scores, best = question_scores(predictions, references), {}
    if not scores:
        raise ValueError("there is no question to score: give at least one reference.")
    if null_scores is not None:
        if lacking := scores.keys() - null_scores.keys():
            raise ValueError(f"question {min(lacking)!r} has no null score: give one for each question.")
        for metric in METRICS:
            best |= _best_threshold(metric, scores, predictions, null_scores)
        for name, score in scores.items():
            if null_scores[name] > threshold:
                score |= dict.fromkeys(METRICS, float(not score["has_answer"]))
    result = _means("", list(scores.values()))
    if not all(score["has_answer"] for score in scores.values()):
        for prefix, kind in (("has_answer_", True), ("no_answer_", False)):
            result |= _means(prefix, [score for score in scores.values() if score["has_answer"] == kind])
    return result | best


def question_scores(predictions: dict[str, str], references: Iterable[dict] | dict) -> dict[str, dict]:
    """Return for each question id its `exact_match` and `f1` (0 to 1) and whether it `has_answer`.

    Takes and refuses what `evaluate` does; for looking at single questions, the worst first.
    """
    scores = {}
    for name, answers in _references(references):
        if name not in predictions:
            raise ValueError(f'question {name!r} has no prediction: give "" to say that it has no answer.')
        # A reference that is empty after normalize() does not count; without any, silence is right.
        kept = [answer for answer in answers if normalize(answer)] or [""]
        scores[name] = {"has_answer": bool(answers)}
        for metric, score in METRICS.items():
            scores[name][metric] = max(score(predictions[name], answer) for answer in kept)
    return scores


METRICS = {"exact_match": exact_match, "f1": token_f1}


def _best_threshold(metric: str, scores: dict, predictions: dict, null_scores: dict) -> dict[str, float]:
    """Begin with silence for all, then let the questions speak in the order of their null scores.

    The official script's sweep, with its two oddities: equal null scores may be torn apart, and the
    threshold is 0 where silence for all is best.
    """
    total = best = float(sum(not score["has_answer"] for score in scores.values()))
    threshold = 0.0
    for name in sorted(filter(scores.get, null_scores), key=lambda name: null_scores[name]):
        if scores[name]["has_answer"]:
            total += scores[name][metric]
        elif predictions[name]:
            total -= 1
        if total > best:
            best, threshold = total, null_scores[name]
    return {f"best_{metric}": 100 * best / len(scores), f"best_{metric}_threshold": threshold}


def _references(references) -> Iterable[tuple[str, list[str]]]:
    if not isinstance(references, dict):
        return ((row["id"], list(row["answers"]["text"])) for row in references)
    return (
        (question["id"], [answer["text"] for answer in question["answers"]])
        for article in references["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    )


def _means(prefix: str, scores: list[dict]) -> dict[str, float]:
    result = {f"{prefix}total": len(scores)}
    for metric in METRICS:
        if scores:
            result[prefix + metric] = 100 * sum(score[metric] for score in scores) / len(scores)
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
