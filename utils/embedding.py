"""Texts to vectors: a BERT's with several poolings, whitened or not, and the classical TF-IDF with SVD.

Not for training a BERT (`finetuning`), and not for what is done with the vectors (`clustering`).
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from tqdm.auto import tqdm

from utils import finetuning, models
from utils.classifier import mean_pool
from utils.profile import device, get_profile

POOLINGS = ("mean", "cls", "max")
CHUNK = 1024  # texts cut and embedded at a time: memory stays flat, and the bar moves
WORD = r"(?u)\b[^\W\d_]{2,}\b"  # letters of any script, two or more


def embed(
    texts: Sequence[str],
    pooling: str = "mean",
    layers: int = 1,
    name: str | None = None,
    max_length: int | None = None,
    batch_size: int = 64,
    progress: bool = True,
) -> np.ndarray:
    """Return one vector a text, (texts, hidden), in the order of `texts`; not normalised.

    Texts of like length share a batch. A bar appears when it takes longer than two seconds.

    Args:
        pooling, layers: how token vectors become one, see `pool`.
        name: Hub id or folder of a BERT (default: the profile's backbone).
        max_length: in word pieces, longer texts are cut (default: the profile's).

    Raises:
        ValueError: no texts, an empty one, or a pooling, layers or max_length that the model has not.
        ModelError: the model cannot be had.
    """
    texts = check_texts(texts)
    tokenizer, encoder = models.load("encoder", name)
    max_length = get_profile().max_length if max_length is None else max_length
    _check_settings(encoder.config, pooling, layers, max_length)
    encoder.to(device())
    other = None if (pooling, layers) == ("mean", 1) else partial(pool, pooling=pooling, layers=layers)
    order = np.argsort([len(text) for text in texts], kind="stable")
    vectors = np.zeros((len(texts), encoder.config.hidden_size), dtype=np.float32)
    with tqdm(total=len(texts), desc="Embedding", unit=" texts", delay=2, disable=not progress) as bar:
        for start in range(0, len(texts), CHUNK):
            part = order[start : start + CHUNK]
            pieces = tokenizer([texts[i] for i in part], truncation=True, max_length=max_length)["input_ids"]
            rows = [{"input_ids": ids} for ids in pieces]
            vectors[part] = finetuning.embed(encoder, rows, batch_size, other)
            bar.update(len(part))
    return vectors


def pool(
    hidden_states: Sequence[torch.Tensor],
    attention_mask: torch.Tensor,
    pooling: str = "mean",
    layers: int = 1,
) -> torch.Tensor:
    """Turn token vectors to one a text: layers of (batch, sequence, hidden) -> (batch, hidden).

    The last `layers` layers are averaged first. Then: "mean" of the real tokens, "max" of them in each
    dimension, or "cls", the first token's vector (Reimers and Gurevych, 2019, section 3).
    """
    states = torch.stack(tuple(hidden_states[-layers:])).mean(0)  # (layers, b, s, n) -> (b, s, n)
    if pooling == "cls":
        return states[:, 0]
    if pooling == "max":
        return states.masked_fill(attention_mask[..., None] == 0, -torch.inf).amax(1)
    return mean_pool(states, attention_mask)


def tfidf_vectors(texts: Sequence[str], dimensions: int = 100, seed: int = 0) -> np.ndarray:
    """Return the classical baseline, TF-IDF and SVD (Deerwester et al., 1990): (texts, dimensions), length 1.

    A text without any word keeps a vector of zeros; a small vocabulary gives fewer dimensions.
    """
    texts, vectorizer = check_texts(texts), TfidfVectorizer(sublinear_tf=True, token_pattern=WORD)
    words_of = vectorizer.build_analyzer()
    if len({word for text in texts for word in words_of(text)}) < 2:
        raise ValueError("the texts hold fewer than two different words: TF-IDF and SVD need more.")
    counts = vectorizer.fit_transform(texts)  # (n, words)
    vectors = TruncatedSVD(min(dimensions, *counts.shape), random_state=seed).fit_transform(counts)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def normalize(vectors: np.ndarray) -> np.ndarray:
    """Scale each vector to length 1, (n, hidden): distance and cosine then give the same order."""
    vectors = check_vectors(vectors)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if (zero := np.flatnonzero(lengths == 0)).size:
        raise ValueError(f"vector {zero[0]} is all zeros and has no direction: drop that text.")
    return vectors / lengths


def whiten(vectors: np.ndarray, dimensions: int | None = None) -> np.ndarray:
    """Rotate and scale so that every dimension has variance 1 and none correlate: (n, hidden) -> (n, dimensions).

    The directions that vary most come first (Su et al., 2021). The default keeps all that vary.
    """
    vectors = check_vectors(vectors, at_least=2)
    centred = vectors - vectors.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)  # centred = left @ diag(sizes) @ right
    rank = int((sizes > 1e-5 * sizes[0]).sum())
    if rank == 0:
        raise ValueError("all vectors are the same: there is nothing to whiten.")
    dimensions = rank if dimensions is None else dimensions
    if not 1 <= dimensions <= rank:
        raise ValueError(
            f"the vectors vary in {rank} directions, not in {dimensions}: choose 1 to {rank} dimensions, or add texts."
        )
    return left[:, :dimensions] * np.sqrt(len(vectors) - 1)


def near_duplicates(vectors: np.ndarray, least: float = 0.95) -> list[tuple[int, int, float]]:
    """Return the pairs of texts (i, j, cosine), i < j, whose cosine is `least` or more; the closest first."""
    vectors, pairs = normalize(vectors), []
    for start in range(0, len(vectors), CHUNK):  # never the whole (n, n) table
        cosines = vectors[start : start + CHUNK] @ vectors.T  # (chunk, n)
        rows, columns = np.nonzero(cosines >= least)
        found = zip(rows + start, columns, cosines[rows, columns], strict=True)
        pairs += [(int(i), int(j), float(cosine)) for i, j, cosine in found if i < j]
    return sorted(pairs, key=lambda pair: -pair[2])


# ------------------------------------------------------------------------------------------ bad input


def check_vectors(vectors, at_least: int = 1) -> np.ndarray:
    vectors = np.asarray(vectors, dtype=np.float64)
    if vectors.ndim != 2 or not vectors.shape[1]:
        raise ValueError(
            f"the vectors have shape {vectors.shape}: give (texts, hidden), a row for each text."
        )
    if len(vectors) < at_least:
        raise ValueError(f"there are {len(vectors)} vectors: this needs at least {at_least}.")
    if (bad := np.flatnonzero(~np.isfinite(vectors).all(1))).size:
        raise ValueError(
            f"vector {bad[0]} holds NaN or infinity (as do {bad.size - 1} more): drop or embed it again."
        )
    return vectors


def check_texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str) or not len(texts):
        raise ValueError("texts must be a list of at least one text.")
    texts = list(texts)
    if bad := [i for i, text in enumerate(texts) if not isinstance(text, str) or not text.strip()]:
        raise ValueError(
            f"text {bad[0]} is empty or no text (as are {len(bad) - 1} more): drop or fill such rows."
        )
    return texts


def _check_settings(config, pooling: str, layers: int, max_length: int) -> None:
    if pooling not in POOLINGS:
        raise ValueError(f"pooling={pooling!r} is unknown: choose one of {', '.join(POOLINGS)}.")
    if not 1 <= layers <= config.num_hidden_layers:
        raise ValueError(
            f"layers={layers}: this model has {config.num_hidden_layers}, choose 1 to that many."
        )
    if not 3 <= max_length <= config.max_position_embeddings:
        raise ValueError(
            f"max_length={max_length}: choose 3 to {config.max_position_embeddings} word pieces."
        )
