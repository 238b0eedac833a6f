"""The figures of slides/06_classification.md. What fine-tuning takes minutes for is read from the stored outputs."""

import functools

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from drawings import HALF, TWO_THIRDS, WIDE, figure, stored
from utils import data, finetuning, models, plots, profile

BLUE, ORANGE = plots.PALETTE[0], plots.PALETTE[1]
HATCHES = ("//", "..", "", "xx")


@functools.cache
def stated():
    """The English reviews that state their verdict, by split."""
    task = data.load_classification(profile.get_profile().classification)
    return {split: data.where(task[split], language="en", style=("plain", "varied")) for split in task}


def drawn(seed: int, rows: int | None = None):
    return data.sample(stated()["train"], rows or profile.get_profile().rows, seed)


def count_words(train):
    model = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10, max_iter=1000))
    return model.fit(train["text"], train["label"])


def bars(axes: Axes, values: dict[str, float], form: str = "%.0f", chance: float | None = None) -> None:
    """Horizontal bars, the first on top, each with its number and its own hatch."""
    found = axes.barh(list(values), list(values.values()), color="silver", edgecolor="black")
    for number, bar in enumerate(found):
        bar.set_hatch(HATCHES[number % 4])
    axes.bar_label(found, fmt=form, padding=4, fontsize=12)
    if chance is not None:
        axes.axvline(chance, color="black", linestyle=":", linewidth=2)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.margins(x=0.16)


@figure("words")
def words() -> Figure:
    """The heaviest words of logistic regression on TF-IDF, on both sides."""
    model = count_words(drawn(0))
    names, weights = model[0].get_feature_names_out(), model[1].coef_[0]
    order = weights.argsort()
    chosen = np.r_[order[:6], order[-6:]]
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    found = axes.barh(names[chosen], weights[chosen], color="silver", edgecolor="black")
    for bar, weight in zip(found, weights[chosen], strict=True):
        bar.set_hatch("//" if weight < 0 else "")
    axes.axvline(0, color="black", linewidth=1)
    axes.set(xlabel="weight (left: negative, right: positive)")
    axes.grid(False, axis="y")
    return canvas


@figure("padding")
def padding() -> Figure:
    """Two dozen texts as rows of real tokens and padding, under the three habits; batches of eight."""
    tokenizer, _ = models.load("encoder")
    limit = profile.get_profile().max_length
    lengths = [len(row["input_ids"]) for row in finetuning.encode(tokenizer, drawn(0, 24), limit)]
    size = 8
    orders = {
        "one fixed length": lengths,
        "longest of the batch": lengths,
        "like lengths together": sorted(lengths),
    }
    canvas, panels = plt.subplots(1, 3, figsize=(8.8, 3), sharey=True)
    for number, (panel, (name, order)) in enumerate(zip(panels, orders.items(), strict=True)):
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        width = [limit if not number else max(part) for part in parts for _ in part]
        rows = range(len(order))
        panel.barh(
            rows, width, 1, color="white", edgecolor="black", hatch="////", linewidth=0.3, label="[PAD]"
        )
        panel.barh(rows, order, 1, color=BLUE, edgecolor="white", linewidth=0.3, label="real tokens")
        for border in (7.5, 15.5):
            panel.axhline(border, color="black", linewidth=1)
        panel.set(
            xlim=(0, limit),
            xlabel="positions",
            yticks=[],
            title=f"{name}\n{sum(order) / sum(width):.0%} real",
        )
        panel.grid(False)
    panels[0].set_ylabel("texts, 8 to a batch")
    panels[2].legend(loc="lower right", fontsize=10)
    panels[0].invert_yaxis()
    canvas.tight_layout()
    return canvas


@figure("surprise")
def surprise() -> Figure:
    """The loss -ln p of the right class against the difference of the two logits; (1, 3) marked."""
    difference = torch.linspace(-4, 4, 100)
    canvas, axes = plt.subplots(figsize=HALF)
    axes.plot(difference, -torch.nn.functional.logsigmoid(difference), linewidth=3)
    loss = torch.nn.functional.cross_entropy
    for label, marker, name in ((1, "o", "right class: positive"), (0, "s", "right class: negative")):
        place = 2 if label else -2
        height = loss(torch.tensor([[1.0, 3.0]]), torch.tensor([label])).item()
        axes.plot(place, height, marker, markersize=13, label=f"{name}, {height:.2f}")
    axes.set(xlabel="logit of the right class minus the other", ylabel="loss (nats)")
    axes.legend(title="logits (1, 3)")
    return canvas


@figure("methods")
def methods() -> Figure:
    """Mean accuracy over three seeds with the spread, and the seconds of training."""
    found = stored.table("06", "fine-tuned BERT", "std")
    canvas, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3), sharey=True)
    for panel, column, label in (
        (left, "accuracy", "validation accuracy (%)"),
        (right, "training seconds", "training (seconds)"),
    ):
        mean, spread = found[f"{column} mean"], found[f"{column} std"]
        drawn_bars = panel.barh(found.index, mean, xerr=spread, color="silver", edgecolor="black", capsize=6)
        for bar, hatch in zip(drawn_bars, HATCHES, strict=False):
            bar.set_hatch(hatch)
        panel.set(xlabel=label)
        panel.grid(False, axis="y")
    left.set_xlim(50, 100)
    left.invert_yaxis()
    canvas.tight_layout()
    return canvas


@figure("epochs")
def epochs() -> Figure:
    """Validation loss and accuracy of the run that was made to over-fit."""
    found = stored.table("06", "validation loss", "validation accuracy").T
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    number = found.index.astype(int)
    axes.plot(number, found["validation loss"], "s-", label="validation loss (nats)")
    axes.plot(number, found["validation accuracy"], "o--", label="validation accuracy (share)")
    best = int(found["validation loss"].astype(float).idxmin())
    axes.axvline(best, color="grey", linestyle=":", label="lowest validation loss")
    axes.set(xlabel="epoch", ylabel="", ylim=(0, None))
    axes.legend()
    return canvas


@figure("leaks")
def leaks() -> Figure:
    found = stored.table("06", "a slice, with copies").iloc[:, 0]
    canvas, axes = plt.subplots(figsize=(8.4, 2.4))
    bars(axes, dict(found), chance=50)
    axes.set(xlabel="accuracy of counting words (%); dotted: a coin", xlim=(0, 108))
    return canvas


@figure("threshold")
def threshold() -> Figure:
    found = stored.table("06", "precision", "complaints overlooked")
    canvas, axes = plt.subplots(figsize=HALF)
    names = [name.replace("above ", "") for name in found.index]
    for column, style in (("precision", "o-"), ("recall", "s--")):
        axes.plot(names, found[column], style, label=column, markersize=10, linewidth=2)
    for place, count in enumerate(found["complaints overlooked"]):
        axes.text(place, 0.615, f"{count}", ha="center", fontsize=13)
    axes.text(1, 0.65, "complaints overlooked:", ha="center", fontsize=12)
    axes.set(xlabel="threshold for 'positive'", ylabel="score", ylim=(0.6, 1.02))
    axes.margins(x=0.15)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    return canvas


@figure("implied")
def implied() -> Figure:
    """Accuracy of both methods on stated and on implied verdicts."""
    tuned, counted = stored.numbers("06", r"implied verdicts: fine-tuned BERT (\d+)%, counting words (\d+)%")
    mean = stored.table("06", "fine-tuned BERT", "std")["accuracy mean"]
    canvas, axes = plt.subplots(figsize=HALF)
    for style, name, values in (
        ("o-", "fine-tuned BERT", (mean["fine-tuned BERT"], tuned)),
        ("s--", "counting words", (mean["count words"], counted)),
    ):
        axes.plot(["stated", "implied"], values, style, label=name, markersize=12, linewidth=2)
    axes.axhline(50, color="black", linestyle=":", label="a coin")
    axes.set(ylabel="accuracy (%)", xlabel="verdict of the review", ylim=(0, 100))
    axes.margins(x=0.2)
    axes.legend(loc="lower left")
    return canvas


@figure("departments")
def departments() -> Figure:
    tuned, counted = stored.numbers("06", r"right: fine-tuned BERT (\d+)%, counting words (\d+)%")
    canvas, axes = plt.subplots(figsize=HALF)
    bars(axes, {"counting\nwords": counted, "fine-tuned\nBERT": tuned}, chance=100 / 7)
    axes.set(xlabel="department right, new products (%)\ndotted: chance, one in seven", xlim=(0, 100))
    return canvas


@figure("sigmoid")
def sigmoid() -> Figure:
    """Softmax and sigmoids of the same three logits: "late and overpriced"."""
    logits = torch.tensor([3.0, 3.0, -4.0])
    names = ["delivery: 3", "price: 3", "design: −4"]
    canvas, panels = plt.subplots(1, 2, figsize=(8.4, 2.3), sharey=True)
    for panel, name, values in (
        (panels[0], "softmax", torch.softmax(logits, 0)),
        (panels[1], "sigmoid", logits.sigmoid()),
    ):
        found = panel.barh(
            names, values, color="silver", edgecolor="black", hatch="//" if name == "softmax" else ""
        )
        panel.bar_label(found, fmt="%.2f", padding=4, fontsize=12)
        panel.axvline(0.5, color="black", linestyle=":", linewidth=2)
        panel.set(xlabel=f"{name}: {int((values > 0.5).sum())} of 3 above one half", xlim=(0, 1.2))
        panel.grid(False, axis="y")
    panels[0].invert_yaxis()
    canvas.tight_layout()
    return canvas


@figure("amount")
def amount() -> Figure:
    """Counting words with few and more reviews, each seed a point; fine-tuned BERT with all, as stored."""
    settings = profile.get_profile()
    check = data.sample(stated()["validation"], settings.evaluation_rows)
    labels = np.array(check["label"])
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    sizes = sorted({*settings.data_sizes[:-1], settings.rows})
    found = np.array(
        [
            [
                100 * np.mean(count_words(drawn(seed, rows)).predict(check["text"]) == labels)
                for seed in settings.seeds
            ]
            for rows in sizes
        ]
    )
    axes.plot(sizes, found.mean(1), "-", color=BLUE, linewidth=2, label="counting words, mean")
    for seed, marker in zip(range(found.shape[1]), "ovs", strict=False):
        axes.plot(sizes, found[:, seed], marker, color="grey", label=f"seed {seed}")
    tuned = stored.table("06", "fine-tuned BERT", "std").loc["fine-tuned BERT"]
    axes.errorbar(
        settings.rows, tuned["accuracy mean"], tuned["accuracy std"], fmt="D", color=ORANGE, markersize=12, capsize=6,
        label="fine-tuned BERT",
    )  # fmt: skip
    axes.set(xscale="log", xlabel="training reviews (log)", ylabel="validation accuracy (%)", ylim=(50, 100))
    axes.set_xticks(sizes, sizes)
    axes.minorticks_off()
    axes.legend(loc="upper left")
    return canvas


@figure("languages")
def languages() -> Figure:
    found = stored.table("06", "accuracy (%)", "el")
    canvas, (left, right) = plt.subplots(1, 2, figsize=(8.8, 2.8), sharey=True)
    names = {"en": "English", "de": "German", "fr": "French", "es": "Spanish", "el": "Greek"}
    tongues = [names[code] for code in found.index]
    axes_of = (
        (left, "accuracy (%)", "accuracy (%); dotted: a coin", "%.0f"),
        (right, found.columns[2], "pieces per word", "%.1f"),
    )
    for panel, column, label, form in axes_of:
        drawn_bars = panel.barh(tongues, found[column], color="silver", edgecolor="black")
        drawn_bars[0].set_hatch("//")
        panel.bar_label(drawn_bars, fmt=form, padding=4, fontsize=12)
        panel.set(xlabel=label)
        panel.margins(x=0.18)
        panel.grid(False, axis="y")
    left.axvline(50, color="black", linestyle=":", linewidth=2)
    left.invert_yaxis()
    canvas.tight_layout()
    return canvas


@figure("final")
def final() -> Figure:
    """Validation and test side by side, three methods of the last seed."""
    found = stored.table("06", "test (%)", "validation (%)")
    canvas, axes = plt.subplots(figsize=WIDE)
    high = np.arange(len(found))
    for shift, column, hatch, shade in (
        (-0.2, "validation (%)", "//", "white"),
        (0.2, "test (%)", "", "silver"),
    ):
        drawn_bars = axes.barh(
            high + shift, found[column], 0.38, color=shade, hatch=hatch, edgecolor="black", label=column[:-4]
        )
        axes.bar_label(drawn_bars, fmt="%.0f", padding=4, fontsize=12)
    axes.set_yticks(high, found.index)
    axes.invert_yaxis()
    axes.set(xlim=(50, 100), xlabel="accuracy (%), from 50 = a coin")
    axes.legend(loc="upper right")
    axes.grid(False, axis="y")
    return canvas
