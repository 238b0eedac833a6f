"""The figures of slides/08_clustering.md: toys and samples are computed, runs over all tickets read from the outputs."""

import functools

import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from drawings import HALF, TWO_THIRDS, WIDE, figure, stored
from utils import clustering, data, models, plots, profile

BLUE, ORANGE = plots.PALETTE[0], plots.PALETTE[1]
HATCHES = ("", "//", "..", "xx", "--")
LANGUAGES = ("en", "de", "fr", "es", "el")


@functools.cache
def clouds() -> np.ndarray:
    """The notebook's three toy clouds, (60, 2)."""
    random = np.random.default_rng(4)
    return np.concatenate([random.normal(centre, 0.7, (20, 2)) for centre in ((0, 0), (5, 0), (2.5, 4))])


def bars(axes: Axes, values: dict[str, float], form: str = "%.0f") -> None:
    found = axes.barh(list(values), list(values.values()), color="silver", edgecolor="black")
    axes.bar_label(found, fmt=form, padding=4, fontsize=12)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.margins(x=0.18)


def scatter(axes: Axes, points: np.ndarray, labels: np.ndarray, centroids: np.ndarray) -> None:
    axes.scatter(*points[labels < 0].T, s=30, color="grey")  # in no cluster yet
    for cluster, marker in enumerate("osD"):
        own = points[labels == cluster]
        axes.scatter(own[:, 0], own[:, 1], marker=marker, s=30, alpha=0.7)
    axes.scatter(centroids[:, 0], centroids[:, 1], marker="X", s=150, color="black")
    axes.set(xticks=[], yticks=[], aspect="equal")


# ----------------------------------------------------------------------------------------- vectors


@figure("cosines")
def cosines() -> Figure:
    texts = ["The lamp flickers.", "My light goes on and off all evening.", "Where is my parcel?"]
    vectors = clustering.normalize(clustering.embed(texts, name=profile.MINILM, progress=False))
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    names = ["The lamp\nflickers.", "My light goes\non and off\nall evening.", "Where is\nmy parcel?"]
    sns.heatmap(
        vectors @ vectors.T, annot=True, fmt=".2f", cmap="Greys", vmin=0, vmax=1.4, cbar=False, linewidths=1,
        linecolor="silver", xticklabels=names, yticklabels=names, annot_kws={"size": 15}, ax=axes,
    )  # fmt: skip
    axes.tick_params(axis="y", rotation=0)
    axes.tick_params(axis="x", rotation=0)
    return canvas


@figure("padding")
def padding() -> Figure:
    """How far padding moves the plain mean of a text's token vectors, and the masked mean."""
    tokenizer, encoder = models.load("encoder", profile.MINILM)
    text = "The lamp flickers."
    canvas, axes = plt.subplots(figsize=HALF)
    found = {"all positions": [], "real tokens only": []}
    alone = None
    lengths = [6, 8, 12, 16, 24]
    for length in lengths:
        batch = tokenizer(text, padding="max_length", max_length=length, return_tensors="pt")
        with torch.inference_mode():
            hidden = encoder(**batch).last_hidden_state[0]  # (s, hidden)
        mask = batch["attention_mask"][0].unsqueeze(-1)
        means = {"all positions": hidden.mean(0), "real tokens only": (hidden * mask).sum(0) / mask.sum()}
        alone = means["real tokens only"] if alone is None else alone
        for name, mean in means.items():
            found[name].append(torch.cosine_similarity(mean, alone, dim=0).item())
    for (name, values), style in zip(found.items(), ("s--", "o-"), strict=True):
        axes.plot(lengths, values, style, label=name, markersize=9, linewidth=2)
    axes.set(xlabel="length of the batch (tokens)", ylabel="cosine with the unpadded vector")
    axes.legend(title="mean over")
    return canvas


# ----------------------------------------------------------------------------------------- k-means


@figure("two-moves")
def two_moves() -> Figure:
    """A start, after one step, the end; and the end from a poor start."""
    points = clouds()
    good, poor = points[[0, 1, 20]], points[[0, 1, 2]]
    once = clustering.lloyd(points, good, iterations=1)
    stages = {
        "a start": (np.full(60, -1), good),
        "after 1 step": (clustering.squared_distances(points, good).argmin(1), once.centroids),
        "at the end": (clustering.lloyd(points, good).labels, clustering.lloyd(points, good).centroids),
        "poor start, end": (clustering.lloyd(points, poor).labels, clustering.lloyd(points, poor).centroids),
    }
    canvas, panels = plt.subplots(1, 4, figsize=(9.2, 2.8), sharex=True, sharey=True)
    for panel, (name, (labels, centroids)) in zip(panels, stages.items(), strict=True):
        scatter(panel, points, labels, centroids)
        panel.set_title(name)
    canvas.tight_layout()
    return canvas


@figure("corners")
def corners() -> Figure:
    """Two starts on the corners of a rectangle, 3 wide and 2 high, and where each ends."""
    points = np.array([[0.0, 0], [0, 2], [3, 0], [3, 2]])
    canvas, panels = plt.subplots(1, 2, figsize=TWO_THIRDS)
    for panel, start in zip(panels, ([[0.0, 1], [3, 1]], [[1.5, 0], [1.5, 2]]), strict=True):
        found = clustering.lloyd(points, np.array(start))
        for point, label in zip(points, found.labels, strict=True):
            panel.plot(*zip(point, found.centroids[label], strict=True), "--", color="grey")
        for cluster, marker in enumerate("oD"):
            panel.plot(*points[found.labels == cluster].T, marker, markersize=15)
        panel.plot(*found.centroids.T, "X", color="black", markersize=14)
        panel.set(xlim=(-0.8, 3.8), ylim=(-0.8, 2.8), aspect="equal", title=f"inertia {found.inertia:.0f}")
    canvas.tight_layout()
    return canvas


@figure("runs")
def runs() -> Figure:
    found = stored.table("08", "one start", "best of ten starts")
    canvas, (left, right) = plt.subplots(1, 2, figsize=(8.8, 2.4), sharey=True)
    for place, (_, row) in enumerate(found.iterrows()):
        left.plot(
            [row["lowest inertia"], row["highest inertia"]],
            [place] * 2,
            "o-",
            color=BLUE,
            markersize=11,
            linewidth=4,
        )
    left.set(xlim=(0, 1.1 * found["highest inertia"].max()), xlabel="inertia, lowest to highest run")
    drawn = right.barh(range(len(found)), found["mean ARI of two runs"], color="silver", edgecolor="black")
    right.bar_label(drawn, fmt="%.2f", padding=4, fontsize=12)
    right.set(xlim=(0, 1.1), xlabel="agreement of two runs (ARI; 1 = the same)")
    left.set_yticks(range(len(found)), found.index)
    left.set_ylim(1.6, -0.6)
    for panel in (left, right):
        panel.grid(False, axis="y")
    canvas.tight_layout()
    return canvas


# ------------------------------------------------------------------------------------------ scores


def toy() -> tuple[list[str], list[int]]:
    return ["delivery"] * 4 + ["payment"] * 3 + ["return"] * 3, [2, 2, 2, 0, 0, 0, 0, 1, 1, 2]


@figure("contingency")
def contingency() -> Figure:
    classes, clusters = toy()
    canvas, axes = plt.subplots(figsize=HALF)
    sns.heatmap(
        clustering.contingency(classes, clusters), annot=True, fmt=".0f", cmap="Greys", vmax=5, cbar=False, linewidths=1,
        linecolor="silver", yticklabels=sorted(set(classes)), annot_kws={"size": 17}, ax=axes,
    )  # fmt: skip
    h, c = clustering.homogeneity_completeness(classes, clusters)
    axes.tick_params(axis="y", rotation=0)
    axes.set(
        xlabel="cluster",
        ylabel="class",
        title=f"h {h:.2f}, c {c:.2f}, V {clustering.v_measure(classes, clusters):.2f}",
    )
    return canvas


@figure("renamed")
def renamed() -> Figure:
    """Accuracy, V and ARI of the toy's clusters before and after their numbers are changed."""
    classes, clusters = toy()
    numbers = np.unique(classes, return_inverse=True)[1]
    canvas, axes = plt.subplots(figsize=(8.4, 2.6))
    names = ["'accuracy'", "V-measure", "ARI"]
    for shift, labels, name, hatch in (
        (-0.2, np.array(clusters), "as found", "//"),
        (0.2, np.array([1, 2, 0])[clusters], "renamed", ""),
    ):
        values = [
            np.mean(labels == numbers),
            clustering.v_measure(classes, labels),
            clustering.adjusted_rand(classes, labels),
        ]
        drawn = axes.barh(
            np.arange(3) + shift, values, 0.38, color="silver" if hatch == "" else "white", hatch=hatch, edgecolor="black", label=name
        )  # fmt: skip
        axes.bar_label(drawn, fmt="%.2f", padding=4, fontsize=12)
    axes.set_yticks(range(3), names)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="score of the same three clusters")
    axes.legend()
    axes.grid(False, axis="y")
    return canvas


@figure("ways")
def ways() -> Figure:
    found = stored.table("08", "BERT, only pre-trained", "matter")
    canvas, axes = plt.subplots(figsize=WIDE)
    names = found.iloc[:, 0].unique()
    for number, (name, hatch) in enumerate(zip(names, ("", "//", ".."), strict=True)):
        rows = found[found.iloc[:, 0] == name].loc[["matter", "department"]]
        shade = ("white", "silver", BLUE)[number]
        axes.bar(
            np.arange(2) + 0.27 * (number - 1), rows["v_measure mean"], 0.25, yerr=rows["v_measure std"], capsize=6, color=shade,
            hatch=hatch, edgecolor="black", label=name,
        )  # fmt: skip
    axes.set_xticks(range(2), ["compared with the matter", "compared with the department"])
    axes.set(ylabel="V-measure (%)", ylim=(0, 40))
    axes.legend(ncols=3, loc="upper center")
    axes.grid(False, axis="x")
    return canvas


@figure("advice")
def advice() -> Figure:
    """Silhouette and stability on the toy clouds for each number of clusters."""
    points, rows = clouds(), {}
    for k in range(2, 9):
        labels = clustering.k_means(points, k).labels
        rows[k] = clustering.silhouette(points, labels), clustering.stability(points, k)
    found = pd.DataFrame(rows, ["silhouette", "stability"]).T
    canvas, axes = plt.subplots(figsize=HALF)
    for column, style in (("silhouette", "o-"), ("stability", "s--")):
        axes.plot(found[column], style, label=column, markersize=9, linewidth=2)
    axes.axvline(3, color="grey", linestyle=":", label="clouds")
    axes.set(xlabel="number of clusters k", ylabel="score", ylim=(0, 1.05))
    axes.legend()
    return canvas


@figure("cut-in-two")
def cut_in_two() -> Figure:
    found = stored.table("08", "order_change", "cluster")
    share = found["1"] / found.sum(1) if "1" in found else found.iloc[:, 1] / found.sum(1)
    found = found.loc[share.sort_values().index]
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    left = np.zeros(len(found))
    names = [name.replace("_", " ") for name in found.index]
    for column, hatch, shade in zip(found.columns, ("", "//"), ("silver", "white"), strict=True):
        axes.barh(
            names,
            found[column],
            left=left,
            hatch=hatch,
            color=shade,
            edgecolor="black",
            label=f"cluster {column.split()[-1]}",
        )
        left += found[column].to_numpy()
    axes.invert_yaxis()
    axes.set(xlabel="tickets")
    axes.legend()
    axes.grid(False, axis="y")
    return canvas


# -------------------------------------------------------------------------- density, names, fields


@figure("density")
def density() -> Figure:
    """The sizes of HDBSCAN's clusters and of the noise."""
    found = stored.table("08", "duvet, cover, mattress, medium", "tickets")
    tickets = stored.table("08", "order_change", "cluster").sum().sum()
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    lines = [", ".join(name.split(", ")[:2]) + " …" for name in found["name"]]  # two of the four words
    sizes = dict(zip(lines, found["tickets"], strict=True))
    bars(axes, sizes | {"noise": tickets - found["tickets"].sum()})
    axes.patches[-1].set_hatch("//")
    axes.set(xlabel=f"tickets, of {tickets:.0f}")
    return canvas


@figure("names")
def names() -> Figure:
    """Class-based TF-IDF of a toy: three clusters, four words."""
    counts = np.array([[6.0, 0, 1, 4], [0, 5, 1, 4], [0, 1, 7, 4]])
    canvas, panels = plt.subplots(1, 2, figsize=(6, 3.4), sharey=True)
    words = ["lamp", "card", "duvet", "please"]
    for panel, values, form, title in (
        (panels[0], counts, ".0f", "counts"),
        (panels[1], clustering.class_tfidf(counts), ".1f", "weights"),
    ):
        sns.heatmap(
            values, annot=True, fmt=form, cmap="Greys", vmax=1.5 * values.max(), cbar=False, linewidths=1, linecolor="silver",
            xticklabels=words, annot_kws={"size": 14}, ax=panel,
        )  # fmt: skip
        panel.set(title=title)
        panel.tick_params(axis="both", rotation=0)
    panels[0].set_ylabel("cluster")
    canvas.tight_layout()
    return canvas


@figure("fields")
def fields() -> Figure:
    found = stored.table("08", "product first", "all but the matter")
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    high = np.arange(len(found))
    for shift, label, hatch, shade in ((-0.2, "matter", "//", "white"), (0.2, "department", "", "silver")):
        axes.barh(
            high + shift, found[f"V {label} mean"], 0.38, xerr=found[f"V {label} std"], capsize=4, hatch=hatch, color=shade,
            edgecolor="black", label=label,
        )  # fmt: skip
    axes.set_yticks(
        high,
        [
            name.replace(", without", ",\nwithout").replace("title, desc", "title,\ndesc")
            for name in found.index
        ],
    )
    axes.invert_yaxis()
    axes.set(xlabel="V-measure (%)", xlim=(0, 48))
    axes.legend(title="against")
    axes.grid(False, axis="y")
    return canvas


# -------------------------------------------------------------------------------- languages and maps


@figure("languages")
def languages() -> Figure:
    """A sample of 20 tickets a language: k-means as they are, and with each language's mean taken away."""
    tickets = data.everything(data.load_classification("tickets")).to_pandas()
    sample = pd.concat(
        [tickets[tickets["language"] == code].sample(20, random_state=0) for code in LANGUAGES]
    )
    vectors = clustering.embed(sample["text"].tolist(), name=profile.MINILM, max_length=32, progress=False)
    vectors, tongue = clustering.normalize(vectors), sample["language"].to_numpy()
    centred = vectors.copy()
    for code in LANGUAGES:
        centred[tongue == code] -= vectors[tongue == code].mean(0)
    canvas, panels = plt.subplots(1, 2, figsize=(8.8, 3.1), sharey=True)
    named = {"as they are": vectors, "each language centred": clustering.normalize(centred)}
    for panel, (name, points) in zip(panels, named.items(), strict=True):
        labels = clustering.k_means(points, 6).labels
        bottom = np.zeros(6)
        for code, hatch in zip(LANGUAGES, HATCHES, strict=True):
            heights = np.bincount(labels[tongue == code], minlength=6)
            panel.bar(range(6), heights, bottom=bottom, hatch=hatch, edgecolor="white", label=code)
            bottom += heights
        panel.set(title=name, xlabel="cluster", xticks=range(6))
        panel.grid(False, axis="x")
    panels[0].set_ylabel("tickets of the sample")
    panels[1].legend(bbox_to_anchor=(1.01, 1), loc="upper left")
    canvas.tight_layout()
    return canvas


@figure("map")
def two_maps() -> Figure:
    """Three clouds at 0, 20 and 200 on a line of 20 dimensions: in truth, and on a t-SNE map."""
    random = np.random.default_rng(0)
    parts = [
        random.normal(0, width, (40, 20)) + place * np.eye(1, 20)
        for place, width in ((0, 1), (20, 1), (200, 5))
    ]
    places = clustering.map_2d(np.concatenate(parts), perplexity=10)
    canvas, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3), width_ratios=[1.5, 1])
    for name, marker, part, own in zip((0, 20, 200), "osD", parts, np.split(places, 3), strict=True):
        left.scatter(part[:, 0], part[:, 1], s=18, marker=marker)
        right.scatter(own[:, 0], own[:, 1], s=18, marker=marker, label=f"in truth at {name}")
    left.set(title="in truth (two of 20 dimensions)", xlabel="first dimension", ylim=(-40, 40))
    right.set(title="on the map", xticks=[], yticks=[])
    right.set_aspect("equal", adjustable="datalim")
    right.legend(bbox_to_anchor=(1.01, 1), loc="upper left")
    canvas.tight_layout()
    return canvas


# ----------------------------------------------------------------------------------- found on the way


@figure("copies")
def copies() -> Figure:
    """Eight of forty long tickets come again, with a greeting and without the last sentence: nearest cosines."""
    tickets = data.everything(data.load_classification("tickets")).to_pandas()
    texts = [text for text in tickets[tickets["language"] == "en"]["text"] if len(text.split()) > 40][:40]
    again = [f"Hello again, I have had no answer yet. {text.rsplit('. ', 1)[0]}." for text in texts[:8]]
    vectors = clustering.normalize(
        clustering.embed([*texts, *again], name=profile.MINILM, max_length=128, progress=False)
    )
    cosines = vectors @ vectors.T - 2 * np.eye(len(vectors))
    among = cosines[:40, :40].max(1)  # each ticket's nearest other ticket
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    for height, values, marker, color in ((1, cosines[40:, :40].max(1), "D", ORANGE), (0, among, "o", BLUE)):
        axes.plot(
            values,
            height + np.linspace(-0.15, 0.15, len(values)),
            marker,
            color=color,
            markersize=9,
            alpha=0.7,
        )
    axes.axvline(0.9, color="black", linestyle=":")
    axes.set_yticks([1, 0], ["a planted copy", "a ticket"])
    axes.set(ylim=(-0.5, 1.5), xlim=(0, 1.02), xlabel="cosine with its nearest ticket (dotted: 0.9)")
    axes.grid(False, axis="y")
    return canvas
