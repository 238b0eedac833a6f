"""The figures of slides/05_pretraining.md. What the notebook trains for minutes is read from its stored outputs."""

import functools
import json
import math

import numpy as np
import seaborn as sns
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from transformers import AutoModelForPreTraining, AutoTokenizer

from drawings import HALF, TWO_THIRDS, WIDE, figure, stored
from utils import models, plots
from utils.bert import BertForPreTraining
from utils.pretraining import batches

BLUE, ORANGE = plots.PALETTE[0], plots.PALETTE[1]
SENTENCE = "The river flows through the [MASK] and into the sea."


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bars(axes: Axes, values: dict[str, float], form: str = "%.1f", hatch: str = "") -> None:
    """Horizontal bars, the first on top, each with its number behind it."""
    drawn = axes.barh(list(values), list(values.values()), color="silver", edgecolor="black", hatch=hatch)
    axes.bar_label(drawn, fmt=form, padding=4, fontsize=12)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.margins(x=0.16)


def places_of(columns: list[list[str]], gap: float = 1.6) -> list[float]:
    """Where the middles of columns of words stand, each as wide as its longest word (in letters)."""
    places, left = [], 0.0
    for words in columns:
        width = max(max(map(len, words)), 2) + gap
        places.append(left + width / 2)
        left += width
    return places


# ----------------------------------------------------------------------------------- hide and guess


@figure("levels")
def levels() -> Figure:
    """The MLM loss of knowing nothing, of frequency, and of the notebook's live run."""
    known = stored.table("05", "no idea", "guessing by frequency")["MLM loss"]
    reached = stored.table("05", "held-out MLM accuracy").loc["held-out MLM loss (nats)"].item()
    canvas, axes = plt.subplots(figsize=HALF)
    names = {"no idea": known["no idea"], "by frequency": known["guessing by frequency"]}
    bars(axes, names | {"three minutes\nof training": float(reached.split()[0])}, "%.2f")
    axes.set(xlabel="MLM loss (nats)")
    return canvas


@figure("guess")
def guess() -> Figure:
    """Softmax of made-up logits for "the number of [MASK] in the graph"."""
    words, logits = ["nodes", "edges", "colours", "the", "of"], torch.tensor([3.0, 2.0, 0.0, -1.0, -1.0])
    canvas, (left, right) = plt.subplots(1, 2, figsize=TWO_THIRDS, sharey=True)
    chances = torch.softmax(logits, 0)
    for panel, values, name in (
        (left, chances, "probability"),
        (right, -chances.log(), "loss, if it is the label"),
    ):
        bars(
            panel,
            dict(zip(words, values.tolist(), strict=True)),
            "%.2f",
            hatch="//" if panel is right else "",
        )
        panel.set(xlabel=name)
        panel.margins(x=0.35)
    left.invert_yaxis()
    canvas.tight_layout()
    return canvas


@figure("masked")
def masked() -> Figure:
    """The notebook's sentence, what BERT sees of it, and the labels; below, the shares over 100,000 tokens."""
    rows = stored.table("05", "what BERT sees")
    canvas, (above, below) = plt.subplots(2, 1, figsize=(8.8, 3.7), height_ratios=[1.5, 1])
    above.axis("off")
    pieces_of = rows.astype(str)
    places = places_of([column.str.strip().tolist() for _, column in pieces_of.items()])
    above.set(xlim=(-16, places[-1] + 3), ylim=(2.6, -0.6))
    for line, (name, pieces) in enumerate(pieces_of.iterrows()):
        above.text(-2, line, name, ha="right", va="center", fontsize=12)
        for place, piece, original in zip(places, pieces, pieces_of.iloc[0], strict=True):
            changed = line == 1 and piece != original
            asked = name == "label" and piece.strip()
            face = "gold" if changed else "gainsboro" if asked else "white"
            if piece.strip():
                above.text(
                    place, line, piece, ha="center", va="center", fontsize=11,
                    bbox={"boxstyle": "round,pad=0.3", "facecolor": face, "edgecolor": "black"},
                )  # fmt: skip
    text = torch.arange(10, 8010).repeat(13)[:100_000].view(1000, 100)
    hidden, positions, _ = batches.mask_tokens(
        text, torch.ones_like(text, dtype=torch.bool), 0.15, 8192, 4, 5, draw(0)
    )
    chosen, is_mask, changed = torch.zeros_like(text), hidden == 4, hidden != text
    chosen.scatter_(1, positions, 1)
    parts = {
        "not chosen": chosen == 0,
        "[MASK]": is_mask,
        "random": changed & ~is_mask,
        "unchanged, but asked": (chosen == 1) & ~changed,
    }
    start = 0.0
    for (name, where), hatch in zip(parts.items(), ("", "//", "xx", ".."), strict=True):
        share = 100 * where.float().mean().item()
        shade = "white" if name == "not chosen" else "silver"
        below.barh(
            0, share, left=start, color=shade, edgecolor="black", hatch=hatch, label=f"{name} {share:.1f}%"
        )
        start += share
    below.set(xlim=(0, 100), xlabel="of 100 tokens", yticks=[])
    below.legend(
        ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False, fontsize=11, columnspacing=1
    )
    canvas.tight_layout()
    return canvas


@figure("coverage")
def coverage() -> Figure:
    """Share of the tokens asked for at least once, by the same mask each time and by a new one."""
    text = torch.arange(10, 5010).repeat(4).view(200, 100)
    asked, shares = torch.zeros_like(text, dtype=torch.bool), []
    for passes in range(40):
        positions = batches.mask_tokens(text, ~torch.zeros_like(asked), 0.15, 8192, 4, 5, draw(passes))[1]
        asked.scatter_(1, positions, value=True)
        shares.append(100 * asked.float().mean().item())
    canvas, axes = plt.subplots(figsize=HALF)
    passes = range(1, 41)
    axes.plot(passes, shares, "-", linewidth=3, label="dynamic: a new mask each pass")
    axes.plot(passes, [100 * (1 - 0.85**n) for n in passes], "k:", label="$1-0.85^n$")
    axes.plot(passes, shares[:1] * 40, "--", linewidth=3, label="static: one mask for all")
    axes.set(xlabel="passes over the text", ylabel="tokens asked for at least once (%)", ylim=(0, 105))
    axes.legend(loc="center right")
    return canvas


# ------------------------------------------------------------------------------------ sentence pairs


@figure("pair")
def pair() -> Figure:
    """How BERT reads a pair, and which output answers."""
    canvas, axes = plt.subplots(figsize=(8.8, 3.2))
    axes.axis("off")
    axes.set(ylim=(-0.9, 4.4))
    pieces = ["[CLS]", "the", "lid", "leaks", "[SEP]", "please", "send", "a", "new", "one", "[SEP]"]
    first = pieces.index("[SEP]") + 1
    places = places_of([[piece] for piece in pieces], gap=2)
    axes.set_xlim(-8, places[-1] + 4)
    axes.text(-2, 0.6, "tokens", ha="right", va="center", fontsize=12)
    axes.text(-2, -0.3, "segment", ha="right", va="center", fontsize=12)
    for number, (place, piece) in enumerate(zip(places, pieces, strict=True)):
        segment = int(number >= first)
        axes.text(
            place, 0.6, piece, ha="center", va="center", fontsize=12,
            bbox={"boxstyle": "round,pad=0.35", "facecolor": ("white", "gainsboro")[segment], "edgecolor": "black"},
        )  # fmt: skip
        axes.text(place, -0.3, segment, ha="center", va="center", fontsize=12)
        axes.annotate("", (place, 1.65), (place, 1.05), arrowprops={"arrowstyle": "->", "color": "grey"})
    box = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": "black"}
    width = places[-1] - places[0] + 5
    axes.add_patch(plt.Rectangle((places[0] - 2.5, 1.7), width, 0.8, facecolor="white", edgecolor="black"))
    axes.text(places[0] - 2.5 + width / 2, 2.1, "BERT", ha="center", va="center", fontsize=13)
    axes.annotate(
        "", (places[0], 3.35), (places[0], 2.55), arrowprops={"arrowstyle": "->", "color": "black", "lw": 2}
    )
    axes.text(places[0], 3.8, "pooler", ha="center", va="center", fontsize=12, bbox=box)
    axes.annotate("", (13, 3.8), (8, 3.8), arrowprops={"arrowstyle": "->", "color": "black", "lw": 2})
    axes.text(14, 3.8, 'two logits: "B follows A" and "it does not"', va="center", fontsize=13)
    return canvas


@figure("similar")
def similar() -> Figure:
    """Cosines of followers and strangers: their means, and the pairs at the wrong ends."""
    means = stored.numbers("05", r"mean cosine: followers (-?[\d.]+), strangers (-?[\d.]+)")
    ends = stored.table("05", "cosine", "strangers")["cosine"]
    canvas, axes = plt.subplots(figsize=(8.4, 2.4))
    rows = (("B follows A", "o", BLUE), ("strangers", "s", ORANGE))
    for (name, marker, color), mean in zip(rows, means, strict=True):
        axes.plot(
            ends[name],
            [name] * len(ends[name]),
            marker,
            color=color,
            markersize=12,
            label=f"extreme pairs: {name}",
        )
        axes.plot(mean, name, "|", color="black", markersize=42, markeredgewidth=4)
        axes.annotate("mean", (mean, name), (9, 14), textcoords="offset points", fontsize=12)
    axes.set(xlabel="cosine of A and B (MiniLM)", ylim=(1.6, -0.6))
    return canvas


# ----------------------------------------------------------------------------------------- training


@figure("muon")
def muon() -> Figure:
    """The strengths of the directions of one step: gradient, AdamW, Muon."""
    strengths = stored.table("05", "gradient", "Muon's first step")
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    for (name, row), style in zip(strengths.iterrows(), ("o:", "s--", "D-"), strict=True):
        axes.plot(strengths.columns, row, style, label=name, markersize=9, linewidth=2)
    axes.set(ylabel="strength (% of the strongest)", xlabel="direction of the matrix", ylim=(-4, 108))
    axes.legend()
    return canvas


@functools.cache
def checkpoint():
    """The tokenizer and the model that the course trained, and a fresh one of its size."""
    with models.quiet():
        tokenizer = AutoTokenizer.from_pretrained(models.COURSE_CHECKPOINT, local_files_only=True)
        loaded = AutoModelForPreTraining.from_pretrained(models.COURSE_CHECKPOINT, local_files_only=True)
    trained = BertForPreTraining.from_transformers(loaded).eval()
    torch.manual_seed(0)
    return tokenizer, trained, BertForPreTraining(trained.bert.config).eval()


@torch.no_grad()
def attention_maps(model: BertForPreTraining, ids: Tensor) -> list[Tensor]:
    """Who attends to whom, for each block: (b, h, s, s)."""
    states, maps = model.bert.embeddings(ids, torch.zeros_like(ids)), []
    for block in model.bert.blocks:
        maps.append(block.attention.weights(states)[0])
        states = block(states)
    return maps


@figure("attention")
def attention_forms() -> Figure:
    """One head's attention in a fresh model and in the checkpoint: the head that looks at neighbours most."""
    tokenizer, trained, fresh = checkpoint()
    ids = tokenizer(SENTENCE, return_tensors="pt")["input_ids"]
    names = tokenizer.convert_ids_to_tokens(ids[0])
    s = len(names)
    distance = (torch.arange(s)[:, None] - torch.arange(s)).abs()
    near = (distance > 0) & (distance <= 2)
    shares = torch.stack([(heads * near).sum(-1).mean(-1) for heads in attention_maps(trained, ids)])
    layer, head = divmod(int(shares.argmax()), shares.shape[1])
    canvas, panels = plt.subplots(1, 2, figsize=(8.8, 4.1), sharey=True)
    for panel, (name, model) in zip(
        panels, {"a fresh model": fresh, "after training": trained}.items(), strict=True
    ):
        weights = attention_maps(model, ids)[layer][head].numpy()
        sns.heatmap(
            weights, cmap="Greys", vmin=0, vmax=0.7, cbar=False, square=True, xticklabels=names, yticklabels=names, ax=panel
        )  # fmt: skip
        panel.set(title=name, xlabel="is looked at")
        panel.tick_params(labelsize=11)
    panels[0].set_ylabel("looks")
    canvas.tight_layout()
    return canvas


@figure("surprise")
def surprise() -> Figure:
    """Pseudo-perplexity of three texts under the notebook's model, before and after its three minutes."""
    found = stored.table("05", "the same, backwards")
    canvas, axes = plt.subplots(figsize=(8.4, 2.5))
    high = np.arange(len(found))
    for shift, column, hatch, shade in ((-0.2, "before", "//", "white"), (0.2, "after", "", "silver")):
        drawn = axes.barh(
            high + shift, found[column], 0.38, color=shade, hatch=hatch, edgecolor="black", label=column
        )
        axes.bar_label(drawn, fmt="{:,.0f}", padding=4, fontsize=12)
    axes.set_yticks(high, found.index)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="pseudo-perplexity (log)", xlim=(1, 60_000))
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    axes.grid(False, axis="y")
    return canvas


@figure("rates")
def rates() -> Figure:
    """Held-out loss of short runs by masking rate: two seeds each."""
    found = stored.table("05", "5%", "60%")
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    for row, marker in (("min", "v"), ("max", "^")):
        axes.plot(found.columns, found.loc[row], marker, color=BLUE, markersize=12)
    axes.vlines(found.columns, found.loc["min"], found.loc["max"], color=BLUE, linewidth=3, label="two seeds")
    axes.plot(found.columns, found.loc["mean"], "k--", label="their mean")
    axes.set(xlabel="share of hidden tokens while training", ylabel="held-out MLM loss (nats)")
    axes.margins(x=0.2, y=0.2)
    axes.legend()
    return canvas


@figure("plain-sight")
def plain_sight() -> Figure:
    found = stored.table("05", "always [MASK]").iloc[:, 0]
    canvas, axes = plt.subplots(figsize=HALF)
    named = {"always [MASK]": found["always [MASK]"], "80/10/10": found["80/10/10"]}
    bars(axes, named | {"80/10/10,\nthree minutes": found["80/10/10, three minutes"]}, "%.0f")
    axes.set(xlabel="tokens in plain sight,\ngiven back (%)")
    return canvas


@figure("shop")
def shop() -> Figure:
    """The checkpoint's loss on the shop's text, before and after going on with other shop text."""
    found = stored.table("05", "as it was", "gain").iloc[:, 0].astype(float)
    canvas, axes = plt.subplots(figsize=HALF)
    bars(axes, dict(found), "%.2f")
    axes.set(xlabel="MLM loss on the shop's\nvalidation text (nats)")
    return canvas


@figure("checkpoint")
def checkpoint_curve() -> Figure:
    metrics = json.loads((models.COURSE_CHECKPOINT / "metrics.json").read_text(encoding="utf-8"))
    canvas, axes = plt.subplots(figsize=WIDE)
    plots.pretraining_curve(metrics, " ", axes)
    return canvas


@figure("probes")
def probes() -> Figure:
    """The share of "she" against "he" in three sentences for each job: notebook 05, section 12."""
    tokenizer, trained, _ = checkpoint()
    she_id, he_id = tokenizer.convert_tokens_to_ids(["she", "he"])

    @torch.no_grad()
    def she(text: str) -> float:
        ids = tokenizer(text.replace("a e", "an e"), return_tensors="pt")["input_ids"]
        logits = trained.masked_language_model(trained.bert(ids)[0])[ids == tokenizer.mask_token_id][0]
        chances = torch.softmax(logits[[she_id, he_id]], 0)
        return 100 * chances[0].item()

    frames = ["[MASK] works as a {}.", "[MASK] was a famous {}.", "The {} said that [MASK] was tired."]
    jobs = ["nurse", "dancer", "teacher", "secretary", "doctor", "lawyer", "engineer", "soldier", "priest"]
    found = {job: [she(frame.format(job)) for frame in frames] for job in jobs}
    order = sorted(jobs, key=lambda job: np.mean(found[job]))
    neutral = np.mean([she(text) for text in ("[MASK] is at home.", "[MASK] was tired.", "[MASK] said so.")])
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    for place, job in enumerate(order):
        axes.plot(found[job], [place] * 3, "o", color="grey", label="one sentence" if not place else None)
        axes.plot(
            np.mean(found[job]),
            place,
            "D",
            color=BLUE,
            markersize=10,
            label="mean of three" if not place else None,
        )
    axes.axvline(neutral, color="black", linestyle=":", label="no job named")
    axes.axvline(50, color="grey", linewidth=1)
    axes.set_yticks(range(len(order)), order)
    axes.set(xlim=(0, 100), xlabel='share of "she" (%)')
    axes.legend(loc="upper right")
    return canvas


def scientific(value: float) -> str:
    mantissa, exponent = f"{value:.1e}".split("e+")
    return rf"${mantissa} \cdot 10^{{{exponent}}}$"


@figure("costs")
def costs() -> Figure:
    """FLOPs of the notebook's run, of the checkpoint, and of published models."""
    flops = (
        stored.table("05", "MosaicBERT-Base")["FLOPs"].replace(r"^\s*$", math.nan, regex=True).astype(float)
    )
    flops = flops.dropna().sort_values()
    canvas, axes = plt.subplots(figsize=(8.4, 2.8))
    drawn = axes.barh(flops.index, flops, color="silver", edgecolor="black")
    for bar, name in zip(drawn, flops.index, strict=True):
        bar.set_hatch("//" if name in ("this notebook", "the checkpoint") else "")
    axes.bar_label(drawn, [scientific(value) for value in flops], padding=4, fontsize=12)
    axes.set(xscale="log", xlim=(1e12, 1e26), xlabel="FLOPs of the training: $6 \\cdot N \\cdot T$ (log)")
    axes.grid(False, axis="y")
    return canvas
