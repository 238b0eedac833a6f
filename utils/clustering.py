"""Vectors to clusters: k-means by hand, how many clusters, density, a map, names and scores.

What the course teaches (k-means, class-based TF-IDF, scores with labels) is written out here; HDBSCAN,
t-SNE and the silhouette are scikit-learn's. Not for drawing (`plots`); `embedding` makes the vectors.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.cluster import HDBSCAN
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from tqdm.auto import tqdm

from utils.embedding import WORD, check_texts, check_vectors, embed, normalize, pool, whiten  # noqa: F401

NOISE = -1  # the label that HDBSCAN gives to what belongs nowhere


# -------------------------------------------------------------------------------------------- k-means


@dataclass(frozen=True)
class Clusters:
    """What k-means leaves: a cluster for each text (n,), centroids (k, hidden), inertia (squared distance)."""

    labels: np.ndarray
    centroids: np.ndarray
    inertia: float


def squared_distances(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return |x - c|² = |x|² - 2 x·c + |c|² for each pair: (n, hidden) and (k, hidden) -> (n, k)."""
    squares = (vectors**2).sum(1)[:, None] + (centroids**2).sum(1)
    return np.maximum(squares - 2 * vectors @ centroids.T, 0)


def k_means(vectors: np.ndarray, k: int, seed: int = 0, restarts: int = 10) -> Clusters:
    """Return the best of `restarts` runs of `lloyd`, each from a start of `k_means_plus_plus`.

    Raises:
        ValueError: fewer texts (or fewer different vectors) than clusters, NaN, k below 1.
    """
    vectors = check_vectors(vectors)
    if not 1 <= k <= len(vectors):
        raise ValueError(
            f"{k} clusters of {len(vectors)} texts cannot be: choose k from 1 to {len(vectors)}."
        )
    random = np.random.default_rng(seed)
    runs = (lloyd(vectors, k_means_plus_plus(vectors, k, random)) for _ in range(restarts))
    return min(runs, key=lambda clusters: clusters.inertia)


def lloyd(vectors: np.ndarray, centroids: np.ndarray, iterations: int = 300) -> Clusters:
    """Assign each text to its nearest centroid, move centroids to their texts' mean, until nothing changes.

    Lloyd (1982). A centroid that lost all its texts moves to the text that is worst served.
    """
    vectors, centroids, labels = check_vectors(vectors), check_vectors(centroids), None
    for _ in range(iterations):
        distances = squared_distances(vectors, centroids)  # (n, k)
        before, labels = labels, distances.argmin(1)  # (n,)
        if before is not None and np.array_equal(before, labels):
            break
        members = np.eye(len(centroids))[labels]  # (n, k): 1 in the column of the text's cluster
        counts = members.sum(0)  # (k,)
        centroids = members.T @ vectors / np.maximum(counts, 1)[:, None]  # (k, n) @ (n, hidden)
        lost = np.flatnonzero(counts == 0)
        centroids[lost] = vectors[distances.min(1).argsort()[::-1][: len(lost)]]
    labels = squared_distances(vectors, centroids).argmin(1)
    return Clusters(labels, centroids, float(((vectors - centroids[labels]) ** 2).sum()))


def k_means_plus_plus(vectors: np.ndarray, k: int, random: np.random.Generator) -> np.ndarray:
    """Draw k texts as first centroids (k, hidden), each with a chance that grows with the squared distance
    to the nearest one drawn before (Arthur and Vassilvitskii, 2007)."""
    drawn = [vectors[random.integers(len(vectors))]]
    nearest = np.full(len(vectors), np.inf)
    while len(drawn) < k:
        nearest = np.minimum(nearest, ((vectors - drawn[-1]) ** 2).sum(1))
        if nearest.sum() == 0:
            raise ValueError(
                f"only {len(drawn)} of the vectors differ: choose at most {len(drawn)} clusters, not {k}."
            )
        drawn.append(vectors[random.choice(len(vectors), p=nearest / nearest.sum())])
    return np.array(drawn)


# ------------------------------------------------------------------------------------- how many clusters


def choose_k(vectors: np.ndarray, candidates: Iterable[int], seed: int = 0) -> pd.DataFrame:
    """Return a row for each k: k, inertia, silhouette (-1 to 1) and stability (to 1); high is good but for inertia.

    Raises:
        ValueError: a candidate below 2, or not below the number of texts.
    """
    vectors, rows = check_vectors(vectors, at_least=3), []
    candidates = sorted(set(candidates))
    if not candidates or candidates[0] < 2 or candidates[-1] >= len(vectors):
        raise ValueError(
            f"candidates for k are {candidates}: choose from 2 to {len(vectors) - 1}, one fewer than texts."
        )
    for k in tqdm(candidates, desc="Choosing k", delay=2):
        clusters = k_means(vectors, k, seed)
        rows.append((k, clusters.inertia, silhouette(vectors, clusters.labels), stability(vectors, k, seed)))
    return pd.DataFrame(rows, columns=["k", "inertia", "silhouette", "stability"])


def elbow(table: pd.DataFrame) -> int:
    """Return the k at which the curve of inertia bends most: farthest below the line from its first to its
    last point, both axes scaled to 0..1 (Satopää et al., 2011). Takes the table of `choose_k`."""
    if len(table) < 3:
        raise ValueError(f"an elbow needs at least 3 candidates for k, there are {len(table)}: try more.")
    k, inertia = (table[column].to_numpy(float) for column in ("k", "inertia"))
    across = (k - k[0]) / (k[-1] - k[0])
    down = (inertia[0] - inertia) / max(inertia[0] - inertia[-1], 1e-12)
    return int(table["k"].iloc[np.argmax(down - across)])


def silhouette(vectors: np.ndarray, labels: Sequence[int], sample: int = 2000, seed: int = 0) -> float:
    """Return how much nearer texts are to their own cluster than to the next, -1 to 1 (Rousseeuw, 1987).

    scikit-learn's. Noise (-1) is left out; of more than `sample` texts, so many are drawn.
    """
    vectors, labels = check_vectors(vectors), _same_length(labels, vectors)
    vectors, labels = vectors[labels != NOISE], labels[labels != NOISE]
    count = len(set(labels))
    if not 2 <= count < len(labels):
        raise ValueError(
            f"a silhouette compares clusters, and here are {count} of {len(labels)} texts: it needs at least 2, and fewer than texts."
        )
    return float(silhouette_score(vectors, labels, sample_size=min(sample, len(labels)), random_state=seed))


def stability(vectors: np.ndarray, k: int, seed: int = 0, pairs: int = 3) -> float:
    """Return how alike two k-means are that each saw its own 80% of the texts: mean adjusted Rand index.

    All texts are put to the nearest centroid of both; 1 is the same partition (Ben-Hur et al., 2002).
    """
    vectors, random, found = check_vectors(vectors), np.random.default_rng(seed), []
    for _ in range(pairs):
        parts = [random.permutation(len(vectors))[: max(k, int(0.8 * len(vectors)))] for _ in range(2)]
        centroids = [
            k_means(vectors[part], k, int(random.integers(2**31)), restarts=3).centroids for part in parts
        ]
        found.append(adjusted_rand(*(squared_distances(vectors, c).argmin(1) for c in centroids)))
    return float(np.mean(found))


# ------------------------------------------------------------------------------ density, map, names


def density_clusters(vectors: np.ndarray, smallest: int = 10) -> np.ndarray:
    """Return a cluster for each text (n,), -1 for noise: HDBSCAN (Campello et al., 2013), scikit-learn's.

    It chooses the number of clusters. In many dimensions all is far from all: reduce first, with `whiten`.
    """
    vectors = check_vectors(vectors)
    if not 2 <= smallest <= len(vectors):
        raise ValueError(
            f"smallest={smallest} of {len(vectors)} texts: choose a cluster size from 2 to {len(vectors)}."
        )
    return HDBSCAN(min_cluster_size=smallest, copy=True).fit_predict(vectors)


def map_2d(vectors: np.ndarray, seed: int = 0, perplexity: float = 30) -> np.ndarray:
    """Return a place for each text, (n, 2): PCA to at most 50 dimensions, then t-SNE (van der Maaten and Hinton, 2008).

    Near stays near; distances between groups and sizes of groups mean nothing. Few texts: lower perplexity.
    """
    vectors = check_vectors(vectors, at_least=4)
    if (vectors == vectors[0]).all():
        raise ValueError("all vectors are the same: there is nothing to map.")
    reduced = PCA(min(50, *vectors.shape), random_state=seed).fit_transform(vectors)  # (n, hidden) -> (n, 50)
    reduced = np.pad(reduced, [(0, 0), (0, max(0, 2 - reduced.shape[1]))])
    return TSNE(
        perplexity=min(perplexity, (len(vectors) - 1) / 3), init="pca", random_state=seed
    ).fit_transform(reduced)


def class_tfidf(counts: np.ndarray) -> np.ndarray:
    """Weigh words by cluster: counts (clusters, words) -> weights (clusters, words).

    w[c, t] = tf[c, t] · log(1 + A / tf[t]): how often c uses t, and how rare t is over all clusters;
    A is the mean number of words in a cluster (Grootendorst, 2022, section 3.3).
    """
    total = np.maximum(counts.sum(0), 1)  # (words,)
    return counts * np.log(1 + counts.sum() / len(counts) / total)


def name_clusters(
    texts: Sequence[str],
    labels: Sequence[int],
    words: int = 4,
    stop_words: str | list[str] | None = "english",
) -> dict[int, str]:
    """Return a name for each cluster but noise: its `words` heaviest words by `class_tfidf`.

    Raises:
        ValueError: fewer than two clusters (there is nothing to tell apart), or no words at all.
    """
    texts = check_texts(texts)
    labels = _same_length(labels, texts)
    names = sorted(set(labels[labels != NOISE].tolist()))
    if len(names) < 2:
        raise ValueError(f"names tell clusters apart, and here are {len(names)}: find at least 2.")
    vectorizer = CountVectorizer(token_pattern=WORD, stop_words=stop_words)
    try:
        counts = vectorizer.fit_transform(texts)  # (n, words)
    except ValueError:  # scikit-learn: empty vocabulary
        raise ValueError(
            "the texts hold no words but stop words: pass stop_words=None or other texts."
        ) from None
    weights = class_tfidf(np.vstack([np.asarray(counts[labels == name].sum(0)).ravel() for name in names]))
    vocabulary, order = vectorizer.get_feature_names_out(), np.argsort(-weights, axis=1, kind="stable")
    best = [[vocabulary[t] for t in order[row, :words] if weights[row, t] > 0] for row in range(len(names))]
    return {name: ", ".join(row) or f"cluster {name}" for name, row in zip(names, best, strict=True)}


# ----------------------------------------------------------------------------------- scores with labels


def contingency(classes: Sequence, clusters: Sequence) -> np.ndarray:
    """Count the texts of each class (rows) in each cluster (columns); noise counts as one cluster."""
    rows, columns = (
        np.unique(_same_length(side, clusters), return_inverse=True)[1] for side in (classes, clusters)
    )
    if not len(rows):
        raise ValueError("there is no text to score: give at least one class and its cluster.")
    counts = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(counts, (rows, columns), 1)
    return counts


def purity(classes: Sequence, clusters: Sequence) -> float:
    """Return the share of texts that are of their cluster's most frequent class; 1 if each text is alone."""
    counts = contingency(classes, clusters)
    return float(counts.max(0).sum() / counts.sum())


def homogeneity_completeness(classes: Sequence, clusters: Sequence) -> tuple[float, float]:
    """Return 1 - H(class | cluster) / H(class) and 1 - H(cluster | class) / H(cluster): 1 if each cluster is of
    one class, and if each class is in one cluster (Rosenberg and Hirschberg, 2007)."""
    counts = contingency(classes, clusters)
    by_class, by_cluster = _entropy(counts.sum(1)), _entropy(counts.sum(0))
    shared = by_class + by_cluster - _entropy(counts.ravel())  # mutual information
    return tuple(min(1.0, max(0.0, shared / h)) if h else 1.0 for h in (by_class, by_cluster))


def v_measure(classes: Sequence, clusters: Sequence) -> float:
    """Return the harmonic mean of homogeneity and completeness, 0 to 1; the same as NMI with the mean entropy."""
    homogeneity, completeness = homogeneity_completeness(classes, clusters)
    total = homogeneity + completeness
    return 2 * homogeneity * completeness / total if total else 0.0


def adjusted_rand(classes: Sequence, clusters: Sequence) -> float:
    """Return the share of pairs of texts on which both agree, less chance: 1 the same, 0 chance (Hubert and Arabie, 1985)."""
    counts = contingency(classes, clusters)
    both, one, other, pairs = (
        float((n * (n - 1) / 2).sum()) for n in (counts, counts.sum(1), counts.sum(0), counts.sum())
    )
    chance, most = (one * other / pairs if pairs else 0.0), (one + other) / 2
    return (both - chance) / (most - chance) if most != chance else 1.0


def scores(classes: Sequence, clusters: Sequence) -> dict[str, float]:
    """Return purity, homogeneity, completeness, V-measure and adjusted Rand index in percent."""
    homogeneity, completeness = homogeneity_completeness(classes, clusters)
    found = {"purity": purity(classes, clusters), "homogeneity": homogeneity, "completeness": completeness}
    found |= {"v_measure": v_measure(classes, clusters), "adjusted_rand": adjusted_rand(classes, clusters)}
    return {name: 100 * value for name, value in found.items()}


def _entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _same_length(labels: Sequence, texts: Sequence) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != (len(texts),):
        raise ValueError(
            f"{len(texts)} texts and labels of shape {labels.shape}: give one label for each text."
        )
    return labels
