"""The figures of slides/00_start_here.md. The computations are those of notebook 00."""

import functools

import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch.nn import functional as F

from drawings import HALF, TWO_THIRDS, WIDE, figure
from utils import data, finetuning, models, plots

SENTENCES = {
    "parcel": "My parcel has still not come.",
    "delivery": "I am still waiting for the delivery.",
    "kettle": "I am still waiting for the kettle to boil.",
}
TICKETS = [
    "The lid of my kettle no longer closes.",
    "Where can I see the status of my order?",
    "I was charged twice for the same lamp.",
    "The armchair arrived with a torn cover.",
    "How do I wash the linen bedding?",
    "Please cancel my order, I chose the wrong colour.",
    "The toaster trips the fuse every morning.",
    "Do you ship to islands?",
    "My password is not accepted any more.",
    "A screw is missing from the bookcase.",
    "Can I return a gift without the receipt?",
    "The fan is so loud that I cannot sleep.",
]


@functools.cache
def minilm():
    return models.load("encoder")


def embed(texts: list[str]) -> np.ndarray:
    """Texts -> (texts, hidden), each of length 1, so that a dot product is a cosine."""
    tokenizer, encoder = minilm()
    vectors = finetuning.embed(encoder, [{"input_ids": ids} for ids in tokenizer(texts)["input_ids"]])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


# ------------------------------------------------------------------------------- vectors and cosine


@figure("mean")
def mean_of_tokens() -> Figure:
    """The vectors of the tokens of one sentence, and their mean below."""
    tokenizer, encoder = minilm()
    batch = tokenizer(SENTENCES["parcel"], return_tensors="pt")
    with torch.inference_mode():
        states = encoder(**batch).last_hidden_state[0, :, :48].numpy()  # (s, 48)
    canvas, panels = plt.subplots(2, 1, figsize=(8.4, 3.3), height_ratios=(len(states), 1.3))
    style = {"cmap": "Greys", "vmin": -1, "vmax": 1, "cbar": False, "linewidths": 0.3, "xticklabels": False}
    names = tokenizer.convert_ids_to_tokens(batch["input_ids"][0])
    for panel, rows, labels in zip(
        panels, (states, states.mean(0, keepdims=True)), (names, ["mean"]), strict=True
    ):
        sns.heatmap(rows, ax=panel, yticklabels=labels, **style)
        panel.tick_params(axis="y", rotation=0, labelsize=11)
    panels[1].set_xlabel(f"the first 48 of {encoder.config.hidden_size} numbers; light: low, dark: high")
    return canvas


@figure("cosine")
def cosines() -> Figure:
    """Four arrows and their cosine with (3, 4)."""
    canvas, axes = plt.subplots(figsize=HALF)
    reference = np.array([3.0, 4.0])
    others = np.array([[6.0, 8.0], [4.0, 3.0], [-4.0, 3.0], [-3.0, -4.0]])
    for other in others:
        axes.annotate("", other, (0, 0), arrowprops={"arrowstyle": "->", "color": "dimgrey", "lw": 2})
        cosine = other @ reference / (np.linalg.norm(other) * np.linalg.norm(reference))
        text = f"({other[0]:g}, {other[1]:g}): {cosine:.3g}".replace("-", "−")
        near = (other[0] + 0.4, other[1]) if other[0] == 4 else other
        side = "left" if other[0] == 4 else "center"
        above = "center" if other[0] == 4 else "bottom" if other[1] > 0 else "top"
        axes.text(*near, text, ha=side, va=above, color="dimgrey", fontsize=12)
    axes.annotate("", reference, (0, 0), arrowprops={"arrowstyle": "->", "color": plots.PALETTE[0], "lw": 4})
    axes.text(2.4, 4.2, "(3, 4)", ha="right", color=plots.PALETTE[0], fontsize=13, weight="bold")
    axes.set(aspect="equal", xlim=(-8, 10), ylim=(-6, 10), xlabel="first number", ylabel="second number")
    return canvas


@figure("pairs")
def pairs() -> Figure:
    """Shared words and cosine of "delivery" with the other two sentences."""
    names = ["kettle", "parcel"]
    words = {name: set(text.lower().split()) for name, text in SENTENCES.items()}
    vectors = dict(zip(SENTENCES, embed(list(SENTENCES.values())), strict=True))
    measures = {
        "words in common with 'delivery'": [len(words["delivery"] & words[name]) for name in names],
        "cosine with 'delivery'": [float(vectors["delivery"] @ vectors[name]) for name in names],
    }
    canvas, panels = plt.subplots(1, 2, figsize=(8.4, 2.9), sharey=True)
    for panel, (label, values) in zip(panels, measures.items(), strict=True):
        bars = panel.barh(names, values, color=plots.PALETTE[:2], edgecolor="black", height=0.6)
        bars[0].set_hatch("//")
        panel.bar_label(bars, fmt="%.2f" if max(values) < 1 else "%d", padding=4, fontsize=13)
        panel.set(xlabel=label, xlim=(0, 1.2 * max(values)))
        panel.tick_params(axis="y", labelsize=14)
        panel.grid(axis="y", visible=False)
    canvas.tight_layout()
    return canvas


# ------------------------------------------------------------------------------------- the help desk


def nearest(axes: Axes, message: str, count: int) -> None:
    """Bars of the `count` tickets nearest to the message, the nearest on top."""
    vectors = embed([message, *TICKETS])
    table = pd.Series(vectors[1:] @ vectors[0], TICKETS).sort_values().tail(count)
    bars = axes.barh(table.index, table, color="lightgrey", edgecolor="black", height=0.7)
    bars[-1].set(facecolor=plots.PALETTE[0], hatch="//")
    axes.set(xlabel="cosine with the message", xlim=(min(0, 1.1 * table.min()), None))
    axes.grid(axis="y", visible=False)


@figure("money")
def money() -> Figure:
    canvas, axes = plt.subplots(figsize=(6.2, 3.7))
    nearest(axes, "You took my money two times!", len(TICKETS))
    return canvas


@figure("negation")
def negation() -> Figure:
    canvas, axes = plt.subplots(figsize=(5.8, 2.6))
    nearest(axes, "The fan is not loud at all, I sleep well.", 5)
    return canvas


# -------------------------------------------------------------------------------------- what BERT is


@figure("history")
def history() -> Figure:
    """Years of publication: the papers that notebook 00 names in section 4."""
    events = {
        "n-grams": (1948, 0.2), "hidden Markov models": (1966, -0.2), "recurrent networks": (1990, 0.8),
        "LSTM": (1997, 1.2), "Transformer": (2017, 2.4), "BERT, GPT": (2018, 2.0), "GPT-3": (2020, 1.6),
    }  # fmt: skip
    canvas, axes = plt.subplots(figsize=WIDE)
    for name, (year, height) in events.items():
        lane = round(height)
        axes.plot(year, height, marker="os^"[lane], color=plots.PALETTE[lane], markersize=12)
        shift, side = (1.3, "left") if lane == 0 else (-1.3, "right")
        axes.annotate(f"{name} ({year})", (year + shift, height), va="center", ha=side, fontsize=13)
    axes.set_yticks(range(3), ["counting", "memory", "attention"], fontsize=14)
    axes.set(ylim=(-0.5, 2.8), xlim=(1942, 2024), xlabel="year of publication")
    axes.grid(axis="y", visible=False)
    return canvas


def may_look(family: str, row: int, column: int) -> bool:
    """Whether token `row` sees token `column`; of the encoder-decoder's six, the first three are read."""
    if family == "decoder":
        return column <= row
    return family == "encoder" or column < 3 or (row >= 3 and column <= row)


@figure("looks")
def looks() -> Figure:
    titles = {"encoder": "encoder (BERT)", "decoder": "decoder (GPT)"}
    titles["encoder-decoder"] = "encoder–decoder (T5)"
    canvas, panels = plt.subplots(1, 3, figsize=(8.8, 3.2))
    for panel, (family, title) in zip(panels, titles.items(), strict=True):
        grid = np.array([[may_look(family, row, column) for column in range(6)] for row in range(6)])
        sns.heatmap(
            grid, cmap="Greys", vmin=0, vmax=1.6, cbar=False, square=True, linewidths=1, linecolor="silver",
            ax=panel,
        )  # fmt: skip
        panel.set(title=f"{title}: {grid.sum()}", xlabel="looks at token", ylabel="token")
        panel.tick_params(axis="y", rotation=0)
    canvas.tight_layout()
    return canvas


@figure("later")
def later_word() -> Figure:
    """The vector of "bank" with "river" and with "city" behind it, number by number."""
    tokenizer, encoder = minilm()
    vectors = []
    for later in ("river", "city"):
        batch = tokenizer(f"the bank of the {later}", return_tensors="pt")
        place = batch["input_ids"][0].tolist().index(tokenizer.convert_tokens_to_ids("bank"))
        with torch.inference_mode():
            vectors.append(encoder(**batch).last_hidden_state[0, place])  # (hidden,)
    cosine = F.cosine_similarity(*vectors, dim=0).item()
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    edge = 1.05 * torch.stack(vectors).abs().max().item()
    axes.plot([-edge, edge], [-edge, edge], "--", color="black", label="GPT: all would lie here")
    axes.scatter(*vectors, s=18, alpha=0.6, color=plots.PALETTE[0], label=f"BERT (cosine {cosine:.1f})")
    axes.set(
        xlabel="'the bank of the river': number of 'bank'",
        ylabel="'the bank of the city'",
        xlim=(-edge, edge),
        ylim=(-edge, edge),
    )
    axes.legend(loc="upper left")
    return canvas


# ---------------------------------------------------------------------------------------- diagrams


def box(axes: Axes, x: float, y: float, text: str, shade: str = "white", size: float = 13) -> None:
    axes.text(
        x, y, text, ha="center", va="center", fontsize=size, linespacing=1.4,
        bbox={"boxstyle": "round,pad=0.5", "facecolor": shade, "edgecolor": "black"},
    )  # fmt: skip


@figure("encoder")
def encoder() -> Figure:
    canvas, axes = plt.subplots(figsize=HALF)
    axes.set(xlim=(-0.6, 4.6), ylim=(-0.6, 5.6))
    axes.axis("off")
    words = ["the", "bank", "of", "the", "river"]
    for start in range(5):
        for end in range(5):
            axes.plot([start, end], [1.8, 3.2], color="grey", linewidth=0.8)
    axes.add_patch(plt.Rectangle((-0.5, 1.5), 5, 2, edgecolor="black", facecolor=(*plots.PALETTE[0], 0.2)))
    axes.text(2, 2.5, "BERT", ha="center", va="center", fontsize=17, weight="bold", backgroundcolor="white")
    up = {"arrowstyle": "->", "color": "black", "lw": 1.6}
    for place, word in enumerate(words):
        axes.text(place, 0, word, ha="center", va="center", fontsize=15)
        axes.annotate("", (place, 1.4), (place, 0.4), arrowprops=up)
        axes.annotate("", (place, 4.2), (place, 3.6), arrowprops=up)
        for row, shade in enumerate(np.random.default_rng(place).uniform(0.2, 0.95, 4)):  # any numbers
            corner = (place - 0.16, 4.25 + 0.3 * row)
            axes.add_patch(plt.Rectangle(corner, 0.32, 0.3, facecolor=str(shade), edgecolor="black"))
    return canvas


@figure("twice")
def twice() -> Figure:
    canvas, axes = plt.subplots(figsize=WIDE)
    axes.set(xlim=(-1.2, 16), ylim=(0, 6))
    axes.axis("off")
    steps = (
        (4.6, "1 pre-training", "the [MASK] of my kettle\nno longer closes", "BERT", "lid"),
        (1.2, "2 fine-tuning", "a review, one of a few\nhundred with labels", "BERT\n+ head", "happy"),
    )
    for y, name, text, model, answer in steps:
        axes.text(-1.2, y, name, va="center", fontsize=15, weight="bold")
        box(axes, 7.0, y, text)
        box(axes, 11.6, y, model, "gainsboro", 15)
        box(axes, 15, y, answer)
        for start, end in ((9.8, 10.6), (12.6, 14)):
            axes.annotate("", (end, y), (start, y), arrowprops={"arrowstyle": "->", "color": "black"})
    axes.annotate(
        "", (11.6, 2.2), (11.6, 3.9), arrowprops={"arrowstyle": "->", "color": plots.PALETTE[0], "lw": 3}
    )
    axes.text(11.9, 3.0, "the learned numbers", va="center", fontsize=13, color=plots.PALETTE[0])
    return canvas


@figure("languages")
def languages() -> Figure:
    names = {"en": "English", "de": "German", "fr": "French", "es": "Spanish", "el": "Greek"}
    counts = pd.Series(data.everything(data.load("reviews"))["language"]).map(names).value_counts()
    canvas, axes = plt.subplots(figsize=HALF)
    bars = axes.barh(counts.index, counts, color=plots.PALETTE[0], edgecolor="black", height=0.7)
    axes.bar_label(bars, fmt="{:,.0f}", padding=4)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set(xlabel="reviews", xlim=(0, 1.2 * counts.max()))
    return canvas


@figure("map")
def course_map() -> Figure:
    rows = {
        "how it\nworks": ["01 neural\nnetworks", "02 attention", "03 embeddings", "04 BERT\nfrom scratch",
                          "05 pre-\ntraining"],
        "what it\ndoes": ["06 classifi-\ncation", "07 question\nanswering", "08 clustering",
                          "09 complete-\nness", "10 entities"],
        "what\nelse": ["00 start here", "11 the\ntoolbox", "12 beyond\nBERT"],
    }  # fmt: skip
    canvas, axes = plt.subplots(figsize=(8.8, 3.4))
    axes.set(xlim=(0, 12.1), ylim=(-0.5, 2.6))
    axes.axis("off")
    for place, (name, boxes) in enumerate(rows.items()):
        axes.text(0, 2 - place, name, va="center", fontsize=14, weight="bold")
        for column, text in enumerate(boxes):
            corner, shade = (1.5 + 2.15 * column, 1.63 - place), (*plots.PALETTE[place], 0.25)
            axes.add_patch(plt.Rectangle(corner, 1.95, 0.74, edgecolor="black", facecolor=shade))
            axes.text(2.475 + 2.15 * column, 2 - place, text, ha="center", va="center", fontsize=11)
    return canvas
