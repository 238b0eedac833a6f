"""The figures of slides/07_question_answering.md. The reader's results are read from the stored outputs."""

import functools

import numpy as np
import seaborn as sns
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.feature_extraction.text import TfidfVectorizer

from drawings import HALF, TWO_THIRDS, WIDE, figure, stored
from utils import answer_spans, data, finetuning, models, plots, profile

BLUE, ORANGE, GREEN = plots.PALETTE[0], plots.PALETTE[1], plots.PALETTE[2]
KINDS = ("F1 with an answer", "F1 without", "F1")


@functools.cache
def handbook() -> dict[str, list[dict]]:
    settings = profile.get_profile()
    task = data.load_questions(settings.reading)
    return {"train": list(data.sample(task["train"], settings.questions)), "test": list(task["test"])} | {
        "everything": list(data.everything(task))
    }


@functools.cache
def capital() -> dict:
    """The one window of the notebook's question about Paris, with its targets."""
    row = {"id": "capital", "question": "What is the capital of France?"}
    row["context"] = "France lies in Europe. Its capital is Paris, on the river Seine."
    row["answers"] = {"text": ["Paris"], "answer_start": [row["context"].index("Paris")]}
    return answer_spans.encode(models.load("encoder")[0], [row], 64, 16)[0]


def bars(axes: Axes, values: dict[str, float], form: str = "%.0f") -> None:
    found = axes.barh(list(values), list(values.values()), color="silver", edgecolor="black")
    for bar, hatch in zip(found, ("", "..", "//", "xx") * 3, strict=False):
        bar.set_hatch(hatch)
    axes.bar_label(found, fmt=form, padding=4, fontsize=12)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.margins(x=0.18)


# ----------------------------------------------------------------------------------- two positions


@figure("two-tokens")
def two_tokens() -> Figure:
    """The window's tokens in two lines, question above context, with positions and characters."""
    row, tokenizer = capital(), models.load("encoder")[0]
    tokens = tokenizer.convert_ids_to_tokens(row["input_ids"])
    first, target = row["first"], row["start_positions"]
    canvas, axes = plt.subplots(figsize=(9.2, 3.2))
    axes.axis("off")
    for height, places in ((3, range(first)), (1, range(first, len(tokens)))):
        x = 0.0
        for place in places:
            width = 0.13 * max(len(tokens[place]), 3) + 0.22
            segment = row["token_type_ids"][place]
            shade = "gold" if place == target else ("white", "gainsboro")[segment]
            axes.add_patch(
                plt.Rectangle((x, height - 0.3), width - 0.06, 0.6, facecolor=shade, edgecolor="black")
            )
            axes.text(x + width / 2 - 0.03, height, tokens[place], ha="center", va="center", fontsize=11)
            axes.text(x + width / 2 - 0.03, height + 0.48, place, ha="center", fontsize=10, color="dimgrey")
            if 0 <= place - first < len(row["offsets"]):
                start, end = row["offsets"][place - first]
                axes.text(
                    x + width / 2 - 0.03,
                    height - 0.75,
                    f"{start}–\n{end}",
                    ha="center",
                    va="center",
                    fontsize=9.5,
                )
            x += width
        axes.text(
            -0.15, height, ("segment 1", "segment 0")[height == 3], ha="right", va="center", fontsize=12
        )
        axes.text(-0.15, height + 0.48, "position", ha="right", fontsize=10, color="dimgrey")
    axes.text(-0.15, 0.25, "characters", ha="right", va="center", fontsize=10)
    axes.set(xlim=(-1.3, 12.4), ylim=(-0.2, 4))
    return canvas


@functools.cache
def untrained():
    recipe = finetuning.Recipe(max_length=64)
    return finetuning.new_model("question-answering", recipe)[1]


@figure("read")
def read() -> Figure:
    """Which tokens' outputs the loss has a gradient for: by a span head, and by a head on the first token."""
    row, model = capital(), untrained()
    output = model(**finetuning.collate([row]), output_hidden_states=True)
    hidden, head = output.hidden_states[-1].detach().requires_grad_(), model.qa_outputs
    logits = head(hidden)[0]  # (sequence, 2)
    a, z = row["start_positions"], row["end_positions"]
    loss = -(torch.log_softmax(logits[:, 0], 0)[a] + torch.log_softmax(logits[:, 1], 0)[z]) / 2
    by_span = torch.autograd.grad(loss, hidden)[0][0]
    loss = torch.nn.functional.cross_entropy(head(hidden[:, 0]), torch.tensor([1]))
    by_class = torch.autograd.grad(loss, hidden)[0][0]
    shown = torch.stack([by_class, by_span]).abs().sum(-1) > 0  # (2, sequence)
    canvas, axes = plt.subplots(figsize=(8.8, 2.5))
    sns.heatmap(shown, cmap="Greys", vmin=0, vmax=1.6, cbar=False, linewidths=1, linecolor="silver", ax=axes)
    tokens = models.load("encoder")[0].convert_ids_to_tokens(row["input_ids"])
    axes.set_xticks(
        np.arange(len(tokens)) + 0.5, tokens, rotation=60, ha="right", rotation_mode="anchor", fontsize=11
    )
    counts = shown.sum(1).tolist()
    axes.set_yticks([0.5, 1.5], [f"for a class: {counts[0]}", f"for a span: {counts[1]}"], rotation=0)
    return canvas


# ---------------------------------------------------------------------------------------- windows


@figure("windows")
def windows() -> Figure:
    """The windows of the notebook's long passage, and where its answer lies in each."""
    settings, tokenizer = profile.get_profile(), models.load("encoder")[0]
    answered = [row for row in handbook()["train"] if row["answers"]["text"]]
    for row in sorted(answered, key=lambda row: -len(row["context"]))[:200]:
        group = answer_spans.encode(tokenizer, [row], settings.window, settings.stride)
        start = row["answers"]["answer_start"][0]
        end, places = start + len(row["answers"]["text"][0]), []
        for window in group:
            inside = [a < end and b > start for a, b in window["offsets"].tolist()]
            places.append("inside" if window["start_positions"] else "cut" if any(inside) else "outside")
        if "cut" in places and "inside" in places:
            break
    whole = group[places.index("inside")]
    low = whole["begin"] + whole["start_positions"] - whole["first"]
    high = whole["begin"] + whole["end_positions"] - whole["first"]
    canvas, axes = plt.subplots(figsize=WIDE)
    looks = {"inside": (GREEN, "//"), "cut": (ORANGE, "xx"), "outside": ("lightgrey", "")}
    for number, (window, place) in enumerate(zip(group, places, strict=True)):
        color, hatch = looks[place]
        length = len(window["offsets"])
        axes.barh(number, length, left=window["begin"], color=color, hatch=hatch, edgecolor="white")
        behind = window["begin"] + length + 8
        if behind < high + 10 and behind + 150 > low:  # the label would lie on the band
            behind = high + 10
        target = f"{place}: {window['start_positions'], window['end_positions']}"
        axes.text(behind, number, target, va="center", fontsize=12)
    axes.axvspan(low, high + 1, color="black", alpha=0.7)
    axes.set(xlabel="token of the passage", ylabel="window", yticks=range(len(group)), xlim=(0, 900))
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    return canvas


def cut(pieces: int, size: int, stride: int) -> list[tuple[int, int]]:
    """Windows (start, end) of at most `size` pieces, two neighbours sharing `stride`: exercise 07.2."""
    found = [(0, min(size, pieces))]
    while found[-1][1] < pieces:
        start = found[-1][0] + size - stride
        found.append((start, min(start + size, pieces)))
    return found


@figure("stride")
def stride() -> Figure:
    """How many places of an answer are whole in no window of 20, in a text of 60, by stride."""
    canvas, axes = plt.subplots(figsize=HALF)
    strides = range(10)
    for length, style in ((2, "o-"), (4, "s--"), (6, "D-."), (8, "^:")):
        lost = []
        for shared in strides:
            shut = cut(60, 20, shared)
            at_all = range(61 - length)
            lost.append(
                sum(not any(low <= at and at + length <= high for low, high in shut) for at in at_all)
            )
        axes.plot(strides, lost, style, label=f"{length} pieces", markersize=8)
    axes.set(xlabel="stride (pieces)", ylabel="answers that are whole nowhere", xticks=strides)
    axes.legend(title="answer of")
    return canvas


# --------------------------------------------------------------------------- decoding and silence


@figure("pairs")
def pairs() -> Figure:
    """The notebook's toy: the score of every valid pair of start and end."""
    words = ["Its", "capital", "is", "Paris", ",", "not", "Lyon"]
    start = np.array([0.0, 0.5, 0.0, 3.0, 0.0, 0.5, 3.2])
    end = np.array([0.0, 0.5, 0.0, 3.4, 0.5, 0.0, 2.8])
    sums = start[:, None] + end
    width = np.arange(7) - np.arange(7)[:, None]
    valid = (width >= 0) & (width < 3)
    i, j = np.unravel_index(np.where(valid, sums, -np.inf).argmax(), sums.shape)
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    sns.heatmap(
        sums, mask=~valid, annot=True, fmt=".1f", cmap="Greys", vmax=9, cbar=False, xticklabels=words,
        yticklabels=words, ax=axes,
    )  # fmt: skip
    axes.tick_params(axis="y", rotation=0)
    axes.grid(False)
    axes.add_patch(plt.Rectangle((j, i), 1, 1, fill=False, linewidth=4, edgecolor=ORANGE))
    bad = int(end.argmax()), int(start.argmax())
    axes.text(bad[0] + 0.5, bad[1] + 0.5, "✗", ha="center", va="center", fontsize=20)
    axes.set(xlabel="end", ylabel="start")
    return canvas


@functools.cache
def results():
    return stored.table("07", "silence", "BERT, careful")


@figure("silence")
def silence() -> Figure:
    """What answering always and answering with a threshold score, on both kinds of questions."""
    canvas, axes = plt.subplots(figsize=HALF)
    for column, style in (("F1 with an answer", "o-"), ("F1 without", "s--"), ("F1", "D:")):
        name = {"F1 with an answer": "with an answer", "F1 without": "without", "F1": "all questions"}[column]
        values = results().loc[["BERT, always answers", "BERT, careful"], column]
        axes.plot(["always answers", "careful"], values, style, label=name, markersize=11, linewidth=2)
    axes.set(ylabel="F1 on test (%)", ylim=(-3, 88))
    axes.margins(x=0.2)
    axes.legend(title="questions", loc="upper left")
    return canvas


@figure("kept")
def kept() -> Figure:
    """How many training windows hold their answer, and how many are kept."""
    pattern = r"[\d,]+ questions, ([\d,]+) windows, ([\d,]+) with an answer; ([\d,]+) to learn from"
    windows_in_all, answered, chosen = stored.numbers("07", pattern)
    canvas, axes = plt.subplots(figsize=HALF)
    silent = [windows_in_all - answered, chosen - answered]
    axes.bar(
        ["all windows", "to learn from"], answered, color="silver", edgecolor="black", label="answer inside"
    )
    drawn = axes.bar(
        ["all windows", "to learn from"], silent, bottom=answered, color="white", edgecolor="black", hatch="//",
        label="“not here”",
    )  # fmt: skip
    axes.bar_label(drawn, [f"{number:,.0f}" for number in (windows_in_all, chosen)], padding=4, fontsize=13)
    axes.set(ylabel="training windows", ylim=(0, 1.12 * windows_in_all))
    axes.legend()
    axes.grid(False, axis="x")
    return canvas


@figure("results")
def four_methods() -> Figure:
    canvas, axes = plt.subplots(figsize=WIDE)
    table = results()[list(KINDS)]
    table.plot.bar(
        rot=0, ax=axes, color=["silver", "white", BLUE], edgecolor="black", width=0.75, legend=False
    )
    for group, hatch in zip(axes.containers, ("", "//", ".."), strict=True):
        for bar in group:
            bar.set_hatch(hatch)
        axes.bar_label(group, fmt="%.0f", fontsize=11)
    axes.set(xlabel="", ylabel="F1 on test (%)", ylim=(0, 130))
    names = ["questions with an answer", "questions without", "all questions"]
    axes.legend(axes.containers, names, ncol=3, loc="upper center")
    axes.grid(False, axis="x")
    return canvas


# ------------------------------------------------------------------------------ errors and the desk


@figure("errors")
def errors() -> Figure:
    kinds = stored.table("07", "wrong place", "right")["questions"]
    passages = stored.table("07", "over 400 words", "mean")["mean"]
    canvas, (left, right) = plt.subplots(1, 2, figsize=(8.8, 2.8))
    bars(left, dict(kinds))
    left.set_xlabel("questions with an answer")
    bars(right, {name.replace(" words", "\nwords"): value for name, value in passages.items()})
    right.set_xlabel("F1 by length of the passage (%)")
    canvas.tight_layout()
    return canvas


@figure("retrieval")
def retrieval() -> Figure:
    """For how many questions of the test the right passage is among the best few by shared words."""
    library = sorted({row["context"] for row in handbook()["everything"]})
    index = TfidfVectorizer(sublinear_tf=True, stop_words="english").fit(library)
    asked = [row for row in handbook()["test"] if row["answers"]["text"]]
    likeness = (index.transform([row["question"] for row in asked]) @ index.transform(library).T).toarray()
    right = [library.index(row["context"]) for row in asked]
    rank = (-likeness).argsort(1, kind="stable").argsort(1)[np.arange(len(asked)), right]
    most = [1, 2, 3, 5, 10, 20]
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    hits = [100 * np.mean(rank < number) for number in most]
    axes.plot(range(len(most)), hits, "o-", markersize=11, linewidth=2, label="by shared words")
    chance = [100 * number / len(library) for number in most]
    axes.plot(range(len(most)), chance, "s:", color="grey", markersize=8, label="by lot")
    axes.set_xticks(range(len(most)), most)
    axes.axvline(1, color="black", linestyle="--", label="the desk reads two")
    axes.set(xlabel="passages that are read", ylabel="right one among them (%)", ylim=(0, 100))
    axes.legend(loc="upper left")
    return canvas
