"""The exercises of notebook 08."""

import math

import numpy as np
import torch

from utils.checks import Exercise, named_mistake

# ------------------------------------------------------------------------------------ 08.1 mean pooling


def mean_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask.unsqueeze(-1)  # (batch, sequence) -> (batch, sequence, 1)
    return (hidden * weights).sum(1) / weights.sum(1)  # (batch, hidden)


def _pool_problem(answer) -> str | None:
    hidden = torch.tensor([[[1.0, 2.0], [5.0, 4.0], [50.0, 70.0], [50.0, 70.0]], [[2.0, 0.0]] * 4])
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    pooled = answer(hidden, mask)
    if not isinstance(pooled, torch.Tensor) or pooled.shape != (2, 2):
        shape = tuple(getattr(pooled, "shape", ()))
        return (
            f"2 texts of 4 tokens with 2 numbers each give shape {shape}; one vector for each text is (2, 2)."
        )
    sentences = {
        26.5: "you averaged all positions, with the padding: only tokens whose mask is 1 count.",
        1.5: "you left the padding out of the sum, but divided by all positions: divide by the number of real tokens.",
        6.0: "that is the sum of the real tokens: divide it by their number.",
        5.0: "that is the largest number in each dimension (max pooling): take the mean.",
    }
    first = pooled[0, 0].item()
    if mistake := named_mistake(first, sentences, abs_tol=1e-4):
        return mistake
    if not torch.allclose(pooled, mean_pool(hidden, mask)):
        return f"the real tokens (1, 2) and (5, 4) give {[round(x, 2) for x in pooled[0].tolist()]}; their mean is (3, 3)."
    return None


# --------------------------------------------------------------------------------- 08.2 a step of k-means


def step(points: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distances = np.linalg.norm(points[:, None] - centroids, axis=-1)  # (n, k)
    labels, moved = distances.argmin(1), centroids.copy()
    for cluster in set(labels.tolist()):  # clusters without points are not in it: they stay
        moved[cluster] = points[labels == cluster].mean(0)
    return labels, moved


def _step_problem(answer) -> str | None:
    points = np.array([[0.0, 1.0], [0.0, 3.0], [10.0, 1.0], [10.0, 3.0], [13.0, 5.0]])
    centroids = np.array([[1.0, 1.0], [9.0, 1.0], [90.0, 90.0]])
    given = centroids.copy()
    with np.errstate(all="ignore"):  # an empty mean says so by itself; the sentence below says it better
        result = answer(points, given)
    if not isinstance(result, tuple) or len(result) != 2:
        return "give two things: the cluster of each point, and the moved centroids."
    if not all(isinstance(part, np.ndarray) for part in result):
        return "the cells below compare whole arrays: give NumPy arrays, not lists."
    labels, moved = result[0], np.asarray(result[1], dtype=float)
    if labels.shape != (5,):
        return f"5 points and 3 centroids give labels of shape {labels.shape}: each point needs the number of its nearest centroid, (5,)."
    if not np.array_equal(given, centroids):
        return "your function changed the centroids that it was given: work on a copy."
    if labels.tolist() != [0, 0, 1, 1, 1]:
        return f"your clusters are {labels.tolist()}: each point belongs to its nearest centroid, [0, 0, 1, 1, 1]."
    if moved.shape != (3, 2):
        return f"3 centroids went in and shape {moved.shape} came out; keep a row for each, also for an empty cluster."
    if np.isnan(moved).any():
        return "a cluster without points gave NaN (the mean of nothing): let its centroid stay where it was."
    if np.array_equal(moved[2], [0, 0]):
        return "the empty cluster's centroid went to (0, 0), where nobody sent it: let it stay where it was."
    if np.array_equal(moved[:2], centroids[:2]):
        return "your centroids did not move: each goes to the mean of its points."
    if not np.allclose(moved, [[0, 2], [11, 3], [90, 90]]):
        return f"your centroids end at {moved.round(2).tolist()}; the means of their points are (0, 2) and (11, 3), and the empty one stays at (90, 90)."
    return None


def _nan_step(points, centroids):
    labels = np.linalg.norm(points[:, None] - centroids, axis=-1).argmin(1)
    members = np.eye(len(centroids))[labels]  # (n, k)
    return labels, members.T @ points / members.sum(0)[:, None]


def _origin_step(points, centroids):
    labels = np.linalg.norm(points[:, None] - centroids, axis=-1).argmin(1)
    members = np.eye(len(centroids))[labels]  # (n, k)
    return labels, members.T @ points / np.maximum(members.sum(0), 1)[:, None]


def _farthest_step(points, centroids):
    labels = np.linalg.norm(points[:, None] - centroids, axis=-1).argmax(1)
    return labels, centroids


def _wrong_axis_step(points, centroids):
    return np.linalg.norm(points[:, None] - centroids, axis=-1).argmin(0), centroids


# ------------------------------------------------------------------------------------- 08.3 V-measure


def entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def v_measure(counts: np.ndarray) -> float:
    def entropy(numbers):
        shares = numbers[numbers > 0] / numbers.sum()
        return -(shares * np.log(shares)).sum()

    classes, clusters = entropy(counts.sum(1)), entropy(counts.sum(0))
    shared = classes + clusters - entropy(counts.ravel())
    homogeneity, completeness = shared / classes, shared / clusters
    return 2 * homogeneity * completeness / (homogeneity + completeness)


def _shares(counts: np.ndarray) -> tuple[float, float]:
    """Homogeneity and completeness."""
    classes, clusters = entropy(counts.sum(1)), entropy(counts.sum(0))
    shared = classes + clusters - entropy(counts.ravel())
    return shared / classes, shared / clusters


def _v_measure_problem(answer) -> str | None:
    counts = np.array([[4, 0, 0, 2], [0, 5, 1, 0], [1, 0, 5, 6]])
    with np.errstate(all="ignore"):
        value = answer(counts)
    if not isinstance(value, (int, float, np.floating)):
        return f"it gives {value!r}; it must give one number."
    if math.isnan(value):
        return "it gives NaN: an empty cell has a share of 0 and log 0 does not exist. Leave empty cells out of the sum."
    homogeneity, completeness = _shares(counts)
    sentences = {
        homogeneity: "that is homogeneity alone (is each cluster of one class?): completeness is missing.",
        completeness: "that is completeness alone (is each class in one cluster?): homogeneity is missing.",
        (homogeneity + completeness)
        / 2: "that is the plain mean of the two; V-measure is their harmonic mean.",
        counts.max(0).sum()
        / counts.sum(): "that is purity, the share of texts of their cluster's main class; it is 1 if every text is alone.",
    }
    if mistake := named_mistake(value, sentences, rel_tol=1e-6):
        return mistake
    right = v_measure(counts)
    return (
        None if math.isclose(value, right, rel_tol=1e-6) else f"it gives {value:.3f}; it must be {right:.3f}."
    )


def _v_with_nan(counts):
    def entropy(numbers):
        shares = numbers / numbers.sum()
        return -(shares * np.log(shares)).sum()

    classes, clusters = entropy(counts.sum(1)), entropy(counts.sum(0))
    return 2 * (classes + clusters - entropy(counts.ravel())) / (classes + clusters)


# -------------------------------------------------------------------------- 08.4 class-based TF-IDF


def class_tfidf(counts: np.ndarray) -> np.ndarray:
    average = counts.sum() / len(counts)  # words in a cluster
    return counts * np.log(1 + average / counts.sum(0))


def _class_tfidf_problem(answer) -> str | None:
    counts = np.array([[8.0, 1.0, 1.0, 0.0], [8.0, 0.0, 0.0, 2.0], [8.0, 0.0, 1.0, 1.0]])
    weights = np.asarray(answer(counts))
    if weights.shape != counts.shape:
        return f"for counts of shape (3, 4) it gives shape {weights.shape}; each cluster needs a weight for each word."
    total, average = counts.sum(0), counts.sum() / len(counts)
    wrong = {
        "you give every word its count alone: a word that all clusters use then leads in each. Weigh rare words up.": counts,
        "you give the second factor alone: a word that a cluster never uses then names it. Multiply by the counts.": (
            np.tile(np.log(1 + average / total), (3, 1))
        ),
        "A must be the mean number of words in a cluster; yours is that of all clusters together.": (
            counts * np.log(1 + counts.sum() / total)
        ),
        "the 1 + inside the logarithm is missing: the most frequent word gets a weight below 0.": (
            counts * np.log(average / total)
        ),
        "you count in how many clusters a word is, as TF-IDF does with texts; here count how often it is in all of them.": (
            counts * np.log(1 + average / (counts > 0).sum(0))
        ),
    }
    for sentence, values in wrong.items():
        if np.allclose(weights, values):
            return sentence
    if not np.allclose(weights, class_tfidf(counts)):
        return (
            f"the first word of the first cluster gets {weights[0, 0]:.3f}; "
            f"8 · log(1 + 10 / 24) is {class_tfidf(counts)[0, 0]:.3f}."
        )
    return None


EXERCISES = {
    "08.1": Exercise(
        "mean pooling without padding",
        mean_pool,
        _pool_problem,
        (
            (lambda hidden, mask: hidden.mean(1), "with the padding"),
            (lambda hidden, mask: (hidden * mask[:, :, None]).mean(1), "divided by all"),
            (lambda hidden, mask: (hidden * mask[:, :, None]).sum(1), "sum"),
            (lambda hidden, mask: hidden[:, 0], "mean is"),
        ),
    ),
    "08.2": Exercise(
        "one step of k-means",
        step,
        _step_problem,
        (
            (_nan_step, "NaN"),
            (_origin_step, "(0, 0)"),
            (_farthest_step, "nearest"),
            (_wrong_axis_step, "each point"),
        ),
    ),
    "08.3": Exercise(
        "V-measure from a table",
        v_measure,
        _v_measure_problem,
        (
            (lambda counts: sum(_shares(counts)) / 2, "harmonic"),
            (lambda counts: _shares(counts)[0], "completeness is missing"),
            (lambda counts: counts.max(0).sum() / counts.sum(), "purity"),
            (_v_with_nan, "NaN"),
        ),
    ),
    "08.4": Exercise(
        "words that name a cluster",
        class_tfidf,
        _class_tfidf_problem,
        (
            (lambda counts: counts, "count alone"),
            (lambda counts: counts * np.log(1 + counts.sum() / counts.sum(0)), "all clusters together"),
            (lambda counts: counts * np.log(counts.sum() / len(counts) / counts.sum(0)), "below 0"),
            (
                lambda counts: counts * np.log(1 + counts.sum() / len(counts) / (counts > 0).sum(0)),
                "in how many",
            ),
        ),
    ),
}
