"""The figures of slides/11_hugging_face_toolbox.md: computed as notebook 11 does, or read from its stored run."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import transformers
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from drawings import HALF, TWO_THIRDS, diagrams, figure, stored
from utils import data, finetuning, models, plots, profile

BLUE, ORANGE, GREEN = plots.PALETTE[:3]


@functools.cache
def encoder():
    return models.load("encoder")


# ------------------------------------------------------------------------- weights and a pipeline


@figure("likeness")
def likeness() -> Figure:
    """Cosines of the mean vectors of two pairs, with MiniLM's weights and with random ones."""
    tokenizer, learned = encoder()
    torch.manual_seed(0)
    pairs = {
        "two complaints": ["The lamp is broken.", "My light does not work."],
        "a complaint, a journey": ["The lamp is broken.", "We flew to Rome."],
    }
    found = {}
    for name, model in (
        ("with its weights", learned),
        ("random weights", transformers.AutoModel.from_config(learned.config)),
    ):
        for pair, texts in pairs.items():
            one, two = finetuning.embed(model, [{"input_ids": ids} for ids in tokenizer(texts)["input_ids"]])
            found.setdefault(pair, {})[name] = float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))
    canvas, axes = plt.subplots(figsize=HALF)
    pd.DataFrame(found).plot.bar(ax=axes, rot=0, color=[BLUE, "white"], edgecolor="black", width=0.75)
    for bar in axes.containers[1]:
        bar.set_hatch("//")
    for bars in axes.containers:
        axes.bar_label(bars, fmt="%.2f", fontsize=11)
    axes.set(ylabel="cosine of the two mean vectors", ylim=(min(0, axes.get_ylim()[0]), 1.35))
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper left")
    return canvas


@figure("pipeline")
def pipeline() -> Figure:
    text = "Sturdy, quiet, and my mother loves it."
    ids = encoder()[0](text)["input_ids"]
    logits = torch.tensor(stored.numbers("11", r"\[(-?\d+\.\d+), (-?\d+\.\d+)\]"))
    chances = torch.softmax(logits, -1).tolist()
    canvas, axes = diagrams.blank((8.8, 2.9), 17.6, 5.8)
    numbers = [f"{value:.1f}".replace("-", "−") for value in logits.tolist()]
    boxes = (
        (1.7, '"Sturdy, quiet,\nand my mother\nloves it."'),
        (6.1, f"{ids[0]} {ids[1]}\n{ids[2]} … {ids[-1]}\n({len(ids)} ids)"),
        (9.9, "\n".join(numbers)),
        (12.8, "\n".join(f"{chance:.0%}" for chance in chances)),
        (16.2, "positive"),
    )
    for (x, said), shade in zip(boxes, ("white", *[diagrams.GREY] * 3, "white"), strict=True):
        diagrams.box(axes, x, 2.2, said, shade, 14)
    steps = (3.4, 4.5, "tokenizer"), (7.7, 9.1, "model"), (10.7, 12, "softmax"), (13.6, 15, "id2label")
    for number, (start, end, name) in enumerate(steps, 1):
        diagrams.arrow(axes, (start, 2.2), (end, 2.2))
        middle = (start + end) / 2
        axes.text(middle, 5.1, f"{number}", ha="center", fontsize=14, weight="bold", color=BLUE)
        axes.text(middle, 4.3, name, ha="center", fontsize=13)
    return canvas


@figure("tokenizer")
def four_parts() -> Figure:
    rust = encoder()[0].backend_tokenizer
    sentence = "The Café's lampshade wobbled!"
    normal = rust.normalizer.normalize_str(sentence)
    words = [word for word, _ in rust.pre_tokenizer.pre_tokenize_str(normal)]
    parts = {
        "1 normalise": [normal],
        "2 split": words,
        "3 WordPiece": [token.value for word in words for token in rust.model.tokenize(word)],
        "4 add special tokens": rust.encode(sentence).tokens,
    }
    canvas, axes = diagrams.blank((8.8, 3.3), 17.6, 6.6)
    for number, (name, pieces) in enumerate(parts.items()):
        fresh = [number > 1 and piece not in list(parts.values())[number - 1] for piece in pieces]
        shades = [["#ffe1b3" if new else "white" for new in fresh]]
        top = 6.4 - 1.65 * number
        diagrams.strip(axes, {"": pieces}, shades, top, 4.8, 12.5, 1.1)
        axes.text(0, top - 0.6, name, va="center", fontsize=13, weight="bold")
    return canvas


# --------------------------------------------------------------------------------- files and cards


@figure("safetensors")
def safetensors() -> Figure:
    with open(models.find_model(profile.MINILM) / "model.safetensors", "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    size = max(entry["data_offsets"][1] for entry in header.values())
    name = next(name for name in header if name.endswith("word_embeddings.weight"))
    entry = header[name]
    canvas, axes = diagrams.blank((8.8, 3.3), 17.6, 6.6)
    parts = (
        (0.2, 2.6, "8 bytes", "the length of\nthe header", "white", ""),
        (2.8, 5.6, f"{length:,} bytes", "the header: JSON", diagrams.GREY, ""),
        (8.4, 9, f"{size:,} bytes", f"the numbers of {len(header)} tensors", "white", ".."),
    )
    for left, width, amount, what, colour, hatch in parts:
        look = {"facecolor": colour, "edgecolor": "black", "hatch": hatch}
        axes.add_patch(plt.Rectangle((left, 4), width, 1.5, **look))
        middle = left + width / 2
        axes.text(middle, 6.1, amount, ha="center", va="center", fontsize=13)
        plain = {"facecolor": "white", "edgecolor": "none", "pad": 2} if hatch else None
        axes.text(middle, 4.75, what, ha="center", va="center", fontsize=13, bbox=plain)
    said = f'"{name}":\n  {{"dtype": "{entry["dtype"]}", "shape": {entry["shape"]},\n   "data_offsets": {entry["data_offsets"]}}}'
    axes.text(2.8, 1.5, said, va="center", fontsize=13, family="monospace", linespacing=1.6)
    diagrams.arrow(axes, (4, 3.9), (4, 2.8))
    return canvas


@figure("margin")
def margin() -> Figure:
    texts = np.arange(50, 2001, 10)
    canvas, axes = plt.subplots(figsize=HALF)
    axes.plot(texts, 196 * np.sqrt(0.9 * 0.1 / texts))
    for n in (100, 400, 1000):
        points = 196 * np.sqrt(0.9 * 0.1 / n)
        axes.plot(n, points, "o", color=BLUE)
        axes.annotate(
            f"{n:,} texts: ± {points:.1f}", (n, points), (8, 8), textcoords="offset points", fontsize=12
        )
    axes.set(xlabel="test texts", ylabel="margin (points), at 90% accuracy", ylim=(0, None))
    return canvas


# ------------------------------------------------------------------------------------------ memory

COUNTING = """
import json, sys, psutil
way, log, one_line, cache = sys.argv[1:]
def rows(path):
    if way == "list":
        return [json.loads(line) for line in open(path, encoding="utf-8")]
    import datasets
    how = {"streaming": True} if way == "stream" else {"cache_dir": cache}
    return datasets.load_dataset("json", data_files=path, split="train", chunksize=2**20, **how)
def resident():
    return psutil.Process().memory_info().rss / 2**20
next(iter(rows(one_line)))
before = peak = resident()
for number, row in enumerate(rows(log)):
    if number % 200 == 0:
        peak = max(peak, resident())
print(peak - before)
"""


@figure("memory")
def memory() -> Figure:
    """What three ways of reading one log add to a fresh process: the notebook's race, on a third of its log."""
    reviews = list(data.everything(data.load("reviews"))["content"])
    ways = {"stream": "a stream", "map": "an Arrow table,\nmapped", "list": "a Python list"}
    with tempfile.TemporaryDirectory() as name:
        log, one_line = Path(name) / "log.jsonl", Path(name) / "one.jsonl"
        days = (
            " ".join(reviews[(number * 31 + place) % len(reviews)] for place in range(20))
            for number in range(8_000)
        )
        lines = [json.dumps({"text": day}, ensure_ascii=False) + "\n" for day in days]
        log.write_text("".join(lines), encoding="utf-8")
        one_line.write_text(lines[0], encoding="utf-8")
        size = log.stat().st_size / 2**20
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        running = {
            way: subprocess.Popen(
                [sys.executable, "-c", COUNTING, way, log, one_line, Path(name) / "cache"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
            )
            for way in ways
        }  # fmt: skip
        grown = [float(process.communicate()[0]) for process in running.values()]
    canvas, axes = plt.subplots(figsize=(5.2, 3.7))
    bars = axes.barh(list(ways.values()), grown, color=[BLUE, ORANGE, GREEN], edgecolor="black")
    for bar, hatch in zip(bars, ("", "//", ".."), strict=True):
        bar.set_hatch(hatch)
    axes.axvline(size, color="black", linestyle="--", label="the file")
    axes.set(xlabel="memory on top (MiB)")
    axes.grid(visible=False, axis="y")
    axes.legend(loc="lower right")
    return canvas


# --------------------------------------------------------------------------- labels, bits, engines


def percent(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype(str).apply(lambda column: column.str.rstrip("%").astype(float))


@figure("zero-shot")
def zero_shot() -> Figure:
    table = percent(stored.table("11", "chance", "the name", "a description"))
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    table.plot.bar(ax=axes, rot=0, color=["lightgrey", ORANGE, BLUE], edgecolor="black", width=0.78)
    for bar in axes.containers[1]:
        bar.set_hatch("//")
    for bars in axes.containers:
        axes.bar_label(bars, fmt="%.0f", fontsize=12)
    axes.set(ylabel="reviews put right (%)", ylim=(0, 75))
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper right", ncols=3, title="label vectors from", title_fontsize=11)
    return canvas


@figure("staircase")
def staircase() -> Figure:
    """One neuron's weights of MiniLM before and after rounding; the errors are those of the whole matrix."""
    matrix = encoder()[1].encoder.layer[0].intermediate.dense.weight.detach().numpy()  # (4 x hidden, hidden)
    largest = np.abs(matrix).max(1, keepdims=True)
    canvas, panels = plt.subplots(1, 3, figsize=(8.8, 3.1), sharey=True)
    for bits, axes in zip((8, 5, 3), panels, strict=True):
        scale = largest / (2 ** (bits - 1) - 1)
        coarse = scale * np.round(matrix / scale)
        lost = np.linalg.norm(coarse - matrix) / np.linalg.norm(matrix)
        axes.plot(matrix[0], coarse[0], ".", markersize=4)
        axes.set(title=f"{bits} bits: off by {lost:.0%}", xlabel="weight")
    panels[0].set_ylabel("after rounding")
    canvas.tight_layout()
    return canvas


@figure("bits")
def bits() -> Figure:
    table = percent(stored.table("11", "a scale for each row", "one for the matrix"))
    table = table.loc[[str(name).split()[0].isdigit() for name in table.index]]
    names = [str(name).split()[0] for name in table.index]
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    for column, style in (("a scale for each row", "o-"), ("one for the matrix", "s--")):
        axes.plot(names, table[column], style, label=column)
    axes.set(xlabel="bits of a weight", ylabel="validation accuracy (%)", ylim=(40, 100))
    axes.legend(loc="lower left")
    return canvas


@figure("engines")
def engines() -> Figure:
    table = stored.table("11", "torch", "ONNX Runtime, int8", "MB").astype(float)
    speeds = table[[name for name in table.columns if "speed" in name]]
    names = ["torch", "ONNX\nRuntime", "ONNX R.,\nint8"]
    canvas, (left, right) = plt.subplots(1, 2, figsize=(6.6, 3.9))
    bars = left.bar(names, table["MB"], color="lightgrey", edgecolor="black")
    left.bar_label(bars, fmt="%.0f", fontsize=11)
    left.set(title="size (MB)")
    places = np.arange(3)
    for shift, column, colour, hatch in zip((-0.2, 0.2), speeds, (ORANGE, BLUE), ("//", ""), strict=True):
        bars = right.bar(places + shift, speeds[column], 0.4, color=colour, edgecolor="black", hatch=hatch)
        bars.set_label(column.split(" (")[0])
        right.bar_label(bars, fmt="%.1f", fontsize=11)
    right.axhline(1, color="grey", linestyle=":")
    right.set_xticks(places, names)
    right.set(title="speed (torch = 1)", ylim=(0, speeds.to_numpy().max() * 1.4))
    right.legend(loc="upper left")
    for axes in (left, right):
        axes.grid(visible=False, axis="x")
        axes.tick_params(axis="x", labelsize=10)
    canvas.tight_layout()
    return canvas
