"""From probabilities to what is done: which records to look at, by budget or by cost, and why, in words.

Not for the probabilities themselves (`cells`).
"""

import numpy as np

WORDS = {
    "empty": "is empty, and records like this one need it",
    "says_nothing": "has words, but they say nothing",
    "wrong_field": "holds what belongs in another field",
    "wrong_language": "is in another language than the rest",
    "contradicts": "does not fit what the other fields say",
    "doubtful": "looks wrong",
}


def doubt(probabilities: np.ndarray) -> np.ndarray:
    """Return how likely each cell falls short: (…, fields, labels) with FINE first -> (…, fields)."""
    return 1 - probabilities[..., 0]


def record_score(probabilities: np.ndarray) -> np.ndarray:
    """Return the doubt of the most doubtful cell of each record: (records, fields, labels) -> (records,)."""
    return doubt(probabilities).max(-1)


def budget_threshold(scores: np.ndarray, share: float) -> float:
    """Return the score from which on a record is reviewed, so that `share` of such records are.

    Raises:
        ValueError: `share` is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a budget is a part of the records, from 0 to 1; got {share}.")
    return float(np.quantile(scores, 1 - share, method="higher")) if share else float("inf")


def at_budget(scores: np.ndarray, short: np.ndarray, share: float) -> tuple[float, float]:
    """Return precision and recall if the `share` of the records with the highest scores is reviewed.

    Of equal scores the first in order are taken, so that the budget is kept.
    """
    chosen = np.argsort(-np.asarray(scores), kind="stable")[: round(share * len(scores))]
    found = np.asarray(short)[chosen].sum()
    return float(found / max(1, len(chosen))), float(found / max(1, np.sum(short)))


def cost_threshold(scores: np.ndarray, short: np.ndarray, miss: float, review: float) -> tuple[float, float]:
    """Return the threshold of the lowest mean cost, and that cost, on records whose truth is known.

    Each reviewed record costs `review`; each that falls short and is not reviewed costs `miss`. Where
    the probabilities are calibrated, theory puts the threshold at review / miss (Elkan, 2001).
    """
    scores, short = np.asarray(scores, float), np.asarray(short, bool)
    thresholds = np.append(np.unique(scores), np.inf)
    costs = [
        review * (scores >= threshold).mean() + miss * (short & (scores < threshold)).mean()
        for threshold in thresholds
    ]
    best = int(np.argmin(costs))
    return float(thresholds[best]), float(costs[best])


def reason(field: str, kind: str) -> str:
    """Say in a sentence what is wrong with a field."""
    return f"{field} {WORDS.get(kind, kind)}"
