"""The figures of slides/04_bert_from_scratch.md. The computations are those of notebook 04."""

import functools

import numpy as np
import pandas as pd
import seaborn as sns
import torch
import transformers
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from drawings import HALF, TWO_THIRDS, WIDE, figure
from utils import attention, bert, models, parameters, plots, profile

TEXTS = ["The lid of my kettle no longer closes.", "Where is my order?"]
STYLES = {"add & norm (BERT)": "-", "norm only": "--", "neither": ":"}


@functools.cache
def minilm():
    return models.load("encoder")


@functools.cache
def copy_of_minilm() -> bert.Bert:
    """The course's own model with MiniLM's weights."""
    return bert.Bert.from_transformers(minilm()[1]).eval()


@functools.cache
def batch() -> dict[str, Tensor]:
    return dict(minilm()[0](TEXTS, padding=True, return_tensors="pt"))


# ---------------------------------------------------------------------------------------- diagrams


def box(axes: Axes, x: float, y: float, text: str, shade="white", size: float = 12, alpha=0.3) -> None:
    face = (*plots.PALETTE[shade], alpha) if isinstance(shade, int) else shade
    style = {"boxstyle": "round,pad=0.5", "facecolor": face, "edgecolor": "black"}
    axes.text(x, y, text, ha="center", va="center", fontsize=size, linespacing=1.4, bbox=style)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], **more) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "black", "lw": 1.6} | more)


@figure("stack")
def stack() -> Figure:
    blocks = minilm()[1].config.num_hidden_layers
    floors = [
        ("ids (b, s)", "white"), ("embeddings", 7), ("block 1", 0), ("block 2", 0), ("…", "white"),
        (f"block {blocks}", 0), ("states (b, s, n)", "white"), ("head", 2),
    ]  # fmt: skip
    canvas, axes = plt.subplots(figsize=HALF)
    axes.set(xlim=(0, 6), ylim=(-0.5, len(floors) - 0.5))
    axes.axis("off")
    for floor, (text, shade) in enumerate(floors):
        if floor:
            arrow(axes, (3, floor - 0.72), (3, floor - 0.28))
        if shade == "white":
            axes.text(3, floor, text, ha="center", va="center", fontsize=14)
        else:
            face = (*plots.PALETTE[shade], 0.3)
            axes.add_patch(plt.Rectangle((1, floor - 0.28), 4, 0.56, facecolor=face, edgecolor="black"))
            axes.text(3, floor, text, ha="center", va="center", fontsize=14)
    return canvas


@figure("block")
def block_diagram() -> Figure:
    parts = ["vectors\nin\n(b, s, n)", "attention:\ntokens\ntalk", "add\n& norm",
             "feed-forward:\neach thinks\nalone", "add\n& norm", "vectors\nout\n(b, s, n)"]  # fmt: skip
    canvas, axes = plt.subplots(figsize=(9.4, 2.7))
    for place, (part, shade) in enumerate(zip(parts, (7, 0, 2, 1, 2, 7), strict=True)):
        box(axes, place, 0, part, shade)
        if place:
            arrow(axes, (place - 0.58, 0), (place - 0.42, 0))
    for start, end in ((0.5, 2), (2.5, 4)):
        arrow(axes, (start, 0.05), (end, 0.45), connectionstyle="arc3,rad=-0.45", linestyle="--")
        axes.text((start + end) / 2, 1.02, "shortcut: + the part's input", ha="center", fontsize=12)
    axes.set(xlim=(-0.5, 5.5), ylim=(-0.6, 1.25))
    axes.axis("off")
    return canvas


@figure("shapes")
def shapes() -> Figure:
    """The shapes on the way through a block, read off MiniLM, in letters."""
    c, given = minilm()[1].config, batch()
    letters = {given["input_ids"].shape[0]: "b", given["input_ids"].shape[1]: "s", c.hidden_size: "n"}
    letters |= {c.intermediate_size: "4n", c.num_attention_heads: "h"}
    letters[c.hidden_size // c.num_attention_heads] = "n/h"

    def named(tensor: Tensor) -> str:
        return "(" + ", ".join(letters[size] for size in tensor.shape) + ")"

    model = copy_of_minilm()
    first = model.blocks[0]
    with torch.no_grad():
        x = model.embeddings(given["input_ids"], given["token_type_ids"])
        query = first.attention.project(x)[0]
        weights = first.attention.weights(x, attention.padding_mask(given["attention_mask"]))
        wide = first.expand(x)
        states, pooled = model(**given)
    path = [
        ("ids", given["input_ids"], "white"), ("embeddings", x, 7), ("query, key,\nvalue", query, 0),
        ("weights:\ntokens meet", weights, 0), ("attention's\noutput", x, 0), ("feed-forward,\nwidest", wide, 1),
        ("states", states, 7), ("pooler:\n[CLS] alone", pooled, 2),
    ]  # fmt: skip
    canvas, axes = plt.subplots(figsize=(9.2, 3.3))
    axes.set(xlim=(-0.55, 3.55), ylim=(-0.55, 1.5))
    axes.axis("off")
    for place, (name, tensor, shade) in enumerate(path):
        column, row = place % 4, 1 - place // 4
        box(axes, column, row, f"{name}\n{named(tensor)}", shade, 13)
        if column:
            arrow(axes, (column - 0.62, row), (column - 0.4, row))
    arrow(axes, (2.9, 0.68), (0.25, 0.32), connectionstyle="arc3,rad=0.0", color="grey")
    return canvas


# --------------------------------------------------------------------------------- parts of a block


@figure("five-steps")
def five_steps() -> Figure:
    x = torch.tensor([3.0, 9.0, 11.0, 17.0])
    gain, bias = torch.tensor([1.0, 1.0, 2.0, 1.0]), torch.tensor([0.0, 0.0, 0.0, 1.0])
    mean = x.mean().expand(4)
    centred = x - mean
    variance = (centred**2).mean().expand(4)
    normed = centred / torch.sqrt(variance + 1e-12)
    steps = {
        "x": x, "1 the mean": mean, "2 subtract it": centred, "3 mean of\nthe squares": variance,
        "4 divide by\nthe root": normed, "5 gain\nand bias": gain * normed + bias,
    }  # fmt: skip
    canvas, axes = plt.subplots(figsize=HALF)
    axes.set(xlim=(-2.6, 4), ylim=(len(steps), 0))
    axes.axis("off")
    for row, (name, values) in enumerate(steps.items()):
        axes.text(-2.5, row + 0.5, name, va="center", fontsize=13)
        for column, value in enumerate(values.tolist()):
            shade = (*plots.PALETTE[0], 0.3) if row in (0, len(steps) - 1) else "white"
            axes.add_patch(plt.Rectangle((column, row), 1, 1, facecolor=shade, edgecolor="grey"))
            text = f"{value:.3g}".replace("-", "−")
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=14)
    return canvas


@figure("epsilon")
def epsilon() -> Figure:
    """The spread of what LayerNorm gives, with torch's default epsilon inside or outside the root."""
    normed, eps = torch.tensor([-1.4, -0.2, 0.2, 1.4], dtype=torch.float64), 1e-5
    spreads = np.logspace(-6, 1, 36)
    lines = {"inside": [], "outside (mistake)": []}
    for spread in spreads:
        x = spread * normed
        lines["inside"].append(F.layer_norm(x, (4,), eps=eps).std(unbiased=False))
        lines["outside (mistake)"].append((x / (x.std(unbiased=False) + eps)).std(unbiased=False))
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    for (name, values), style in zip(lines.items(), ("-", "--"), strict=True):
        axes.plot(spreads, values, style, linewidth=3, label=name)
    axes.set(xscale="log", xlabel="spread of the input (log)", ylabel="spread of the output", ylim=(0, 1.1))
    axes.legend(title="epsilon")
    return canvas


@figure("who-notices")
def who_notices() -> Figure:
    profile.seed_everything(0)
    vectors, listen = torch.randn(1, 6, 16), attention.MultiHeadAttention(16, heads=4)  # (b, s, n)
    think = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16))
    other = vectors.clone()
    other[0, 3] = torch.randn(16)
    canvas, panels = plt.subplots(2, 1, figsize=(4.4, 3.2), sharex=True)
    for panel, name, part in zip(panels, ("attention", "feed-forward"), (listen, think), strict=True):
        moved = (part(other) - part(vectors)).abs().amax(-1) > 1e-6  # (1, s)
        sns.heatmap(
            moved.numpy(), cmap="Greys", vmin=0, vmax=1.6, cbar=False, square=True, linewidths=1.5,
            linecolor="silver", yticklabels=False, ax=panel,
        )  # fmt: skip
        panel.set_title(f"{name}: {int(moved.sum())} of 6")
        panel.tick_params(labelsize=13)
    panels[1].set_xlabel("token")
    canvas.tight_layout()
    return canvas


@figure("head-slices")
def head_slices() -> Figure:
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    for place, heads in enumerate((1, 8, 16)):
        total = sum(tensor.numel() for tensor in attention.MultiHeadAttention(512, heads).parameters()) / 1e6
        for part in range(heads):
            shade, hatch = ((*plots.PALETTE[0], 0.35), "//") if part % 2 else ((*plots.PALETTE[0], 0.7), "")
            axes.bar(
                place, total / heads, 0.6, part * total / heads, color=shade, edgecolor="black", hatch=hatch
            )
        axes.text(place, total * 1.03, f"{total:.2f} million", ha="center", fontsize=13)
    axes.set_xticks(range(3), ["1 head", "8 heads", "16 heads"], fontsize=14)
    axes.set(ylabel="parameters of attention (millions)", ylim=(0, 1.25))
    axes.grid(axis="x", visible=False)
    return canvas


# -------------------------------------------------------------------------------- shortcuts in depth


class NormOnly(bert.Block):
    """A block without shortcuts."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention_norm(self.attention(x, None))
        return self.feed_forward_norm(self.contract(F.gelu(self.expand(x))))


class Neither(bert.Block):
    """A block without shortcuts and norms."""

    def forward(self, x: Tensor) -> Tensor:
        return self.contract(F.gelu(self.expand(self.attention(x, None))))


def climb(kind: type) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and share of differences in front of each of 24 fresh blocks, and behind the last."""
    profile.seed_everything(0)
    config = bert.Config(hidden_size=64, num_attention_heads=4, intermediate_size=256)
    states = [F.layer_norm(torch.randn(1, 16, 64), (64,)).requires_grad_()]  # (b, s, n)
    for block in [kind(config).eval() for _ in range(24)]:
        states.append(block(states[-1]))
    loss = (states[-1] * torch.randn(1, 16, 64)).sum()
    sizes = torch.stack([gradient.norm() for gradient in torch.autograd.grad(loss, states)])
    apart = [((state - state.mean(1, keepdim=True)).norm() / state.norm()).item() for state in states]
    return (sizes / sizes[-1]).numpy(), np.array(apart)


def learn_to_copy(kind: type, steps: int = 30) -> list[float]:
    """The loss of 24 blocks that must name their own input."""
    profile.seed_everything(0)
    small = bert.Config(20, 32, 24, 4, 128, 8, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    deep = nn.Sequential(nn.Embedding(20, 32), *[kind(small) for _ in range(24)], nn.Linear(32, 20))
    optimizer, losses = torch.optim.AdamW(deep.parameters(), lr=1e-3, fused=True), []
    for _ in range(steps):
        ids = torch.randint(20, (16, 8))  # (b, s)
        loss = F.cross_entropy(deep(ids).flatten(0, 1), ids.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@figure("shortcuts")
def shortcuts() -> Figure:
    kinds = dict(zip(STYLES, (bert.Block, NormOnly, Neither), strict=True))
    canvas, panels = plt.subplots(1, 3, figsize=(9.4, 3.1))
    for name, kind in kinds.items():
        sizes, apart = climb(kind)
        style = {"linestyle": STYLES[name], "label": name, "linewidth": 2.5}
        panels[0].plot(np.where(sizes > 1e-30, sizes, np.nan), **style)
        panels[1].plot(apart, **style)
        panels[2].plot(learn_to_copy(kind), **style)
    panels[0].set(ylabel="gradient, top = 1 (log)", yscale="log")
    panels[1].set(ylabel="share that is the token's own (log)", yscale="log")
    panels[2].set(ylabel="loss (nats)", xlabel="training step", ylim=(0, None))
    for panel in panels[:2]:
        panel.set(xlabel="blocks below (24: top)", xticks=(0, 8, 16, 24))
    canvas.tight_layout(rect=(0, 0.1, 1, 1))
    canvas.legend(*panels[0].get_legend_handles_labels(), loc="lower center", ncol=3)
    return canvas


# --------------------------------------------------------------------------------------- the proof


@functools.cache
def real() -> Tensor:
    return batch()["attention_mask"].bool()  # (b, s)


def gradients(model: nn.Module) -> dict[str, Tensor]:
    profile.seed_everything(0)
    direction = torch.randn(*real().shape, minilm()[1].config.hidden_size)[real()]
    model.zero_grad()
    output = model(**batch())
    states, pooled = output[0][real()], output[1]
    ((states * direction).sum() + pooled.square().sum()).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@figure("gradients")
def equal_gradients() -> Figure:
    ours, theirs = gradients(copy_of_minilm()), gradients(minilm()[1])
    rows = {name: (gradient, theirs[bert.their_name(name)]) for name, gradient in ours.items()}
    table = pd.DataFrame({name: ((a - b).norm().item(), b.norm().item()) for name, (a, b) in rows.items()}).T
    by_kind = table.groupby(table.index.str.replace(r"blocks\.\d+\.", "", regex=True), sort=False).max()
    ratio = (by_kind[0] / by_kind[1]).clip(lower=1e-8)
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    far = ratio > 1e-3
    for chosen, marker in ((~far, "o"), (far, "X")):
        places = np.flatnonzero(chosen)
        axes.plot(ratio[chosen], places, marker, markersize=8)
    for place in np.flatnonzero(far):
        spot = (ratio.iloc[place], place)
        axes.annotate(ratio.index[place], spot, (-12, 0), textcoords="offset points", ha="right", va="center")
    axes.axvline(1e-5, color="grey", linestyle=":")
    axes.text(1.4e-5, len(ratio) - 1, "1e-5", color="dimgrey", va="center")
    axes.set(xscale="log", xlabel="difference / size of the gradient (log)", yticks=[])
    axes.set_ylabel(f"{len(ratio)} kinds of parameters")
    return canvas


@figure("bends")
def bends() -> Figure:
    """Largest difference to the library's states with each activation in the blocks."""
    model, given = copy_of_minilm(), batch()
    mask = attention.padding_mask(given["attention_mask"])
    functions = {
        "GELU": F.gelu, "ReLU": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "none": lambda x: x,
    }  # fmt: skip
    with torch.no_grad():
        expected = minilm()[1](**given).last_hidden_state[real()]
        sizes = {}
        for name, bend in functions.items():
            x = model.embeddings(given["input_ids"], given["token_type_ids"])
            for block in model.blocks:
                x = block.attention_norm(x + block.attention(x, mask))
                x = block.feed_forward_norm(x + block.contract(bend(block.expand(x))))
            sizes[name] = max((x[real()] - expected).abs().max().item(), 1e-8)
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    bars = axes.barh(
        list(sizes), list(sizes.values()), left=0, color="lightgrey", edgecolor="black", height=0.6
    )
    bars[0].set(facecolor=plots.PALETTE[0], hatch="//")
    axes.axvline(1, color="grey", linestyle=":")
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=14)
    axes.grid(axis="y", visible=False)
    axes.set(xscale="log", xlim=(1e-8, 50), xlabel="largest difference to the library (log)")
    return canvas


@figure("kept")
def kept() -> Figure:
    tokenizer, model = minilm()[0], copy_of_minilm()
    ids = tokenizer(TEXTS[0], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        layers = [model.embeddings(ids, torch.zeros_like(ids))]
        for block in model.blocks:
            layers.append(block(layers[-1]))
    layers = torch.cat(layers)  # (blocks + 1, s, n)
    table = F.cosine_similarity(layers[:1], layers, dim=-1)
    canvas, axes = plt.subplots(figsize=WIDE)
    sns.heatmap(
        table.numpy(), annot=True, fmt=".1f", cmap="Greys", vmin=0, vmax=2, cbar=False, linewidths=1,
        annot_kws={"color": "black", "size": 13}, ax=axes,
        xticklabels=tokenizer.convert_ids_to_tokens(ids[0]),
    )  # fmt: skip
    axes.tick_params(axis="both", rotation=0, labelsize=13)
    axes.invert_yaxis()
    axes.set(xlabel="token", ylabel="blocks passed")
    return canvas


# ------------------------------------------------------------------------------ sizes and relatives


@figure("shares")
def shares() -> Figure:
    groups = {"embedding": "embeddings", "key": "attention", "attention": "attention", "feed": "feed-forward"}
    names = ["BERT-Tiny", "BERT-Mini", "BERT-Small", "BERT-Medium", "BERT-Base", "BERT-Large", "GPT-3"]
    table = pd.DataFrame(0.0, names, ["embeddings", "attention", "feed-forward", "the rest"])
    for name in names:
        for line in parameters.account(parameters.ARCHITECTURES[name]):
            group = next((group for word, group in groups.items() if word in line.name), "the rest")
            table.loc[name, group] += 100 * line.total / parameters.total(name)
    axes = table.plot.barh(stacked=True, figsize=WIDE, color=plots.PALETTE, edgecolor="black", width=0.75)
    for bars, hatch in zip(axes.containers, ("", "//", "..", "xx"), strict=True):
        for bar in bars:
            bar.set_hatch(hatch)
    axes.set(xlabel="share of the parameters (%)", xlim=(0, 100))
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=13)
    axes.grid(axis="y", visible=False)
    axes.legend(bbox_to_anchor=(0.5, 1.0), loc="lower center", ncol=4)
    return axes.figure


@figure("published")
def published() -> Figure:
    """MNLI, % right (sources in notebook 04, section 12), against parameters as section 11 counts them."""
    rows = [
        ("BERT-Tiny", "test", 70.2), ("BERT-Mini", "test", 74.8),  # README of google-research/bert
        ("BERT-Small", "test", 77.6), ("BERT-Medium", "test", 80.0),  # (Turc et al. 2019)
        ("BERT-Base", "test", 84.6), ("BERT-Large", "test", 86.7),  # Devlin et al. 2019, table 1
        ("ALBERT-Base", "dev", 84.6),  # README of google-research/albert, version 2
        ("DistilBERT", "dev", 82.2), ("BERT-Base", "dev", 86.7),  # Sanh et al. 2019, table 1
        ("BERT-Large", "dev", 86.6),  # Liu et al. 2019
        ("RoBERTa-Base", "dev", 87.6), ("RoBERTa-Large", "dev", 90.2),  # README of fairseq, RoBERTa
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["model", "set", "MNLI"])
    with torch.device("meta"):  # `utils.parameters` does not know these two: the library counts them
        narrow = {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072}
        large = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
        large |= {"intermediate_size": 4096, "vocab_size": 50265, "max_position_embeddings": 514}
        unknown = {
            "ALBERT-Base": transformers.AlbertModel(transformers.AlbertConfig(**narrow)),
            "RoBERTa-Large": transformers.RobertaModel(
                transformers.RobertaConfig(type_vocab_size=1, **large)
            ),
        }
    others = {name: sum(tensor.numel() for tensor in model.parameters()) for name, model in unknown.items()}
    table["millions"] = [(others.get(name) or parameters.total(name)) / 1e6 for name in table["model"]]
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    sns.scatterplot(table, x="millions", y="MNLI", hue="set", style="set", s=90, ax=axes)
    left = {("BERT-Base", "dev"), ("RoBERTa-Base", "dev"), ("RoBERTa-Large", "dev"), ("ALBERT-Base", "dev")}
    for row in table.itertuples():
        key = (row.model, row.set)
        if key == ("BERT-Large", "dev"):  # it lies on the one of the test set
            continue
        shift, side = ((-8, 4), "right") if key in left else ((8, -9), "left")
        if key == ("BERT-Base", "dev"):
            shift = (-8, -9)  # below RoBERTa-Base
        spot = {"xytext": shift, "textcoords": "offset points", "ha": side, "fontsize": 11}
        axes.annotate(row.model, (row.millions, row.MNLI), **spot)
    axes.set(xscale="log", xlabel="parameters (millions, log)", ylabel="MNLI, right answers (%)")
    axes.set(xlim=(2, 1500), ylim=(68, 92))
    axes.legend(loc="lower right", title="")
    return canvas
