"""The figures of slides/01_neural_networks.md. The computations are those of notebook 01."""

import functools

import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.feature_extraction.text import CountVectorizer
from torch import Tensor, nn
from torch.nn import functional as F

from drawings import HALF, TWO_THIRDS, WIDE, figure
from utils import data, plots, profile

TINY = ["good", "not good", "bad", "not bad"]
X = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # says "not", says "bad"
Y = torch.tensor([1.0, 0.0, 0.0, 1.0])
BLUE, ORANGE = plots.PALETTE[:2]


# ------------------------------------------------------------------------------------ one neuron


def box(axes: Axes, x: float, y: float, text: str, shape: str = "round,pad=0.5", size: float = 13) -> None:
    style = {"boxstyle": shape, "facecolor": "white", "edgecolor": "black"}
    axes.text(x, y, text, ha="center", va="center", fontsize=size, linespacing=1.4, bbox=style)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], text: str = "") -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "black", "lw": 1.6})
    if text:
        middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        axes.text(*middle, text, ha="center", va="center", fontsize=13, backgroundcolor="white")


@figure("neuron")
def neuron() -> Figure:
    canvas, axes = plt.subplots(figsize=HALF)
    axes.set(xlim=(-0.3, 8.1), ylim=(0, 6))
    axes.axis("off")
    arrow(axes, (1.7, 4.8), (3.9, 3.5), "× −2")
    arrow(axes, (1.7, 3), (3.8, 3), "× −2")
    arrow(axes, (1.5, 1.2), (3.9, 2.5), "+ 1")
    arrow(axes, (4.9, 3), (5.8, 3))
    arrow(axes, (6.3, 2.4), (6.3, 1.5))
    box(axes, 0.8, 5, "$x_1$: not")
    box(axes, 0.8, 3, "$x_2$: bad")
    box(axes, 0.8, 1, "bias")
    box(axes, 4.35, 3, "Σ", "circle,pad=0.4", 17)
    box(axes, 6.3, 3, "σ", "circle,pad=0.4", 17)
    axes.text(5.35, 3.4, "z", ha="center", fontsize=14)
    box(axes, 6.3, 1, "p(happy)")
    return canvas


@figure("activations")
def activations() -> Figure:
    functions = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "ReLU": torch.relu, "GELU": F.gelu}
    grid = torch.linspace(-4, 4, 801, requires_grad=True)
    canvas, panels = plt.subplots(1, 2, figsize=(8.4, 3.1))
    for (name, function), style in zip(functions.items(), ("-", "--", "-.", ":"), strict=True):
        slope = torch.autograd.grad(function(grid).sum(), grid)[0]
        panels[0].plot(grid.detach(), function(grid).detach(), style, label=name, linewidth=2.5)
        panels[1].plot(grid.detach(), slope, style, label=name, linewidth=2.5)
    panels[0].set(xlabel="z", ylabel="activation", ylim=(-1.2, 3))
    panels[1].set(xlabel="z", ylabel="slope of the activation", ylim=(-0.2, 1.2))
    panels[0].legend()
    canvas.tight_layout()
    return canvas


# -------------------------------------------------------------------------- forward and backward


@figure("graph")
def graph() -> Figure:
    """The network for "not bad": values on the nodes, weights and gradients on the arrows."""
    w1 = torch.tensor([[2.0, -1.0], [1.0, 2.0]], requires_grad=True)
    b1, w2 = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, -2.0], requires_grad=True)
    one = X[3]
    h = torch.relu(one @ w1 + b1)
    z = h @ w2
    z.retain_grad()
    loss = -torch.log(torch.sigmoid(z))
    loss.backward()
    arrows = {
        (f"x{i + 1}", f"h{j + 1}"): f"{w1[i, j]:g} ({w1.grad[i, j]:g})" for i, j in np.ndindex(2, 2)
    } | {(f"h{j + 1}", "z"): f"{w2[j]:g} ({w2.grad[j]:g})" for j in range(2)}
    arrows["z", "loss"] = f"({z.grad:g})"
    places = {"x1": (0, 1), "x2": (0, 0), "h1": (2, 1), "h2": (2, 0), "z": (3.6, 0.5), "loss": (5.4, 0.5)}
    values = dict(zip(places, [*one, *h, z, loss], strict=True))
    canvas, axes = plt.subplots(figsize=(8.8, 3.1))
    for (start, end), text in arrows.items():
        tail, head = np.array(places[start]), np.array(places[end])
        line = {"arrowstyle": "->", "color": "grey", "lw": 1.6, "shrinkA": 28}
        axes.annotate("", head, tail, arrowprops=line | {"shrinkB": 50 if end == "loss" else 28})
        label = text.replace("-", "−")
        share = 0.38 if start[0] == "x" else 0.45 if end == "loss" else 0.55
        spot = tail + share * (head - tail)
        axes.text(*spot, label, ha="center", va="center", fontsize=13, backgroundcolor="white")
    for name, place in places.items():
        box(axes, *place, f"{name} = {values[name].item():.3g}")
    axes.set(xlim=(-0.4, 5.9), ylim=(-0.25, 1.25))
    axes.axis("off")
    return canvas


def train_tiny(model: nn.Module, steps: int = 600, rate: float = 0.5) -> nn.Module:
    for _ in range(steps):
        F.binary_cross_entropy_with_logits(model(X).squeeze(-1), Y).backward()
        with torch.no_grad():
            for weight in model.parameters():
                weight -= rate * weight.grad
                weight.grad = None
    return model


@figure("border")
def border() -> Figure:
    profile.seed_everything(0)
    network = train_tiny(nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)))
    lines = torch.linspace(-0.5, 1.5, 81)
    plane = torch.cartesian_prod(lines, lines)  # (6561, 2)
    canvas, panels = plt.subplots(1, 2, figsize=(8.4, 3.5), sharey=True, layout="constrained")
    pairs = {"one neuron": train_tiny(nn.Linear(2, 1)), "with a hidden layer": network}
    for panel, (name, model) in zip(panels, pairs.items(), strict=True):
        with torch.inference_mode():
            p = torch.sigmoid(model(plane)).reshape(81, 81).T.numpy()  # (6561, 1) -> (81, 81)
        levels = np.linspace(-0.05, 1.05, 12)
        filled = panel.contourf(lines, lines, p, levels=levels, cmap="Greys_r", alpha=0.6)
        for kind, marker, label in ((1, "o", "happy"), (0, "X", "unhappy")):
            panel.scatter(*X[kind == Y].T, marker=marker, s=120, label=label, edgecolor="black")
        for text, place in zip(TINY, X.tolist(), strict=True):
            panel.annotate(
                text, place, (0, 14), textcoords="offset points", ha="center", backgroundcolor="white"
            )
        panel.set(title=name, xlabel='says "not"', xticks=(0, 1), yticks=(0, 1))
    panels[0].set_ylabel('says "bad"')
    panels[0].legend(loc="center")
    canvas.colorbar(filled, ax=panels, label="p(happy)", ticks=(0, 0.5, 1))
    return canvas


@figure("rates")
def rates() -> Figure:
    """Ten steps from 0 on the loss (w - 3)², with four learning rates."""
    canvas, panels = plt.subplots(2, 2, figsize=TWO_THIRDS, sharex=True, sharey=True)
    curve = np.linspace(-4, 10, 200)
    for panel, rate in zip(panels.flat, (0.1, 0.5, 1.0, 1.1), strict=True):
        path = [0.0]
        for _ in range(10):
            path.append(path[-1] - rate * 2 * (path[-1] - 3))
        panel.plot(curve, (curve - 3) ** 2, color="grey")
        panel.plot(path, (np.array(path) - 3) ** 2, "o-", color=ORANGE)
        panel.set(xlim=(-4, 10), ylim=(-3, 50), title=f"rate {rate:g}", xlabel="weight w", ylabel="loss")
        panel.label_outer()
    canvas.tight_layout()
    return canvas


# ---------------------------------------------------------------------------------- real reviews


@functools.cache
def stated() -> dict:
    """The English reviews that state their verdict: train and validation."""
    task = data.load_classification("reviews")
    styles = ("plain", "varied")
    return {split: data.where(task[split], language="en", style=styles) for split in ("train", "validation")}


@functools.cache
def bags() -> tuple[Tensor, Tensor]:
    """(reviews, words) of zeros and ones, for train and validation."""
    bag = CountVectorizer(binary=True, min_df=2).fit(stated()["train"]["text"])
    rows = [bag.transform(part["text"]).toarray() for part in stated().values()]
    return tuple(torch.tensor(part, dtype=torch.float32) for part in rows)


@functools.cache
def labels() -> tuple[Tensor, Tensor]:
    return tuple(torch.tensor(part["label"]).float() for part in stated().values())


def scores(net: nn.Module) -> dict[str, float]:
    loss = F.binary_cross_entropy_with_logits
    with torch.inference_mode():
        known, new = (net.eval()(part) for part in bags())
    return {
        "training loss": loss(known, labels()[0]).item(),
        "validation loss": loss(new, labels()[1]).item(),
    }


def run(seed, rate=0.5, batch=16, epochs=15, decay=0.0) -> tuple[nn.Module, list[dict]]:
    """Train as section 5 of the notebook does; return the network and its losses after each epoch."""
    profile.seed_everything(seed)
    inputs, target = bags()[0], labels()[0]
    hidden, last = nn.Linear(inputs.shape[1], 32), nn.Linear(32, 1)
    net = nn.Sequential(nn.Dropout(0.0), hidden, nn.ReLU(), last, nn.Flatten(0))  # -> (reviews,)
    optimizer, history = torch.optim.SGD(net.parameters(), lr=rate, weight_decay=decay), []
    for epoch in range(1, epochs + 1):
        for rows in torch.randperm(len(inputs)).split(batch):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(net.train()(inputs[rows]), target[rows]).backward()
            optimizer.step()
        history.append({"epoch": epoch} | scores(net))
    return net, history


@functools.cache
def plain_history() -> list[dict]:
    return run(seed=0)[1]


@figure("bags")
def bag_of_words() -> Figure:
    rows = bags()[0]
    frequent = rows.sum(0).argsort(descending=True)[:150]
    canvas, axes = plt.subplots(figsize=HALF)
    axes.imshow(rows[:40, frequent], cmap="Greys", aspect="auto", interpolation="nearest")
    axes.grid(False)
    axes.set(xlabel="the 150 most frequent words", ylabel="review")
    return canvas


@figure("curves")
def curves() -> Figure:
    canvas = plots.learning_curves(plain_history(), "").figure
    canvas.set_size_inches(WIDE)
    return canvas


@figure("knobs")
def knobs() -> Figure:
    settings = {
        "learning rate / 50": {"rate": 0.01},
        "learning rate × 100": {"rate": 50.0},
        "batches of 4": {"batch": 4},
        "weight decay": {"decay": 0.003},
    }
    canvas, panels = plt.subplots(1, 4, figsize=(9.4, 3.2), sharex=True, sharey=True)
    before = pd.DataFrame(plain_history())
    for panel, (name, changes) in zip(panels, settings.items(), strict=True):
        after = pd.DataFrame(run(seed=0, **changes)[1])
        for table, color, text in ((before, "grey", "as before"), (after, BLUE, "changed")):
            width = 1.5 if color == "grey" else 2.5
            for column, style in (("validation loss", "-"), ("training loss", "--")):
                label = f"{column.split()[0]}, {text}"
                panel.plot(table["epoch"], table[column], style, color=color, lw=width, label=label)
        panel.set_yscale("symlog", linthresh=1, linscale=2)  # 0 to 1 as usual, then ever closer
        panel.set_yticks((0, 0.5, 1, 10), ("0", "0.5", "1", "10"))
        panel.set(title=name, ylim=(0, 60), xticks=(1, 5, 10, 15), xlabel="epoch", ylabel="loss (nats)")
        panel.label_outer()
    handles = panels[0].get_legend_handles_labels()
    canvas.tight_layout(rect=(0, 0.1, 1, 1))
    canvas.legend(*handles, loc="lower center", ncol=4)
    return canvas


@figure("clipping")
def clipping() -> Figure:
    """How much longer a damaged review's gradient is, in twelve fresh networks."""
    inputs, target = bags()[0][:1], labels()[0][:1]
    rows = []
    for seed in range(12):
        net, lengths = run(seed, epochs=0)[0], []
        for review in (inputs, inputs * 1000):
            net.zero_grad()
            F.binary_cross_entropy_with_logits(net(review), target).backward()
            lengths.append(nn.utils.get_total_norm([w.grad for w in net.parameters()]).item())
        right = bool((net(inputs * 1000) > 0) == target.bool())
        rows.append(("right" if right else "wrong", max(lengths[1] / lengths[0], 1e-3)))
    table = pd.DataFrame(rows, columns=["guess", "times"])
    canvas, axes = plt.subplots(figsize=HALF)
    for place, (guess, marker) in enumerate((("wrong", "X"), ("right", "o"))):
        times = table["times"][table["guess"] == guess].to_numpy()
        spread = np.linspace(-0.25, 0.25, len(times))
        axes.scatter(place + spread, times, marker=marker, s=90, edgecolor="black", zorder=3)
    axes.axhline(1, color="grey", linestyle=":")
    axes.text(1.45, 1.3, "as long", ha="right", color="dimgrey")
    axes.set_yscale("log")
    axes.set_xticks((0, 1), ("guesses wrong", "guesses right"))
    lowest = table["times"].min() <= 1e-3
    note = " (lowest: 0.001 or less)" if lowest else ""
    axes.set(ylabel="damaged / sound, length of gradient", xlabel=f"a fresh network{note}", xlim=(-0.5, 1.5))
    axes.grid(axis="x", visible=False)
    return canvas


# ------------------------------------------------------------------- neighbours, memory, distance


@figure("convolution")
def convolution() -> Figure:
    rows = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]
    image = torch.tensor(rows, dtype=torch.float32)  # (5, 5)
    kernel = torch.tensor([[0.0, 1.0, 2.0], [2.0, 2.0, 0.0], [0.0, 1.0, 2.0]])  # (3, 3)
    result = F.conv2d(image[None, None], kernel[None, None])[0, 0]  # (1, 1, 5, 5) -> (3, 3)
    canvas, panels = plt.subplots(1, 3, figsize=(8.4, 3.2), width_ratios=(5, 3, 3))
    style = {"annot": True, "fmt": ".0f", "cmap": "Greys", "cbar": False, "square": True, "linewidths": 1}
    tables = {"input": image, "kernel": kernel, "result": result}
    for panel, (name, table) in zip(panels, tables.items(), strict=True):
        sns.heatmap(table, vmax=2 * table.max(), ax=panel, annot_kws={"size": 13}, **style)
        panel.set(title=name, xticks=[], yticks=[])
    for panel, size in ((panels[0], 3), (panels[2], 1)):
        frame = {"fill": False, "edgecolor": plots.PALETTE[3], "linewidth": 4, "clip_on": False}
        panel.add_patch(plt.Rectangle((2, 0), size, size, **frame))
    canvas.tight_layout()
    return canvas


@figure("state")
def state() -> Figure:
    words = ["not", "by", "any", "means", "bad"]
    values, h = [], torch.zeros(1)
    for word in words:
        h = torch.tanh(torch.tensor([float(word == "not")]) + h / 2)
        values.append(h.item())
    canvas, axes = plt.subplots(figsize=HALF)
    axes.plot(words, values, "o-", markersize=9, linewidth=2.5)
    for place, value in enumerate(values):
        axes.annotate(f"{value:.2f}", (place, value), (9, 7), textcoords="offset points")
    axes.set(ylabel="state h", xlabel="word", ylim=(0, 0.9), xlim=(-0.3, 4.6))
    axes.tick_params(axis="x", labelsize=13)
    return canvas


def reach(layer: nn.Module, steps: int = 101, texts: int = 20) -> Tensor:
    """Gradient for the word 0, 1, …, 100 steps back, as a share of that for the last word: (steps,)."""
    inputs = torch.randn(steps, texts, 32, dtype=torch.float64, requires_grad=True)
    layer.double()(inputs)[0][-1].sum().backward()  # the last of the states (steps, texts, 32)
    sizes = inputs.grad.norm(dim=-1).mean(dim=-1).flip(0)  # (steps, texts, 32) -> (steps,)
    return sizes / sizes[0]


@figure("reach")
def reaches() -> Figure:
    profile.seed_everything(0)
    small, large, lstm, keeping = nn.RNN(32, 32), nn.RNN(32, 32), nn.LSTM(32, 32), nn.LSTM(32, 32)
    with torch.no_grad():
        large.weight_hh_l0 *= 6
        keeping.bias_hh_l0[32:64] = 3  # the forget gate's part; sigmoid(3) is 0.95
    layers = {"RNN, $W_h$ × 6": large, "LSTM, gate open": keeping, "LSTM, fresh": lstm, "RNN": small}
    sizes = {
        name: reach(layers[name]) for name in ("RNN", "RNN, $W_h$ × 6", "LSTM, fresh", "LSTM, gate open")
    }
    distances = [5, 10, 20, 50, 100]
    canvas, axes = plt.subplots(figsize=WIDE)
    for name, style in zip(layers, ("s--", "D:", "^-.", "o-"), strict=True):
        axes.plot(distances, sizes[name][distances], style, label=name, linewidth=2.5, markersize=8)
    axes.set(yscale="log", xlabel="steps back", xticks=distances)
    axes.set_yticks([1e-36, 1e-24, 1e-12, 1, 1e12])
    axes.set_ylabel("gradient (last word = 1, log)")
    axes.legend(bbox_to_anchor=(1.01, 1), loc="upper left", fontsize=12)
    return canvas
