"""The figures of slides/02_attention.md. The computations are those of notebook 02."""

import functools
import math
import os

import numpy as np
import seaborn as sns
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from drawings import HALF, TWO_THIRDS, WIDE, figure
from utils import attention, models, plots, profile

os.environ["KINETO_LOG_LEVEL"] = "99"  # the profiler keeps its own messages to itself

BANK, CLUES = 2, [5, 7]  # places in: [CLS] the bank of the river was flooded [SEP]
WORDS = ["your", "cat", "is", "a", "lovely", "cat"]
BLUE = plots.PALETTE[0]


# ---------------------------------------------------------------------------- the riddle of "bank"


@functools.cache
def bert():
    tokenizer, encoder = models.load("encoder")
    encoder.set_attn_implementation("eager")  # the form that shows its weights
    return tokenizer, encoder


@functools.cache
def bank_texts() -> list[str]:
    pairs = [("river", "flooded"), ("lake", "muddy"), ("stream", "steep"), ("canal", "grassy")]
    pairs += [("city", "robbed"), ("state", "bankrupt"), ("nation", "rich"), ("merchant", "closed")]
    return [f"the bank of the {thing} was {how}" for thing, how in pairs]


def bank_output(mask: Tensor | None = None):
    """One pass of BERT over the eight texts, with states and weights of all layers."""
    tokenizer, encoder = bert()
    batch = tokenizer(bank_texts(), return_tensors="pt")["input_ids"]  # (8, 9)
    with torch.inference_mode():
        return encoder(
            input_ids=batch, attention_mask=mask, output_hidden_states=True, output_attentions=True
        )


def mean_cosines(states: Tensor) -> tuple[float, float]:
    """Mean cosine of two "bank"s of the same meaning, and of two of different meaning; states (8, s, n)."""
    unit = F.normalize(states[:, BANK], dim=-1)
    table = unit @ unit.T  # (8, n) @ (n, 8) -> (8, 8)
    water = torch.arange(8) < 4
    alike = water[:, None] == water
    same = alike & ~torch.eye(8, dtype=torch.bool)
    return table[same].mean().item(), table[~alike].mean().item()


def last_gap(mask: Tensor | None = None) -> float:
    same, other = mean_cosines(bank_output(mask).last_hidden_state)
    return same - other


@figure("bank-parts")
def bank_parts() -> Figure:
    canvas, axes = plt.subplots(figsize=WIDE)
    curve = np.array([mean_cosines(states) for states in bank_output().hidden_states])  # (layers + 1, 2)
    for column, style, name in ((0, "o-", "same meaning"), (1, "s--", "other meaning")):
        axes.plot(curve[:, column], style, label=name)
    axes.set(xlabel="layer (0 = the input)", ylabel="mean cosine of two 'bank's")
    axes.legend()
    return canvas


# --------------------------------------------------------------------- dot product and weighted sum


def arrows(axes: Axes, vectors: Tensor, names: list[str], special: int) -> None:
    """Draw vectors from the origin; the one at place `special` in colour, and thicker."""
    for place, (vector, name) in enumerate(zip(vectors.tolist(), names, strict=True)):
        color, width = (BLUE, 4) if place == special else ("dimgrey", 2)
        axes.annotate("", vector, (0, 0), arrowprops={"arrowstyle": "->", "color": color, "lw": width})
        above = "bottom" if vector[1] > 0 else "top"
        axes.text(*vector, name, ha="center", va=above, color=color, fontsize=13)
    axes.set(aspect="equal", xlabel="first number", ylabel="second number")


@figure("dot-products")
def dot_products() -> Figure:
    canvas, axes = plt.subplots(figsize=HALF)
    reference = torch.tensor([3.0, 4.0])
    others = torch.tensor([[4.0, 3.0], [1.0, 4.0], [-4.0, 3.0], [-2.0, -3.0]])
    dots = (others @ reference).int().tolist()
    arrows(
        axes,
        torch.stack([reference, *others]),
        ["[3, 4]", *(f"{dot}".replace("-", "−") for dot in dots)],
        special=0,
    )
    axes.set(xlim=(-6, 6), ylim=(-4.5, 5.5))
    return canvas


@figure("weighted-sum")
def weighted_sum() -> Figure:
    canvas, axes = plt.subplots(figsize=HALF)
    values = torch.tensor([[0.0, 2.0], [4.0, 1.0], [-1.0, 3.0]])  # v_the, v_animal, v_it
    new = torch.softmax(torch.log(torch.tensor([1.0, 7.0, 2.0])), dim=-1) @ values
    arrows(axes, torch.stack([*values, new]), ["the 0.1", "animal 0.7", "it 0.2", "new 'it'"], special=3)
    axes.set(xlim=(-2, 5.4), ylim=(-0.8, 4.4))
    return canvas


# ---------------------------------------------------------------------------------------- diagrams


def box(axes: Axes, x: float, y: float, text: str, shade: str = "white", size: float = 13) -> None:
    axes.text(
        x, y, text, ha="center", va="center", fontsize=size, linespacing=1.5,
        bbox={"boxstyle": "round,pad=0.5", "facecolor": shade, "edgecolor": "black"},
    )  # fmt: skip


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], text: str = "") -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "black", "lw": 1.6})
    if text:
        middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        axes.text(*middle, text, ha="center", va="center", fontsize=12, backgroundcolor="white")


@figure("three-jobs")
def three_jobs() -> Figure:
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    axes.set(xlim=(0, 10), ylim=(0, 6))
    axes.axis("off")
    jobs = (("query", "W_Q", "what I look for"), ("key", "W_K", "what I can be found by"))
    for y, (name, matrix, job) in zip((5, 3, 1), (*jobs, ("value", "W_V", "what I hand over")), strict=True):
        arrow(axes, (2.1, 3), (4.2, y), f"${matrix}$")
        box(axes, 5.05, y, name, "gainsboro")
        axes.text(6.4, y, job, va="center", fontsize=13)
    box(axes, 1.1, 3, "a token's\nvector")
    return canvas


@figure("heads")
def several_heads() -> Figure:
    """Four heads of width 2 for a token of 8 numbers: cut, attend, side by side, mix."""
    canvas, axes = plt.subplots(figsize=(8.8, 3.4))
    axes.set(xlim=(0, 17), ylim=(0, 6))
    axes.axis("off")
    for x, text in (
        (0.6, "states\n(s, n)"),
        (5.0, "Q, K, V\n(s, n) each"),
        (12.6, "joined\n(s, n)"),
        (16, "output\n(s, n)"),
    ):
        box(axes, x, 3, text)
    for number, y in enumerate((5.4, 3.8, 2.2, 0.6)):
        arrow(axes, (6.35, 3), (7.4, y))
        arrow(axes, (10.3, y), (11.55, 3))
        box(axes, 8.9, y, f"head {number}: (s, d)", ("gainsboro", "white")[number % 2], 12)
    arrow(axes, (1.6, 3), (3.5, 3))
    arrow(axes, (13.65, 3), (15, 3))
    for x, y, text in ((2.5, 3.3, "project"), (6.3, 4.6, "cut"), (11.4, 4.6, "join"), (14.3, 3.3, "$W_O$")):
        axes.text(x, y, text, ha="center", fontsize=13)
    return canvas


# ------------------------------------------------------------------------------- a toy in six words


@functools.cache
def toy() -> tuple[Tensor, tuple[Tensor, ...]]:
    """The vectors (6, 4) of "your cat is a lovely cat", and three random projections (4, 4)."""
    vectors = {
        "your": [1, 0, 0, 1],
        "cat": [0, 2, 0, 1],
        "is": [0, 0, 1, 0],
        "a": [1, 0, 1, 0],
        "lovely": [0, 1, 0, 2],
    }
    profile.seed_everything(0)
    matrices = torch.randn(3, 4, 4) / 2
    return torch.tensor([vectors[word] for word in WORDS], dtype=torch.float32), tuple(matrices)


def toy_attention(x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    return attention.scaled_dot_product(*(x @ matrix for matrix in toy()[1]), mask)


def weights_table(axes: Axes, weights: Tensor, rows: list, columns: list) -> None:
    """A table of weights: one row for each query, one column for each key; zeros are left out."""
    table = weights.detach().numpy()
    axes.grid(False)
    sns.heatmap(
        table, annot=True, fmt=".2f", mask=table == 0, cmap="Greys", vmin=0, vmax=1.2, cbar=False,
        linewidths=0.5, linecolor="silver", ax=axes,
    )  # fmt: skip
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=0)
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows, rotation=0)
    axes.set(xlabel="key: is looked at", ylabel="query: looks")


@figure("six-words")
def six_words() -> Figure:
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    weights_table(axes, toy_attention(toy()[0])[1], WORDS, WORDS)
    return canvas


@figure("who-reacts")
def who_reacts() -> Figure:
    """Which outputs react when one word's vector changes, with no mask and in each half of joined passes."""
    x, left = toy()[0], attention.causal_mask(6)
    canvas, panels = plt.subplots(1, 3, figsize=(8.8, 2.9), sharey=True)
    named = {"one pass": torch.ones_like(left), "left to right": left, "right to left": left.T}
    for panel, (name, mask) in zip(panels, named.items(), strict=True):
        before, columns = toy_attention(x, mask)[0], []
        for place in range(6):
            changed = x.clone()
            changed[place] += 1
            columns.append(((toy_attention(changed, mask)[0] - before).abs() > 1e-6).any(dim=-1))  # (6,)
        reacts = torch.stack(columns, dim=1).numpy()
        sns.heatmap(
            reacts, cmap="Greys", vmin=0, vmax=1.6, cbar=False, linewidths=1, linecolor="silver", ax=panel
        )
        panel.set_xticks(np.arange(6) + 0.5, WORDS, rotation=90)
        panel.set_yticks(np.arange(6) + 0.5, WORDS, rotation=0)
        panel.set(title=f"{name}: {reacts.sum()}", xlabel="this word changes")
    panels[0].set_ylabel("this output reacts")
    return canvas


# ------------------------------------------------------------------------- scaling, masks and order


def saturation(width: int, scaled: bool, queries: int = 1000, keys: int = 10) -> tuple[float, float, float]:
    """Variance of the scores, largest weight, and the size of its gradient (means over the queries)."""
    query, key = torch.randn(queries, 1, width), torch.randn(queries, keys, width)
    scores = (query @ key.transpose(-2, -1)).squeeze(1)  # (queries, 1, keys) -> (queries, keys)
    if scaled:
        scores = scores / math.sqrt(width)
    scores.requires_grad_()
    largest = torch.softmax(scores, dim=-1).max(dim=-1).values  # (queries,)
    largest.sum().backward()
    return scores.var().item(), largest.mean().item(), scores.grad.norm(dim=-1).mean().item()


@figure("saturation")
def saturated() -> Figure:
    canvas, panels = plt.subplots(1, 3, figsize=(8.8, 3))
    widths = [4, 16, 64, 256, 1024]
    lines = [
        ("as it is", "o-", np.array([saturation(width, False) for width in widths])),
        ("divided by √d", "s--", np.array([saturation(width, True) for width in widths])),
    ]
    names = ("variance of scores (log)", "largest weight", "size of its gradient")
    for column, (panel, name) in enumerate(zip(panels, names, strict=True)):
        for label, style, rows in lines:
            panel.plot(widths, rows[:, column], style, label=label)
        panel.set(xscale="log", xlabel="width d (log)", title=name, ylim=(0, None))
        panel.set_xticks(widths, widths, fontsize=10)
        panel.minorticks_off()
    panels[0].set(yscale="log", ylim=(0.5, None))
    panels[1].legend(loc="center right")
    canvas.tight_layout()
    return canvas


@figure("causal")
def causal() -> Figure:
    canvas, axes = plt.subplots(figsize=HALF)
    scores = torch.tensor(
        [[2.0, 1.0, 0.0, 1.0], [1.0, 3.0, 1.0, 0.0], [0.0, 1.0, 2.0, 2.0], [1.0, 0.0, 1.0, 3.0]]
    )
    weights = torch.softmax(scores.masked_fill(~attention.causal_mask(4), -math.inf), dim=-1)
    weights_table(axes, weights, range(4), range(4))
    axes.set(xlabel="key (token)", ylabel="query (token)")
    return canvas


@figure("order")
def order() -> Figure:
    """The toy's outputs for two orders of the same words: the same rows, permuted."""
    x, shuffle = toy()[0], torch.tensor([5, 3, 0, 4, 1, 2])  # cat a your lovely cat is
    canvas, panels = plt.subplots(1, 2, figsize=(8.4, 2.7))
    for panel, places in zip(panels, (torch.arange(6), shuffle), strict=True):
        output = toy_attention(x[places])[0].numpy()  # (6, 4)
        sns.heatmap(
            output, annot=True, fmt=".2f", cmap="Greys", vmin=output.min(), vmax=2 * output.max(), cbar=False,
            linewidths=0.5, linecolor="silver", xticklabels=False, ax=panel,
        )  # fmt: skip
        panel.set_yticks(np.arange(6) + 0.5, [WORDS[place] for place in places], rotation=0)
        panel.set(xlabel="output: four numbers a word")
    canvas.tight_layout(w_pad=3)
    return canvas


# ------------------------------------------------------------------------------ heads and real BERT


@figure("mixing")
def mixing() -> Figure:
    """Which of 8 numbers move, for five tokens, when head 0 of four finds something else."""
    profile.seed_everything(0)
    mix, found = nn.Linear(8, 8), torch.randn(5, 8)
    changed = found.clone()
    changed[:, :2] += 1
    canvas, panels = plt.subplots(2, 1, figsize=TWO_THIRDS)
    for panel, name, before, after in (
        (panels[0], "before $W_O$", found, changed),
        (panels[1], "after $W_O$", mix(found), mix(changed)),
    ):
        moved = ((after - before).abs() > 1e-6).numpy()
        sns.heatmap(
            moved, cmap="Greys", vmin=0, vmax=1.6, cbar=False, linewidths=1, linecolor="silver", ax=panel
        )
        panel.set(title=f"{name}: {moved.any(0).sum()} of 8 numbers move", ylabel="5 tokens", yticks=[])
        panel.set_xticks(np.arange(8) + 0.5, range(8))
    panels[1].set_xlabel("number")
    canvas.tight_layout()
    return canvas


@figure("translations")
def translations() -> Figure:
    """Cross-attention that learns to look from French words at their English translations."""
    french, english = ["ton", "chat", "est", "un", "adorable"], ["your", "cat", "is", "a", "lovely"]
    profile.seed_everything(0)
    to_query, to_key, one = nn.Linear(5, 8), nn.Linear(5, 8), torch.eye(5)  # word i is row i of `one`
    optimizer = torch.optim.Adam([*to_query.parameters(), *to_key.parameters()], lr=0.05)
    for _ in range(150):
        source = torch.randint(5, (32, 6))
        target = source.gather(1, torch.randint(6, (32, 6)))
        query, key = to_query(one[target]), to_key(one[source])
        found, _ = attention.scaled_dot_product(query, key, one[source])  # (32, 6, 5)
        loss = -torch.log(found.gather(-1, target[..., None])).mean()  # weight on the right word
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    asks = ["ton", "chat", "est", "un", "chat", "adorable"]
    target, source = [french.index(word) for word in asks], [english.index(word) for word in WORDS]
    query, key = to_query(one[target]), to_key(one[source])
    weights = attention.scaled_dot_product(query, key, one[source])[1].detach()
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    weights_table(axes, weights.where(weights > 0.005, 0), asks, WORDS)
    return canvas


@figure("to-river")
def to_river() -> Figure:
    """Whom "bank" attends to, in the head where it looks hardest at "river"."""
    tokenizer, _ = bert()
    weights = torch.stack(bank_output().attentions)[:, 0]  # (layers, 8, h, s, s) -> (layers, h, s, s)
    layer, head = divmod(int(weights[:, :, BANK, CLUES[0]].argmax()), weights.shape[1])
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(bank_texts()[0])["input_ids"])
    canvas, axes = plt.subplots(figsize=HALF)
    axes.barh(
        [f"{place} {word}" for place, word in enumerate(tokens)], weights[layer, head, BANK], color=BLUE
    )
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel=f"weight from 'bank' (layer {layer}, head {head})")
    return canvas


# ----------------------------------------------------------------------------------------- ablation


@functools.cache
def lost_without() -> Tensor:
    """The share of the gap, in percent, that is lost when one head is set to 0: (layers, heads)."""
    _, encoder = bert()
    depth, heads = encoder.config.num_hidden_layers, encoder.config.num_attention_heads
    width, whole, lost = encoder.config.hidden_size // heads, last_gap(), torch.zeros(depth, heads)
    for layer, part in enumerate(encoder.encoder.layer):
        for head in range(heads):

            def to_zero(_, given, first=head * width):
                joined = given[0].clone()  # (b, s, n): the heads side by side
                joined[..., first : first + width] = 0
                return (joined,)

            hook = part.attention.output.dense.register_forward_pre_hook(to_zero)
            lost[layer, head] = 100 * (1 - last_gap() / whole)
            hook.remove()
    return lost


def cut(who: list[int], whom: list[int]) -> Tensor:
    """A mask (1, 1, s, s) to add to the scores: -inf where `who` may not look at `whom`."""
    hidden = torch.zeros(9, 9, dtype=torch.bool)
    hidden[torch.tensor(who)[:, None], whom] = True
    return torch.zeros(1, 1, 9, 9).masked_fill(hidden, -math.inf)


@figure("ablation")
def ablation() -> Figure:
    """Above: each head's weight on the clues against what its loss costs. Below: what a forbidden look costs."""
    weights = torch.stack(bank_output().attentions)  # (layers, 8, h, s, s)
    on_clues = weights[:, :, :, BANK, CLUES].sum(-1).mean(1).flatten()  # (layers, 8, h, 2) -> (layers · h)
    lost = lost_without().flatten()
    hard = torch.zeros(len(lost), dtype=torch.bool)
    hard[on_clues.topk(10).indices] = True
    canvas, (above, below) = plt.subplots(2, 1, figsize=(6, 4.4), height_ratios=[1.8, 1])
    above.scatter(on_clues[~hard], lost[~hard], color="grey", marker="o", s=25, label="the others")
    above.scatter(on_clues[hard], lost[hard], color=BLUE, marker="D", s=50, label="the ten that look hardest")
    above.axhline(0, color="black", linestyle=":")
    above.set(xlabel="a head's weight from 'bank' on its clues", ylabel="gap lost without it (%)")
    above.legend(loc="lower left", bbox_to_anchor=(-0.1, 1), ncols=2, frameon=False)
    whole = last_gap()
    left_over = {
        "(none)": 100,
        "'bank' to 'the'": 100 * last_gap(cut([BANK], [1, 4])) / whole,
        "'bank' to its clues": 100 * last_gap(cut([BANK], CLUES)) / whole,
    }
    bars = below.barh(list(left_over), list(left_over.values()), color="silver", edgecolor="black")
    below.bar_label(bars, fmt="%.0f", padding=3, fontsize=12)
    below.invert_yaxis()
    below.set(xlim=(0, 118), xlabel="gap left, with this look forbidden (%)")
    below.grid(False)
    canvas.tight_layout()
    return canvas


# --------------------------------------------------------------------------------------------- cost


def allocated(function, *tensors: Tensor) -> int:
    """Bytes that `function` asks for, its result included."""
    with torch.profiler.profile(profile_memory=True) as recorder:
        function(*tensors)
    return sum(max(event.self_cpu_memory_usage, 0) for event in recorder.key_averages())


@figure("memory")
def memory() -> Figure:
    """What one layer's attention of MiniLM (12 heads of width 32) asks for, naive and as SDPA."""
    lengths = [128, 256, 512, 1024, 2048]
    forms = {
        "naive": (attention.scaled_dot_product, "o-"),
        "SDPA": (F.scaled_dot_product_attention, "s--"),
    }
    canvas, axes = plt.subplots(figsize=HALF)
    with torch.inference_mode():
        for name, (form, style) in forms.items():
            asked = [allocated(form, *torch.randn(3, 1, 12, length, 32)) / 1e6 for length in lengths]
            axes.plot(lengths, asked, style, label=name)
    one_table = [12 * length**2 * 4 / 1e6 for length in lengths]  # heads, pairs, bytes a number
    axes.plot(lengths, one_table, ":", color="grey", label="one table of scores")
    axes.set(xscale="log", yscale="log", xlabel="tokens (log)", ylabel="memory asked for, in MB (log)")
    axes.set_xticks(lengths, lengths)
    axes.minorticks_off()
    axes.legend()
    return canvas
