"""The exercises of notebook 06."""

import math

import numpy as np

from utils.checks import Exercise, named_mistake


def batches_by_length(lengths: list[int], batch_size: int) -> list[list[int]]:
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def _batches_problem(answer) -> str | None:
    lengths = [12, 3, 30, 4, 50, 11, 28, 51]
    batches = answer(lengths, 2)
    if not isinstance(batches, list) or not all(isinstance(batch, (list, tuple)) for batch in batches):
        return "give a list of batches, each a list of places in `lengths`."
    flat = [index for batch in batches for index in batch]
    if sorted(flat) == sorted(lengths):
        return "your batches hold the lengths themselves; they must hold places in the list (0, 1, 2, ...)."
    if len(flat) < len(lengths) or sum(map(len, answer(lengths, 3))) < len(lengths):
        return "with 8 texts and batches of 3, some text is in no batch: keep the last batch, even if it is not full."
    if sorted(flat) != list(range(len(lengths))):
        return "each text must be in exactly one batch."
    if any(len(batch) > 2 for batch in batches):
        return "a batch holds more than `batch_size` texts."
    padding = sum(
        max(lengths[i] for i in batch) * len(batch) - sum(lengths[i] for i in batch) for batch in batches
    )
    if padding > 10:
        return f"your batches hold {padding} padding positions; sorted by length before cutting they would hold fewer than 10."
    return None


def _unsorted(lengths, batch_size):
    return [list(range(i, min(i + batch_size, len(lengths)))) for i in range(0, len(lengths), batch_size)]


def _values(lengths, batch_size):
    ordered = sorted(lengths)
    return [ordered[i : i + batch_size] for i in range(0, len(ordered), batch_size)]


def _last_batch_lost(lengths, batch_size):
    return [batch for batch in batches_by_length(lengths, batch_size) if len(batch) == batch_size]


def f1(true_positive: int, false_positive: int, false_negative: int) -> float:
    precision = true_positive / (true_positive + false_positive)
    recall = true_positive / (true_positive + false_negative)
    return 2 * precision * recall / (precision + recall)


def _f1_problem(answer) -> str | None:
    value = answer(60, 40, 20)  # precision 0.6, recall 0.75
    if not isinstance(value, (int, float)):
        return f"it gives {value!r}; it must give one number."
    sentences = {
        0.6: "that is the precision; F1 needs the recall as well.",
        0.75: "that is the recall; F1 needs the precision as well.",
        0.675: "that is the plain average of precision and recall; F1 is their harmonic mean, 2PR / (P + R).",
        0.5: "that counts the errors of both kinds in full (the Jaccard index); in F1 the hits count twice.",
    }
    if mistake := named_mistake(value, sentences):
        return mistake
    return (
        None
        if math.isclose(value, 2 / 3)
        else f"60 hits, 40 false alarms and 20 misses give {value:.3g}; it must be 2/3."
    )


def guess_labels(logits: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    return 1 / (1 + np.exp(-logits)) > threshold


def _softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def _labels_problem(answer) -> str | None:
    logits = np.array([[2.0, 1.5, -3.0], [-1.0, -1.2, -0.9]])
    guesses = np.asarray(answer(logits, 0.5))
    if guesses.shape != logits.shape:
        return f"for logits of shape {logits.shape} it gives shape {guesses.shape}; one yes or no for each label is needed."
    guesses = guesses.astype(bool)
    if guesses.sum(-1).tolist() == [1, 1]:
        return "each text got exactly one label: that is an arg-max; a text may have two labels, or none."
    if np.array_equal(guesses, _softmax(logits) > 0.5):
        return "your labels compete: softmax makes them share 1. Use a sigmoid on each label by itself."
    if not np.array_equal(guesses, guess_labels(logits)):
        return "logits 2.0, 1.5, -3.0 must give yes, yes, no, and three negative logits no label at all."
    if np.array_equal(np.asarray(answer(logits, 0.9)).astype(bool), guesses):
        return "your function ignores `threshold`: at 0.9 the logit 1.5 is no longer a yes."
    return None


EXERCISES = {
    "06.1": Exercise(
        "batches of similar length",
        batches_by_length,
        _batches_problem,
        ((_unsorted, "padding"), (_values, "places"), (_last_batch_lost, "no batch")),
    ),
    "06.2": Exercise(
        "F1 from counts",
        f1,
        _f1_problem,
        (
            (lambda tp, fp, fn: tp / (tp + fp), "precision"),
            (lambda tp, fp, fn: (tp / (tp + fp) + tp / (tp + fn)) / 2, "harmonic"),
            (lambda tp, fp, fn: tp / (tp + fp + fn), "twice"),
        ),
    ),
    "06.3": Exercise(
        "several labels at once",
        guess_labels,
        _labels_problem,
        (
            (lambda logits, threshold=0.5: _softmax(logits) > threshold, "compete"),
            (lambda logits, threshold=0.5: np.eye(logits.shape[-1])[logits.argmax(-1)], "arg-max"),
            (lambda logits, threshold=0.5: logits > 0, "ignores"),
        ),
    ),
}
