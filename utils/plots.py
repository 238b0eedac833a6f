"""The course's figures: one theme, set here once, and the plots that several notebooks share.

Colour-blind safe and readable in grey: lines differ in dashes and markers too, not only in hue.
"""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from sklearn.metrics import confusion_matrix

PALETTE = sns.color_palette("colorblind")


def theme() -> None:
    """Set the look of every figure that follows."""
    sns.set_theme(style="whitegrid", palette=PALETTE, rc={"figure.figsize": (7, 4), "figure.dpi": 80})
    plt.rcParams.update({"axes.titlesize": 12, "axes.titleweight": "bold", "axes.titlelocation": "left"})


def learning_curves(history: list[dict], title: str) -> Axes:
    """Draw training and validation loss by epoch from `finetuning.Result.history`."""
    table = pd.DataFrame(history)
    axes = plt.subplots()[1]
    for column, marker, dashes in (("training loss", "o", "-"), ("validation loss", "s", "--")):
        axes.plot(table["epoch"], table[column], marker=marker, linestyle=dashes, label=column)
    best = table["validation loss"].idxmin()
    axes.axvline(table["epoch"][best], color="grey", linestyle=":", label="lowest validation loss")
    axes.set(xlabel="epoch", ylabel="loss (nats)", title=title, xticks=table["epoch"])
    axes.legend()
    return axes


def confusion(labels, guesses, names: tuple[str, ...], title: str) -> Axes:
    """Draw how many examples of each class (rows) got each guess (columns)."""
    counts = confusion_matrix(labels, guesses, labels=range(len(names)))
    size = 2.5 + 0.6 * len(names)
    axes = plt.subplots(figsize=(size + 1, size))[1]
    sns.heatmap(
        counts, annot=True, fmt="d", cmap="Greys", cbar=False, xticklabels=names, yticklabels=names, ax=axes
    )
    axes.set(xlabel="the model's guess", ylabel="the label", title=title)
    axes.tick_params(axis="y", rotation=0)
    return axes


def calibration(probabilities: np.ndarray, correct: np.ndarray, title: str, bins: int = 5) -> Axes:
    """Draw the share of right guesses against the model's confidence in them.

    Args:
        probabilities: (examples,) of the guessed class.
        correct: (examples,) of True where the guess was right.
    """
    table = calibration_table(probabilities, correct, bins)
    axes = plt.subplots(figsize=(5, 4))[1]
    low = float(min(table["confidence"].min(), table["accuracy"].min())) - 0.05
    axes.plot([low, 1], [low, 1], color="grey", linestyle=":", label="perfectly calibrated")
    axes.plot(table["confidence"], table["accuracy"], marker="o", label="this model")
    axes.set(xlabel="mean confidence of the bin", ylabel="share of right guesses", title=title)
    axes.legend(loc="lower right")
    return axes


def calibration_table(probabilities: np.ndarray, correct: np.ndarray, bins: int = 5) -> pd.DataFrame:
    """Return bins of equal size by rising confidence: mean confidence, accuracy, number of examples."""
    parts = np.array_split(np.argsort(probabilities, kind="stable"), bins)
    rows = [(probabilities[part].mean(), correct[part].mean(), len(part)) for part in parts if len(part)]
    return pd.DataFrame(rows, columns=["confidence", "accuracy", "examples"])


def scores_with_spread(table: pd.DataFrame, x: str, y: str, hue: str | None, title: str, ylabel: str) -> Axes:
    """Draw every run as a point and the mean over runs as a bar."""
    axes = plt.subplots()[1]
    sns.barplot(table, x=x, y=y, hue=hue, errorbar=None, alpha=0.5, ax=axes, legend=False)
    sns.stripplot(table, x=x, y=y, color="black", size=6, jitter=0.08, ax=axes, legend=False)
    axes.set(title=title, xlabel="", ylabel=ylabel)
    return axes


def word_map(points: np.ndarray, groups, title: str) -> Axes:
    """Draw texts as points (texts, 2), one colour and marker for each group."""
    axes = plt.subplots(figsize=(7, 5))[1]
    sns.scatterplot(x=points[:, 0], y=points[:, 1], hue=groups, style=groups, s=45, ax=axes)
    axes.set(title=title, xticks=[], yticks=[], xlabel="", ylabel="")
    axes.legend(bbox_to_anchor=(1.01, 1), loc="upper left", title="")
    return axes


def pretraining_curve(metrics: dict, title: str = "", axes: Axes | None = None) -> Axes:
    """Draw the MLM loss of a pre-training run by tokens, with the unigram level and when it was left.

    Args:
        metrics: what `pretraining.loop.pretrain` returns, or metrics.json.
    """
    table = pd.DataFrame(metrics["history"])
    axes = axes or plt.subplots()[1]
    millions = table["tokens"] / 1e6
    axes.plot(millions, table["loss"], label="training text")
    if held_out := metrics["held_out_history"]:
        held_out = pd.DataFrame(held_out)
        axes.plot(held_out["tokens"] / 1e6, held_out["loss"], "s--", label="held-out text")
    level = metrics["unigram_entropy"]
    axes.axhline(level, color="grey", linestyle=":", label="guessing by frequency alone")
    left = metrics["left_plateau"]
    if left:
        axes.axvline(left["tokens"] / 1e6, color="grey", linestyle="-.", label="leaves the unigram level")
    found = (
        f"leaves the unigram level after {left['tokens'] / 1e6:.1f} million tokens"
        if left
        else "never leaves the unigram level"
    )
    axes.set(xlabel="tokens seen (millions)", ylabel="MLM loss (nats)", title=title or f"The loss {found}")
    axes.legend()
    return axes


def shortfalls(counts: dict[tuple[str, str], int], title: str) -> Axes:
    """Draw how many fields fall short, a bar for each field, parted by kind; `counts` by (field, kind)."""
    table = pd.Series(counts, dtype=float).unstack(fill_value=0) if counts else pd.DataFrame({"none": [0.0]})
    table = table.loc[table.sum(axis=1).sort_values().index]
    axes = plt.subplots(figsize=(8, 1.2 + 0.35 * len(table)))[1]
    table.plot.barh(stacked=True, ax=axes, color=PALETTE[: table.shape[1]], edgecolor="white")
    for bars, hatch in zip(
        axes.containers, itertools.cycle(("", "//", "..", "xx", "--", "||")), strict=False
    ):
        for bar in bars:
            bar.set_hatch(hatch)
    axes.set(xlabel="fields", ylabel="", title=title)
    axes.legend(title="", bbox_to_anchor=(1.01, 1), loc="upper left")
    return axes
