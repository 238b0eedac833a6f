"""Clustering: what is written by hand equals scikit-learn's, and bad input gets one line."""

import json
import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import assert_one_line, load_script
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from transformers import AutoModel, AutoTokenizer

from utils import clustering, embedding, finetuning
from utils.clustering import k_means, lloyd, scores

TEXTS = ["good lamp", "the chair not good not very good", "bad", "very very bad chair the the lamp lamp"]
labelings = st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 5)), min_size=1, max_size=40)
points = arrays.arrays(  # whole numbers: many equal points, many ties
    np.float64, st.tuples(st.integers(1, 25), st.integers(1, 3)), elements=st.integers(-5, 5).map(float)
)


def blobs(count=40, groups=3, hidden=5, apart=8.0, seed=0):
    """Return (vectors, groups): `groups` clouds of `count` points each."""
    random = np.random.default_rng(seed)
    centres = apart * np.eye(groups, hidden)
    return np.concatenate([random.normal(c, 1, (count, hidden)) for c in centres]), np.arange(groups).repeat(
        count
    )


# ------------------------------------------------------------------------------------ texts to vectors


@pytest.fixture
def tiny(tiny_bert):
    """(name, encoder, function from texts to rows) of a tiny BERT with 2 layers."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    encoder = AutoModel.from_pretrained(tiny_bert).eval()
    return (
        str(tiny_bert),
        encoder,
        lambda texts: [{"input_ids": ids} for ids in tokenizer(texts)["input_ids"]],
    )


@torch.inference_mode()
def one_by_one(tiny, pooling, layers):
    """The definition, text by text, without padding."""
    _, encoder, rows = tiny
    found = []
    for row in rows(TEXTS):
        states = encoder(torch.tensor([row["input_ids"]]), output_hidden_states=True).hidden_states
        tokens = sum(states[-layer][0] for layer in range(1, layers + 1)) / layers  # (sequence, hidden)
        ways = {"mean": tokens.mean(0), "cls": tokens[0], "max": tokens.max(0).values}
        found.append(ways[pooling].numpy())
    return np.array(found)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("layers", [1, 2])
def test_every_pooling_is_its_definition_and_padding_does_not_count(tiny, pooling, layers):
    found = clustering.embed(TEXTS, pooling, layers, name=tiny[0])
    assert found.shape == (4, 32) and found.dtype == np.float32
    np.testing.assert_allclose(found, one_by_one(tiny, pooling, layers), atol=2e-5)


def test_the_default_is_what_finetuning_embeds(tiny):
    name, encoder, rows = tiny
    np.testing.assert_array_equal(clustering.embed(TEXTS, name=name), finetuning.embed(encoder, rows(TEXTS)))


def test_vectors_come_in_the_order_of_the_texts_across_chunks(tiny, monkeypatch):
    whole = clustering.embed(TEXTS, name=tiny[0])
    monkeypatch.setattr(embedding, "CHUNK", 3)
    np.testing.assert_allclose(clustering.embed(TEXTS, name=tiny[0], batch_size=2), whole, atol=2e-5)


def test_progress_counts_the_texts_and_can_be_silent(tiny, monkeypatch):
    bars = []

    class Bar:
        def __init__(self, total, disable, **other):
            self.total, self.disable, self.done = total, disable, []
            bars.append(self)

        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda self, *error: None  # noqa: E731
        update = lambda self, count: self.done.append(count)  # noqa: E731

    monkeypatch.setattr(embedding, "tqdm", Bar)
    monkeypatch.setattr(embedding, "CHUNK", 3)
    clustering.embed(TEXTS, name=tiny[0])
    clustering.embed(TEXTS, name=tiny[0], progress=False)
    assert [(bar.total, bar.done, bar.disable) for bar in bars] == [(4, [3, 1], False), (4, [3, 1], True)]


def test_the_settings_backbone_and_max_length_count(tiny, monkeypatch):
    monkeypatch.setenv("BERT_WORKSHOP_BACKBONE", tiny[0])
    long, cut = clustering.embed(TEXTS[3:]), clustering.embed(TEXTS[3:], max_length=5)
    np.testing.assert_allclose(cut, clustering.embed(["very very bad"]), atol=2e-5)  # [CLS], 3 words, [SEP]
    assert np.abs(long - cut).max() > 0.01


@pytest.mark.parametrize(
    ("texts", "options", "words"),
    [
        ([], {}, ["at least one"]),
        ("good lamp", {}, ["list"]),
        (["good", "  ", ""], {}, ["text 1 ", "1 more"]),
        (["good", None], {}, ["text 1 "]),
        (["good", math.nan], {}, ["text 1 "]),
        (["good"], {"pooling": "sum"}, ["'sum'", "mean, cls, max"]),
        (["good"], {"layers": 3}, ["layers=3", "2"]),
        (["good"], {"layers": 0}, ["layers=0"]),
        (["good"], {"max_length": 65}, ["max_length=65", "64"]),
        (["good"], {"max_length": 2}, ["max_length=2"]),
        (["good"], {"max_length": 0}, ["max_length=0"]),
    ],
)
def test_bad_texts_and_settings_are_one_line(tiny, texts, options, words):
    with pytest.raises(ValueError) as error:
        clustering.embed(texts, name=tiny[0], **options)
    assert_one_line(error, *words)


def test_pandas_columns_are_texts(tiny):
    column = pd.Series(TEXTS, index=[7, 3, 9, 1])
    np.testing.assert_array_equal(
        clustering.embed(column, name=tiny[0]), clustering.embed(TEXTS, name=tiny[0])
    )


def test_normalized_vectors_have_length_1_and_their_direction():
    vectors = blobs()[0]
    unit = clustering.normalize(vectors)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1)
    np.testing.assert_allclose(unit * np.linalg.norm(vectors, axis=1)[:, None], vectors)


def test_whitened_vectors_do_not_correlate_and_equal_scikit_learns():
    vectors = blobs()[0] @ np.random.default_rng(1).normal(size=(5, 5)) + 100
    for dimensions in (5, 2):
        white = clustering.whiten(vectors, dimensions)
        np.testing.assert_allclose(np.cov(white.T), np.eye(dimensions), atol=1e-9)
        np.testing.assert_allclose(white.mean(0), 0, atol=1e-9)
        theirs = PCA(dimensions, whiten=True).fit_transform(vectors)
        np.testing.assert_allclose(np.abs(white), np.abs(theirs), atol=1e-8)  # the sign is free


def test_whitening_keeps_only_directions_that_vary():
    vectors = np.random.default_rng(0).normal(size=(6, 20)).astype(np.float32)
    assert clustering.whiten(vectors).shape == (6, 5)  # 6 points span 5 directions
    vectors = blobs()[0]
    sums = np.column_stack([vectors, vectors.sum(1)]).astype(
        np.float32
    )  # depends on the rest but for rounding
    assert clustering.whiten(sums).shape == (120, 5)


def test_near_duplicates_are_the_pairs_above_the_cosine(monkeypatch):
    vectors = np.array([[1, 0], [0, 2], [5, 0.1], [0, -1], [3, 0]])
    expected = [(0, 4), (0, 2), (2, 4)]
    for chunk in (1024, 2):
        monkeypatch.setattr(embedding, "CHUNK", chunk)
        found = embedding.near_duplicates(vectors, 0.99)
        assert [(i, j) for i, j, _ in found] == expected
    assert found[0][2] == pytest.approx(1) and found[1][2] == pytest.approx(5 / math.sqrt(25.01))


def test_tfidf_vectors_put_like_words_together():
    found = embedding.tfidf_vectors(["lamp shade", "lamp shade cord", "chair leg", "chair leg seat", "42"], 2)
    assert found.shape == (5, 2)
    assert found[0] @ found[1] > 0.9 > 0.1 > abs(found[0] @ found[2])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1, 1, 1, 1, 0])


# -------------------------------------------------------------------------------------------- k-means


def test_squared_distances_are_exact():
    vectors, centroids = blobs(seed=1)[0], blobs(2, seed=2)[0]
    expected = ((vectors[:, None] - centroids[None]) ** 2).sum(-1)
    np.testing.assert_allclose(clustering.squared_distances(vectors, centroids), expected, atol=1e-10)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("apart", [0.0, 4.0])
def test_from_the_same_start_lloyd_ends_where_scikit_learn_does(seed, apart):
    vectors = blobs(apart=apart, seed=seed)[0]
    start = clustering.k_means_plus_plus(vectors, 4, np.random.default_rng(seed))
    ours = lloyd(vectors, start)
    theirs = KMeans(4, init=start, n_init=1, tol=0, algorithm="lloyd").fit(vectors)
    np.testing.assert_array_equal(ours.labels, theirs.labels_)
    np.testing.assert_allclose(ours.centroids, theirs.cluster_centers_, atol=1e-9)
    assert ours.inertia == pytest.approx(theirs.inertia_)


def test_one_step_by_hand():
    ours = lloyd(np.array([[0.0], [1.0], [5.0], [9.0]]), np.array([[0.0], [1.0]]), iterations=1)
    np.testing.assert_allclose(ours.centroids, [[0], [5]])  # the mean of 0; the mean of 1, 5 and 9
    np.testing.assert_array_equal(ours.labels, [0, 0, 1, 1])
    assert ours.inertia == 0 + 1 + 0 + 16


def test_k_means_finds_the_groups_and_is_as_good_as_scikit_learn():
    vectors, groups = blobs()
    ours = k_means(vectors, 3)
    assert metrics.adjusted_rand_score(groups, ours.labels) == 1
    crowd = blobs(apart=1.0, groups=5)[0]
    assert k_means(crowd, 8).inertia <= 1.02 * KMeans(8, n_init=10, random_state=0).fit(crowd).inertia_


def test_a_seed_gives_the_same_clusters_and_restarts_only_help():
    vectors = blobs(apart=1.0)[0]
    np.testing.assert_array_equal(k_means(vectors, 6, seed=3).labels, k_means(vectors, 6, seed=3).labels)
    assert k_means(vectors, 6, seed=3).inertia <= k_means(vectors, 6, seed=3, restarts=1).inertia
    starts = {k_means(vectors, 6, seed=seed, restarts=1).inertia for seed in range(8)}
    assert len(starts) > 1


@given(vectors=points, k=st.integers(1, 6))
def test_k_means_holds_its_promises(vectors, k):
    different = len(np.unique(vectors, axis=0))
    if different < k:
        with pytest.raises(ValueError) as error:
            k_means(vectors, k, restarts=2)
        return assert_one_line(error, str(k), "choose")
    found = k_means(vectors, k, restarts=2)
    assert set(found.labels) == set(range(k))  # no cluster is empty
    for name in range(k):
        np.testing.assert_allclose(found.centroids[name], vectors[found.labels == name].mean(0), atol=1e-9)
    distances = ((vectors[:, None] - found.centroids[None]) ** 2).sum(-1)
    np.testing.assert_allclose(distances[np.arange(len(vectors)), found.labels], distances.min(1), atol=1e-9)
    assert found.inertia == pytest.approx(distances.min(1).sum(), abs=1e-9)


@given(vectors=points, k=st.integers(1, 4))
def test_no_step_of_lloyd_makes_it_worse(vectors, k):
    inertia = [lloyd(vectors, vectors[[0] * k], iterations).inertia for iterations in range(6)]
    assert all(after <= before + 1e-9 for before, after in pairwise(inertia))


def test_a_centroid_that_lost_its_texts_goes_where_it_is_needed():
    vectors = blobs(groups=2)[0]
    found = lloyd(vectors, np.array([vectors[0], vectors[1], np.full(5, 1000.0)]))
    assert set(found.labels) == {0, 1, 2} and (found.centroids < 100).all()


def test_it_is_needed_where_the_distance_is_largest():
    vectors = np.array([[9.0], [0.0], [1.0], [2.0]])
    found = lloyd(vectors, np.array([[0.0], [1000.0]]), iterations=1)
    np.testing.assert_allclose(found.centroids, [[3], [9]])  # the mean of all four; the farthest


def test_k_means_plus_plus_draws_far_texts_more_often():
    vectors = np.array([[0.0], [1.0], [3.0]])
    drawn = [
        tuple(clustering.k_means_plus_plus(vectors, 2, np.random.default_rng(seed))[:, 0])
        for seed in range(3000)
    ]
    after_zero = [second for first, second in drawn if first == 0]
    assert after_zero.count(3.0) / len(after_zero) == pytest.approx(9 / 10, abs=0.03)  # 9 to 1
    assert after_zero.count(0.0) == 0 and len(after_zero) / 3000 == pytest.approx(1 / 3, abs=0.03)


def test_k_means_plus_plus_draws_no_text_twice():
    vectors = np.array([[0.0], [1.0], [3.0], [7.0]])
    for seed in range(20):
        drawn = clustering.k_means_plus_plus(vectors, 4, np.random.default_rng(seed))
        assert sorted(drawn[:, 0]) == [0, 1, 3, 7]


# ------------------------------------------------------------------------------------ how many clusters


def test_every_way_to_choose_k_finds_the_three_groups():
    table = clustering.choose_k(blobs()[0], [6, 2, 3, 4, 5])
    assert list(table["k"]) == [2, 3, 4, 5, 6]
    assert table["inertia"].is_monotonic_decreasing
    assert table["k"][table["silhouette"].idxmax()] == 3
    assert table["stability"][1] == 1 and (table["stability"].drop(1) < 1).all()
    assert clustering.elbow(table) == 3


def test_the_elbow_is_farthest_below_the_line():
    table = pd.DataFrame({"k": [2, 4, 6, 8], "inertia": [100.0, 30.0, 20.0, 0.0]})
    assert clustering.elbow(table) == 4  # the line says 67, 33 and 0 per cent there


def test_the_silhouette_is_scikit_learns_without_the_noise():
    vectors, groups = blobs(apart=2.0)
    labels = groups.copy()
    labels[::7] = -1
    kept = labels != -1
    assert clustering.silhouette(vectors, labels) == pytest.approx(
        metrics.silhouette_score(vectors[kept], labels[kept])
    )
    sampled = clustering.silhouette(vectors, groups, sample=60)
    assert sampled == clustering.silhouette(vectors, groups, sample=60)
    assert 0 < abs(sampled - clustering.silhouette(vectors, groups)) < 0.1


# ------------------------------------------------------------------------------- density, map, names


def test_hdbscan_finds_groups_and_calls_the_rest_noise():
    vectors, groups = blobs(apart=30.0, hidden=3)
    labels = clustering.density_clusters(np.concatenate([vectors, [[200.0, 0, 0], [0, -300.0, 0]]]))
    assert metrics.adjusted_rand_score(groups, labels[:-2]) > 0.9
    assert list(labels[-2:]) == [-1, -1]


def test_the_map_keeps_groups_together_and_a_seed_repeats_it():
    vectors, groups = blobs(count=15, hidden=60, apart=30.0)
    places = clustering.map_2d(vectors, seed=1)
    assert places.shape == (45, 2) and np.isfinite(places).all()
    assert metrics.silhouette_score(places, groups) > 0.5
    np.testing.assert_array_equal(places, clustering.map_2d(vectors, seed=1))


@pytest.mark.parametrize("shape", [(4, 8), (5, 1), (6, 2)])
def test_a_few_texts_make_a_map_too(shape):
    places = clustering.map_2d(np.random.default_rng(0).normal(size=shape))
    assert places.shape == (shape[0], 2) and np.isfinite(places).all()


def test_class_tfidf_by_hand():
    counts = np.array([[4, 2, 0], [4, 0, 2]])  # 12 words in 2 clusters: A = 6
    rare, common = math.log(1 + 6 / 2), math.log(1 + 6 / 8)
    expected = [[4 * common, 2 * rare, 0], [4 * common, 0, 2 * rare]]
    np.testing.assert_allclose(clustering.class_tfidf(counts), expected)


def test_clusters_are_named_by_their_own_words():
    texts = ["The lamp flickers", "a lamp and its shade", "Chair leg broke", "chair wobbles", "Parcel late"]
    names = clustering.name_clusters(texts, [0, 0, 3, 3, -1], words=2)
    assert names == {0: "lamp, flickers", 3: "chair, broke"}  # noise has no name; ties by the alphabet
    assert "parcel" not in " ".join(names.values())


def test_names_in_other_scripts_and_of_a_cluster_without_words():
    names = clustering.name_clusters(["η λάμπα", "Λάμπα 12", "20 %"], [0, 0, 1], words=3)
    assert names == {0: "λάμπα", 1: "cluster 1"}


# ----------------------------------------------------------------------------------- scores with labels


def test_scores_by_hand():
    found = scores(["a", "a", "a", "b"], [0, 0, 1, 1])
    assert found["purity"] == 75
    nats = {"class": math.log(4) - 0.75 * math.log(3), "given": 0.5 * math.log(2)}
    assert found["homogeneity"] == pytest.approx(100 * (1 - nats["given"] / nats["class"]))
    # 1 pair together in both, 3 in classes, 2 in clusters, 6 in all: chance 1
    assert found["adjusted_rand"] == pytest.approx(0)


@given(labelings)
def test_scores_equal_scikit_learns(pairs):
    classes, clusters = zip(*pairs, strict=True)
    found = {name: value / 100 for name, value in scores(classes, clusters).items()}
    expected = dict(
        zip(
            ("homogeneity", "completeness", "v_measure"),
            metrics.homogeneity_completeness_v_measure(classes, clusters),
            strict=True,
        )
    )
    expected["adjusted_rand"] = metrics.adjusted_rand_score(classes, clusters)
    counts = metrics.cluster.contingency_matrix(classes, clusters)
    expected["purity"] = counts.max(0).sum() / counts.sum()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name
    nmi = metrics.normalized_mutual_info_score(classes, clusters)
    if min(len(set(classes)), len(set(clusters))) > 1:  # scikit-learn's NMI of one cluster is a convention
        assert found["v_measure"] == pytest.approx(nmi, abs=1e-9)


@given(labelings, st.randoms(use_true_random=False))
def test_scores_do_not_see_the_names_nor_the_order(pairs, random):
    classes, clusters = zip(*pairs, strict=True)
    renamed = [(f"class {c}", 10 - k) for c, k in pairs]
    random.shuffle(renamed)
    assert scores(*zip(*renamed, strict=True)) == pytest.approx(scores(classes, clusters), abs=1e-6)


# ------------------------------------------------------------------------------------------ bad input

NAN = np.array([[0.0, 1.0], [math.nan, 1.0], [2.0, 2.0], [math.inf, 0.0]])
THREE = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])
SAME = np.ones((6, 3))
BAD = {
    "fewer texts than clusters": (lambda: k_means(THREE, 4), ["4 clusters", "3 texts", "1 to 3"]),
    "no cluster": (lambda: k_means(THREE, 0), ["0 clusters"]),
    "fewer different texts than clusters": (lambda: k_means(SAME, 2), ["only 1", "at most 1"]),
    "no vectors": (lambda: k_means(np.zeros((0, 3)), 1), ["0 vectors"]),
    "one vector": (lambda: k_means(np.zeros(3), 1), ["(3,)"]),
    "NaN": (lambda: k_means(NAN, 2), ["vector 1 ", "1 more"]),
    "NaN, normalize": (lambda: clustering.normalize(NAN), ["vector 1 "]),
    "NaN, whiten": (lambda: clustering.whiten(NAN), ["vector 1 "]),
    "NaN, silhouette": (lambda: clustering.silhouette(NAN, [0, 0, 1, 1]), ["vector 1 "]),
    "NaN, HDBSCAN": (lambda: clustering.density_clusters(NAN, 2), ["vector 1 "]),
    "NaN, map": (lambda: clustering.map_2d(NAN), ["vector 1 "]),
    "NaN, centroids": (lambda: lloyd(THREE, NAN), ["vector 1 "]),
    "no direction": (lambda: clustering.normalize(np.zeros((2, 3))), ["vector 0 "]),
    "nothing to whiten": (lambda: clustering.whiten(SAME), ["the same"]),
    "whiten to too many": (lambda: clustering.whiten(THREE, 3), ["2 directions", "1 to 2"]),
    "one cluster, silhouette": (lambda: clustering.silhouette(THREE, [0, 0, 0]), ["1 of 3", "at least 2"]),
    "all noise": (lambda: clustering.silhouette(THREE, [-1, -1, -1]), ["0 of 0"]),
    "each text alone": (lambda: clustering.silhouette(THREE, [0, 1, 2]), ["3 of 3"]),
    "one cluster, k": (lambda: clustering.choose_k(blobs()[0], [1, 2]), ["[1, 2]", "2 to 119"]),
    "as many as texts": (lambda: clustering.choose_k(THREE, [2, 3]), ["2 to 2"]),
    "no candidate": (lambda: clustering.choose_k(THREE, []), ["[]"]),
    "no elbow": (lambda: clustering.elbow(pd.DataFrame({"k": [2, 3], "inertia": [2, 1]})), ["at least 3"]),
    "one cluster, names": (lambda: clustering.name_clusters(["lamp", "chair"], [0, 0]), ["here are 1"]),
    "empty text, names": (lambda: clustering.name_clusters(["lamp", ""], [0, 1]), ["text 1 "]),
    "no words": (lambda: clustering.name_clusters(["the", "of"], [0, 1]), ["stop words"]),
    "labels too few": (lambda: clustering.name_clusters(["lamp", "chair"], [0]), ["2 texts", "(1,)"]),
    "scores of two lengths": (lambda: scores([0, 1], [0, 1, 1]), ["3 texts", "(2,)"]),
    "scores of nothing": (lambda: scores([], []), ["no text"]),
    "cluster size": (lambda: clustering.density_clusters(THREE, 4), ["smallest=4", "2 to 3"]),
    "small map": (lambda: clustering.map_2d(THREE), ["3 vectors", "at least 4"]),
    "map of one point": (lambda: clustering.map_2d(SAME), ["the same"]),
    "no text, TF-IDF": (lambda: embedding.tfidf_vectors([]), ["at least one"]),
    "one word, TF-IDF": (lambda: embedding.tfidf_vectors(["lamp", "Lamp 5"]), ["fewer than two"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(case):
    call, words = BAD[case]
    with pytest.raises(ValueError) as error:
        call()
    assert_one_line(error, *words)


# ------------------------------------------------------------------------------------- the benchmark

MESSAGE = "From: a@b.c\nSubject: Re: RE: Re[2]: Fwd: Lamp: which\nLines: 2\n\nSubject: none\nIt flickers.\n"


@pytest.fixture
def race():
    return load_script("benchmarks/clustering.py")


@pytest.fixture
def messages(tmp_path):
    """A folder with 4 messages in 2 groups, one of them sent twice."""
    folder = tmp_path / "messages"
    folder.mkdir()
    rows = [("good lamp", "a"), ("very good lamp", "a"), ("bad chair", "b"), ("the bad chair", "b")]
    table = pd.DataFrame([(f"Subject: Re: {text}\n\n{text} {text}\n", group) for text, group in rows])
    table.columns = ["text", "group"]
    table[:3].to_parquet(folder / "train.parquet")
    table[2:].to_parquet(folder / "test.parquet")
    return folder


def test_subjects_and_full_texts_leave_the_other_headers_out(race):
    assert race.subject(MESSAGE) == "Lamp: which"
    assert race.subject("From: a\n\nSubject: late\n") == ""
    assert race.subject("Subject:\nFrom: a@b.c\n\nHello") == ""  # not the next header
    assert race.subject("Subject: Reply: a lamp\n\n") == "Reply: a lamp"
    table = pd.DataFrame({"text": [MESSAGE, MESSAGE, MESSAGE, "Subject:\n\n"], "group": ["a", "a", "b", "a"]})
    subjects, full = (race.texts_of(table, task) for task in ("subject", "full"))
    assert subjects.values.tolist() == [["Lamp: which", "a"], ["Lamp: which", "b"]]
    assert full["text"][0] == "Lamp: which\nSubject: none\nIt flickers." and len(full) == 2


def test_the_race_scores_and_writes_every_run(race, messages, tiny_bert, tmp_path, capsys):
    path = tmp_path / "race.json"
    only = ["TF-IDF + SVD", "mean", "max", "mean of the last 2 layers"]
    arguments = ["--data", str(messages), "--model", str(tiny_bert), "--seeds", "2", "--json", str(path)]
    assert race.main([*arguments, "--max-length", "20", "--only", *only]) == 0
    runs = json.loads(path.read_text())["runs"]
    turns = [(task, name, seed) for task in ("subject", "full") for name in only for seed in (0, 1)]
    assert [(run["task"], run["vectors"], run["seed"]) for run in runs] == turns
    assert {run["texts"] for run in runs} == {4}
    assert runs[0]["v_measure"] == 100  # lamps and chairs share no word
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 16 + 9 and said[17].split()[-4:] == ["±", "0.00", "100.00", "100.00"]


def test_every_way_gives_a_vector_of_length_1_for_each_text(race, monkeypatch):
    vectors = blobs(count=200, hidden=300)[0]
    asked = []
    monkeypatch.setattr(
        clustering,
        "embed",
        lambda texts, pooling, layers, **other: asked.append((pooling, layers)) or vectors,
    )
    monkeypatch.setattr(embedding, "tfidf_vectors", lambda texts: clustering.normalize(vectors))
    ways = race.variants(["text"] * 600, 64, race.argparse.Namespace(only=None, model="any"))
    for name, way in ways.items():
        np.testing.assert_allclose(np.linalg.norm(way(), axis=1), 1, err_msg=name)
    assert asked == list(race.POOLINGS.values())  # each once, whitening included
    assert [ways[f"mean, whitened to {size}"]().shape[1] for size in race.WHITENED] == list(race.WHITENED)
    # an average with neighbours draws groups together
    apart = [
        clustering.silhouette(ways[name](), blobs(count=200)[1])
        for name in ("mean", "mean, with 10 neighbours")
    ]
    assert apart[0] < apart[1]


def test_the_verdict_is_about_minilm_on_subject_lines(race):
    runs = [
        {"task": "subject", "vectors": "mean", "v_measure": 45.0},
        {"task": "subject", "vectors": "mean", "v_measure": 46.8},
        {"task": "subject", "vectors": "max", "v_measure": 90.0},
        {"task": "full", "vectors": "mean", "v_measure": 90.0},
    ]
    assert "45.90, at least 46: False" in race.verdict(runs, race.MINILM)
    assert "46.80, at least 46: True" in race.verdict(runs[1:], race.MINILM)
    assert race.verdict(runs, "mine") == race.verdict(runs[2:], race.MINILM) == ""


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--tasks", "body"], "body"),
        (["--rows", "-1"], "--rows"),
        (["--seeds", "0"], "--seeds"),
        (["--only", "median"], "median"),
    ],
)
def test_a_wrong_option_is_named_and_exit_status_2(race, messages, arguments, word, capsys):
    with pytest.raises(SystemExit) as stop:
        race.main(["--data", str(messages), *arguments])
    assert stop.value.code == 2
    assert word in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("damage", ["missing", "not parquet", "other columns"])
def test_data_that_is_wrong_is_one_line_and_exit_status_2(race, messages, damage, capsys):
    path = messages / "test.parquet"
    if damage == "missing":
        path.unlink()
    elif damage == "not parquet":
        path.write_text("text,group")
    else:
        pd.DataFrame({"text": ["a"]}).to_parquet(path)
    assert race.main(["--data", str(messages)]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "test.parquet" in said.err and said.out == ""
