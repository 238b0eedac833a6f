"""The figures of slides/12_beyond_bert.md: computed as notebook 12 does, or read from its stored run."""

import functools
import math
import textwrap

import numpy as np
import pandas as pd
import seaborn as sns
import torch
import transformers
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from drawings import HALF, TWO_THIRDS, diagrams, figure, stored
from utils import finetuning, models, parameters, plots, text_metrics

BLUE, ORANGE, GREEN = plots.PALETTE[:3]


@functools.cache
def bert():
    return models.load("encoder")


def embed(texts: list[str]) -> np.ndarray:
    """(texts, hidden), each of length 1: dot products are cosines."""
    tokenizer, encoder = bert()
    vectors = finetuning.embed(encoder, [{"input_ids": ids} for ids in tokenizer(texts)["input_ids"]])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


# ------------------------------------------------------------------------------------ who sees what


@figure("who-sees")
def who_sees() -> Figure:
    words = ["the", "bank", "was", "muddy"]
    canvas, panels = plt.subplots(1, 2, figsize=(8.4, 3.7), sharey=True)
    views = {"BERT: each word sees all": np.ones((4, 4)), "GPT: nobody sees the future": np.tri(4)}
    for panel, (title, seen) in zip(panels, views.items(), strict=True):
        look = {"cmap": "Greys", "vmin": 0, "vmax": 1.6, "linewidths": 1, "linecolor": "silver"}
        sns.heatmap(seen, annot=True, cbar=False, ax=panel, xticklabels=words, yticklabels=words, **look)
        panel.set(title=title, xlabel="is seen")
        panel.tick_params(axis="y", rotation=0)
    panels[0].set_ylabel("looks")
    canvas.tight_layout()
    return canvas


@figure("families")
def families() -> Figure:
    """Which places notice another last token, in tiny random models of five families."""
    tiny = {"vocab_size": 50, "hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
    half = {"d_model": 32, "vocab_size": 50, "decoder_start_token_id": 0}
    configs = {
        "BERT": transformers.BertConfig(**tiny),
        "GPT-2": transformers.GPT2Config(n_embd=32, n_head=2, n_layer=2),
        "LLaMA": transformers.LlamaConfig(**tiny, intermediate_size=64),
        "T5": transformers.T5Config(**half, d_kv=16, num_heads=2, num_layers=2, d_ff=64),
        "BART": transformers.BartConfig(**half, encoder_layers=2, decoder_layers=2),
    }
    before, after = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[5, 6, 7, 9]])
    notices = {}
    for name, config in configs.items():
        torch.manual_seed(0)
        model = transformers.AutoModel.from_config(config).eval()
        parts = {name: model}
        if config.is_encoder_decoder:
            parts = {f"{name}, encoder": model.get_encoder(), f"{name}, decoder": model.get_decoder()}
        for part, network in parts.items():
            with torch.no_grad():
                one, two = (network(input_ids=ids).last_hidden_state[0] for ids in (before, after))
            notices[part] = ((one - two).abs().amax(-1) > 1e-5).tolist()
    canvas, axes = plt.subplots(figsize=(4.9, 3.9))
    table = pd.DataFrame(notices, range(1, 5)).T
    look = {"cmap": "Greys", "vmin": 0, "vmax": 1.6, "linewidths": 1.5, "linecolor": "silver"}
    sns.heatmap(table, cbar=False, ax=axes, **look)
    axes.set(xlabel="place (the token at 4 changes)", ylabel="")
    axes.set_title("filled: this place notices", loc="left")
    axes.tick_params(axis="y", rotation=0)
    return canvas


@figure("next")
def next_token() -> Figure:
    words = ["return", "a", "new", "array", "with", "the", "same", "shape"]
    canvas, axes = diagrams.blank((8.4, 2.6), 14, 4.3)
    x = 2.3
    for place, word in enumerate(words):
        if place < len(words) - 1:
            diagrams.box(axes, x, 3.3, word, size=14)
            diagrams.box(axes, x, 0.9, words[place + 1], diagrams.GREY, 14)
            diagrams.arrow(axes, (x, 2.7), (x, 1.5))
        x += 1.75
    axes.text(0, 3.3, "reads", va="center", fontsize=14)
    axes.text(0, 0.9, "says", va="center", fontsize=14)
    return canvas


# ------------------------------------------------------------------------------------- the decoder


@figure("loss")
def loss() -> Figure:
    pattern = r"loss: first ([\d.]+), held out ([\d.]+); by frequency ([\d.]+) nats"
    first, held_out, frequency = stored.numbers("12", pattern)
    canvas, axes = plt.subplots(figsize=(5.2, 3.7))
    names = ["the first step", "guessing by\nfrequency", "held-out text,\nafter training"]
    bars = axes.bar(
        names, [first, frequency, held_out], color=["white", "lightgrey", BLUE], edgecolor="black"
    )
    bars[0].set_hatch("//")
    axes.bar_label(bars, fmt="%.1f", fontsize=12)
    axes.set(ylabel="loss (nats)", ylim=(0, first * 1.12))
    axes.grid(visible=False, axis="x")
    return canvas


@figure("temperature")
def temperature() -> Figure:
    words = ["nodes", "edges", "samples", "the", "purple"]
    logits = torch.tensor([3.0, 2.0, 1.5, 0.0, -2.0])
    chances = {f"T = {T}": torch.softmax(logits / T, -1) for T in (0.5, 1.0, 2.0)}
    chances["T = 1, top 2"] = torch.softmax(torch.where(logits >= 2, logits, -math.inf), -1)
    canvas, panels = plt.subplots(1, 4, figsize=(8.8, 3.1), sharex=True, sharey=True)
    for panel, (title, p) in zip(panels, chances.items(), strict=True):
        bars = panel.barh(words[::-1], 100 * p.flip(0), color=BLUE, edgecolor="black")
        panel.bar_label(bars, fmt="%.0f", padding=3, fontsize=11)
        panel.set(title=title, xlim=(0, 115), xlabel="chance (%)")
        panel.grid(visible=False, axis="y")
    canvas.tight_layout()
    return canvas


@figure("writes")
def writes() -> Figure:
    """What the trained decoder of the notebook's run goes on with, by four ways of choosing."""
    table = stored.table("12", "greedy", "T = 2, all")
    column = next(name for name in table.columns if name.startswith("Return"))
    canvas, axes = diagrams.blank((8.8, 3.2), 17.6, 7)
    for number, (way, text) in enumerate(table[column].items()):
        y = 6.1 - 1.75 * number
        axes.text(0, y, way, va="center", fontsize=14, weight="bold")
        lines = textwrap.wrap(text, 62)
        short = [*lines[:1], lines[1] + " …"] if len(lines) > 1 else lines
        axes.text(4, y, "\n".join(short), va="center", fontsize=14.5, linespacing=1.35)
    return canvas


@figure("perplexity")
def perplexity() -> Figure:
    table = stored.table("12", "perplexity", "held-out text")["perplexity"].astype(float)
    names = {"its words, shuffled": "its words,\nshuffled", "another subject": "another\nsubject"}
    canvas, axes = plt.subplots(figsize=HALF)
    shown = [names.get(name, name.replace(" ", "\n", 1)) for name in table.index]
    bars = axes.barh(shown[::-1], table[::-1], color=["white", *[BLUE] * 3], edgecolor="black")
    bars[0].set_hatch("//")
    axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=12)
    axes.set(xscale="log", xlabel="perplexity (log)", xlim=(10, table.max() * 4))
    axes.grid(visible=False, axis="y")
    return canvas


# ---------------------------------------------------------------------------------- the translator


@figure("translator")
def translator() -> Figure:
    canvas, axes = diagrams.blank(TWO_THIRDS, 12, 8)
    for left, width, bottom, height in ((0.2, 4.1, 1.9, 3.9), (6, 5.8, 1.9, 4.6)):
        look = {"facecolor": diagrams.PALE, "edgecolor": "black"}
        axes.add_patch(plt.Rectangle((left, bottom), width, height, **look))
    diagrams.box(axes, 2.25, 0.7, "your cat is a lovely cat", size=12)
    diagrams.box(axes, 8.9, 0.7, "[START] ton chat est un", size=12)
    diagrams.box(axes, 8.9, 7.5, "chat", diagrams.GREY, 13)
    diagrams.box(axes, 2.25, 3, "self-attention", size=12)
    diagrams.box(axes, 2.25, 4.6, "feed-forward", size=12)
    diagrams.box(axes, 8.9, 2.7, "causal self-attention", size=12)
    diagrams.box(axes, 8.9, 4.2, "cross-attention", diagrams.GREY, 12)
    diagrams.box(axes, 8.9, 5.7, "feed-forward", size=12)
    steps = (
        (2.25, 1.2, 2.45), (2.25, 3.5, 4.1),
        (8.9, 1.2, 2.2), (8.9, 3.2, 3.7), (8.9, 4.7, 5.2), (8.9, 6.2, 7),
    )  # fmt: skip
    for x, start, end in steps:
        diagrams.arrow(axes, (x, start), (x, end))
    axes.plot([2.25, 2.25, 5.1, 5.1], [5.1, 7, 7, 4.2], color="black", linewidth=1.6)
    diagrams.arrow(axes, (5.1, 4.2), (7.2, 4.2))
    axes.text(3.7, 7.35, "keys, values", ha="center", fontsize=12)
    return canvas


@figure("bleu")
def bleu() -> Figure:
    """Shares of runs of 1 to 4 words of the word-by-word translation that the right one has."""
    found, right = (
        ["ton", "chat", "est", "un", "adorable", "chat", "."],
        ["ton", "chat", "est", "un", "chat", "adorable", "."],
    )
    shares = []
    for n in range(1, 5):
        mine, wanted = text_metrics.ngrams(found, n), text_metrics.ngrams(right, n)
        shares.append((sum((mine & wanted).values()), sum(mine.values())))
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    axes.bar(range(1, 5), [100 * hit / all_ for hit, all_ in shares], color=BLUE, edgecolor="black")
    said = [f"{hit} of {all_}" for hit, all_ in shares]
    for n, text in enumerate(said, 1):
        axes.text(n, 5, text, ha="center", fontsize=14, color="white", weight="bold")
    score = text_metrics.bleu([found], [right])
    axes.axhline(score, color="black", linestyle="--", label=f"BLEU {score:.0f}")
    axes.set(
        xlabel="words in a run", ylabel="runs that the reference has (%)", ylim=(0, 115), xticks=range(1, 5)
    )
    axes.grid(visible=False, axis="x")
    axes.legend()
    return canvas


@figure("meaning")
def meaning() -> Figure:
    truth = "the kettle does not leak and it arrived on time ."
    answers = {
        "another word for it": "the kettle does not leak and it came on time .",
        "the opposite": "the kettle does leak and it arrived on time .",
        "a right paraphrase": "no water runs out of it , and delivery was punctual .",
    }
    rows = {}
    for name, text in answers.items():
        one, two = text.split(), truth.split()
        rows[name] = {
            "BLEU": text_metrics.bleu([one], [two]),
            "ROUGE-L (%)": 100 * text_metrics.rouge_l(one, two),
            "cosine (%)": 100 * float(embed([text])[0] @ embed([truth])[0]),
        }
    table = pd.DataFrame(rows).T
    canvas, axes = plt.subplots(figsize=(8.6, 3.6))
    table.plot.bar(ax=axes, rot=0, color=["white", ORANGE, BLUE], edgecolor="black", width=0.75)
    for bars, hatch in zip(axes.containers, ("..", "//", ""), strict=True):
        for bar in bars:
            bar.set_hatch(hatch)
        axes.bar_label(bars, fmt="%.0f", fontsize=12)
    axes.set(ylabel="score against the reference", ylim=(0, 118))
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper right")
    return canvas


# ----------------------------------------------------------------------------- costs and abilities


@figure("cost")
def cost() -> Figure:
    """Parameters and tokens of pre-training; the sources are those of the notebook's section 8."""
    points = {
        "your decoder": (*stored.numbers("12", r"tokens seen, ([\d,]+) parameters"),
                         *stored.numbers("12", r"([\d,]+) tokens seen")),
        # batch, lengths, steps: Devlin et al. 2019, appendix A.2
        "BERT-Base": (parameters.total("BERT-Base"), 256 * (0.9 * 128 + 0.1 * 512) * 1e6),
        "RoBERTa-Large": (355e6, 8192 * 512 * 500e3),  # at most; Liu et al. 2019, table 4
        "T5 11B": (11e9, 2**11 * 512 * 1e6),  # Raffel et al. 2020, section 3.7
        "GPT-3": (parameters.total("GPT-3"), 300e9),  # Brown et al. 2020, table 2.1
        "LLaMA 65B": (65.2e9, 1.4e12),  # Touvron et al. 2023a, table 2
        "ModernBERT": (149e6, 2e12),  # the Base model, its model card
    }  # fmt: skip
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    sizes = np.logspace(5.5, 12, 2)
    for power in range(12, 26, 3):
        axes.plot(sizes, 10**power / 6 / sizes, ":", color="grey", linewidth=1)
    markers = dict(zip(points, "^oos^^o", strict=True))
    below = {
        "RoBERTa-Large": (-8, 10),
        "GPT-3": (-18, -20),
        "ModernBERT": (-84, -4),
        "T5 11B": (-30, -18),
        "LLaMA 65B": (-8, 9),
    }
    for name, (weights, tokens) in points.items():
        color = BLUE if markers[name] == "o" else "black"
        axes.plot(weights, tokens, markers[name], color=color, markersize=9)
        offset = below.get(name, (-20, 10))
        axes.annotate(name, (weights, tokens), offset, textcoords="offset points", fontsize=11)
    axes.set(xscale="log", yscale="log", xlabel="parameters (log)", ylabel="tokens read (log)")
    axes.set(xlim=(3e5, 2e12), ylim=(8e3, 4e13))
    axes.text(4e5, 1.5e4, "round: encoders, triangle: decoders, square: both", fontsize=10)
    return canvas


@figure("energy")
def energy() -> Figure:
    # hours of an A100, Touvron et al. 2023b, table 2; at most 400 W
    hours = {"7B": 184_320, "13B": 368_640, "34B": 1_038_336, "70B": 1_720_320}
    canvas, axes = plt.subplots(figsize=(5.2, 3.7))
    bars = axes.bar(
        list(hours), [value * 400 / 1e6 for value in hours.values()], color=BLUE, edgecolor="black"
    )
    axes.bar_label(bars, [f"{value / 1e6:.1f} M h" for value in hours.values()], fontsize=12)
    axes.set(xlabel="Llama 2, parameters (above the bars: GPU-hours)", ylabel="energy at most (MWh)")
    axes.set(ylim=(0, 780))
    axes.grid(visible=False, axis="x")
    return canvas


@figure("emergence")
def emergence() -> Figure:
    sizes = np.logspace(7, 12, 11)  # parameters, made up
    p = 1 / (1 + np.exp(7 - np.log10(sizes)))  # accuracy of one token, made up: it rises smoothly
    canvas, axes = plt.subplots(figsize=(5.4, 3.9))
    for n, style in ((1, "o-"), (5, "s--"), (30, "D-.")):
        axes.plot(sizes, 100 * p**n, style, label=f"{n} token{'s' if n > 1 else ''}, all right")
    axes.set(xscale="log", xlabel="parameters (log)", ylabel="answers exactly right (%)", ylim=(-3, 155))
    axes.set_yticks(range(0, 101, 20))
    axes.legend(title="toy model", loc="upper left", fontsize=10)
    return canvas


@figure("reward")
def reward() -> Figure:
    before, rewards = np.array([0.6, 0.3, 0.1]), np.array([0.0, 1.0, 1.5])  # a toy
    names = ["asks back", "explains", "flatters"]
    table = {"before": before}
    for beta in (10, 1, 0.1):
        weight = before * np.exp(rewards / beta)
        table[f"β = {beta}"] = weight / weight.sum()
    frame = 100 * pd.DataFrame(table, names).T
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    frame.plot.bar(ax=axes, rot=0, color=["white", BLUE, ORANGE], edgecolor="black", width=0.8)
    for bars, hatch in zip(axes.containers, ("..", "", "//"), strict=True):
        for bar in bars:
            bar.set_hatch(hatch)
        axes.bar_label(bars, fmt="%.0f", fontsize=11)
    axes.set(ylabel="chance of the answer (%)", ylim=(0, 122))
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper left", ncols=3)
    return canvas


@figure("lean")
def lean() -> Figure:
    jobs = ["nurse", "dancer", "teacher", "librarian", "doctor", "lawyer", "engineer", "carpenter"]
    wordings = [
        ("{}", "she", "he"),
        ("{}", "a woman", "a man"),
        ("the work of a {}", "the work of a woman", "the work of a man"),
        ("I met the {} today.", "I met her today.", "I met him today."),
    ]
    found = {}
    for frame, her, him in wordings:
        about, ends = embed([frame.format(job) for job in jobs]), embed([her, him])  # (jobs, n), (2, n)
        difference = about @ (ends[0] - ends[1])
        found[her] = 100 * (difference - difference.mean())  # 0: the mean job
    table = pd.DataFrame(found, jobs).set_axis(['"she"', '"a woman"', '"the work of …"', '"I met …"'], axis=1)
    table = table.loc[table.mean(axis=1).sort_values().index]
    canvas, axes = plt.subplots(figsize=(6, 4.1))
    for wording, marker in zip(table, "os^D", strict=True):
        axes.plot(table[wording], range(len(jobs)), marker, label=wording)
    axes.plot(table.mean(axis=1), range(len(jobs)), "k|", markersize=16, label="mean")
    axes.set_yticks(range(len(jobs)), table.index)
    axes.axvline(0, color="grey", linestyle=":")
    axes.set(xlabel='more "he"  ←  hundredths of cosine  →  more "she"')
    axes.legend(loc="lower right", fontsize=10)
    return canvas
