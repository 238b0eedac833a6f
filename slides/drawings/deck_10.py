"""The figures of slides/10_token_classification.md: computed as notebook 10 does, or read from its stored run."""

import functools
import re

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from drawings import HALF, TWO_THIRDS, diagrams, figure, stored
from utils import data, entities, models, plots, schemas

SHADES = dict(
    zip(
        schemas.ENTITY_TYPES,
        ("#cfe8ff", "#ffe1b3", "#d5f0cf", "#eadcf7", "#ffd6d6", "#eee3cc", "#fff3a6"),
        strict=True,
    )
)
TOY = "Mrs Pell bought two Moth lamps on 3 May."
BLUE, ORANGE = plots.PALETTE[:2]


def shade(tag: str) -> str:
    return SHADES.get(tag[2:], "white")


def spans(text: str, *marks: tuple[str, str]) -> list[dict]:
    """Spans of a text by what they look like and their type."""
    starts = [text.index(surface) for surface, _ in marks]
    return [
        {"start": start, "end": start + len(surface), "type": kind}
        for start, (surface, kind) in zip(starts, marks, strict=True)
    ]


TOY_SPANS = spans(TOY, ("Mrs Pell", "person"), ("Moth lamps", "product"), ("3 May", "date"))


@functools.cache
def rows() -> dict[str, list[dict]]:
    return {split: list(part) for split, part in data.load("entities").items()}


@functools.cache
def dictionary() -> dict[str, list[list[dict]]]:
    """What the dictionary of train finds, by split."""
    train = rows()["train"]
    known = entities.Dictionary([row["text"] for row in train], [row["entities"] for row in train])
    return {split: [known.predict(row["text"]) for row in part] for split, part in rows().items()}


def expected(split: str) -> list[list[dict]]:
    return [row["entities"] for row in rows()[split]]


@functools.cache
def grinder() -> dict:
    return next(row for row in rows()["test"] if row["ticket_id"] == "T1166")


# ---------------------------------------------------------------------------------- spans and tags


@figure("grinder")
def sentence() -> Figure:
    """The sentence, letter by letter, with its entities marked and their types below."""
    canvas, axes = diagrams.blank((8.4, 2.6), 48, 10)
    text = grinder()["text"]
    for place, letter in enumerate(text):
        axes.text(place + 1.6, 6, letter, ha="center", va="center", fontsize=17, family="monospace")
    for span in grinder()["entities"]:
        left, width = span["start"] + 1.1, span["end"] - span["start"]
        look = {"facecolor": SHADES[span["type"]], "edgecolor": "black", "linewidth": 1.2}
        axes.add_patch(plt.Rectangle((left, 4.6), width, 2.8, zorder=0, **look))
        middle = left + width / 2
        axes.text(middle, 3.4, span["type"], ha="center", va="center", fontsize=15, weight="bold")
        where = f"{span['start']} to {span['end']}"
        axes.text(middle, 1.6, where, ha="center", va="center", fontsize=12)
    axes.text(46.4, 8.6, "characters from, to (not included), and a type", ha="right", fontsize=12)
    return canvas


@figure("types")
def types() -> Figure:
    counts = pd.DataFrame(
        {
            split: pd.Series([e["type"] for row in part for e in row["entities"]]).value_counts()
            for split, part in rows().items()
        }
    )
    counts = counts.loc[counts.sum(axis=1).sort_values().index]
    canvas, axes = plt.subplots(figsize=HALF)
    counts.plot.barh(stacked=True, ax=axes, color=plots.PALETTE[:3], edgecolor="black", width=0.75)
    for bars, hatch in zip(axes.containers, ("", "//", ".."), strict=True):
        for bar in bars:
            bar.set_hatch(hatch)
    axes.set(xlabel="entities marked", ylabel="")
    axes.grid(visible=False, axis="y")
    return canvas


@figure("bio")
def bio() -> Figure:
    words, tags = entities.to_bio(TOY, TOY_SPANS)
    canvas, axes = diagrams.blank((8.8, 2), 13.2, 3)
    shown = {"word": [TOY[start:end] for start, end in words], "tag": tags}
    diagrams.strip(axes, shown, [["white"] * len(tags), list(map(shade, tags))], 2.9, 0.9, 12.5, 1.35)
    return canvas


@figure("neighbours")
def neighbours() -> Figure:
    """What is read from the tags of two orders side by side, with B and with I alone."""
    text = "Sizes of OM-100001 OM-100002?"
    orders = spans(text, ("OM-100001", "order"), ("OM-100002", "order"))
    words, tags = entities.to_bio(text, orders)
    canvas, axes = diagrams.blank((8.8, 3.3), 13.2, 5)
    only_i = [tag.replace("B-", "I-") for tag in tags]
    for name, some, top in (("with B", tags, 4.9), ("I alone", only_i, 2.2)):
        shown = {"word": [text[start:end] for start, end in words], name: some}
        shades = [["white"] * len(some), list(map(shade, some))]
        diagrams.strip(axes, shown, shades, top, 0.9, 12.5, 0.9)
        found = entities.from_bio(words, some)
        said = " and ".join(f"“{text[span['start'] : span['end']]}”" for span in found)
        axes.text(0.9, top - 2.1, f"{len(found)} found: {said}", va="center", fontsize=12.5)
    return canvas


@figure("right-or-wrong")
def right_or_wrong() -> Figure:
    """The example of the score by hand: what is expected and what is found, as bars under the words."""
    found = [TOY_SPANS[1], *spans(TOY, ("Pell", "person"))]
    words = ["Mrs", "Pell", "Moth", "lamps", "3", "May"]
    canvas, axes = diagrams.blank(HALF, 7.4, 7)
    for name, some, y in (("expected", TOY_SPANS, 4.1), ("found", found, 2.2)):
        axes.text(0.25, y + 1.1, name, va="bottom", fontsize=13)
        for span in some:
            inside = [place for place, word in enumerate(words) if word in TOY[span["start"] : span["end"]]]
            alone = span not in found or span not in TOY_SPANS
            colour = "white" if alone else SHADES[span["type"]]
            look = {"edgecolor": "black", "hatch": "//" if alone else "", "facecolor": colour}
            left = 0.25 + 1.2 * inside[0]
            axes.add_patch(plt.Rectangle((left, y), 1.2 * len(inside) - 0.15, 1, **look))
    for place, word in enumerate(words):
        axes.text(0.8 + 1.2 * place, 6.5, word, ha="center", va="center", fontsize=15)
    right = sum(span in TOY_SPANS for span in found)
    counts = f"{right} right, {len(found)} predicted, {len(TOY_SPANS)} expected\nhatched: without a partner"
    axes.text(0.25, 1, counts, va="center", fontsize=13.5, linespacing=1.6)
    return canvas


# ----------------------------------------------------------------------------------- the dictionary


@figure("dictionary")
def by_heart() -> Figure:
    canvas, axes = plt.subplots(figsize=HALF)
    f1 = [entities.scores(dictionary()[split], expected(split))["f1"] for split in rows()]
    bars = axes.bar(list(rows()), f1, color=[ORANGE, "white", "white"], edgecolor="black", hatch="//")
    axes.bar_label(bars, fmt="%.0f", fontsize=13)
    axes.set(ylabel="F1 of the dictionary (%)", ylim=(0, 108))
    axes.grid(visible=False, axis="x")
    return canvas


def token_accuracy(found: list[list[dict]], split: str) -> float:
    """Percent of words whose tag is right."""
    texts = [row["text"] for row in rows()[split]]
    truth, guess = (
        [tag for text, one in zip(texts, some, strict=True) for tag in entities.to_bio(text, one)[1]]
        for some in (expected(split), found)
    )
    return 100 * float(np.mean(np.array(truth) == np.array(guess)))


@figure("token-accuracy")
def accuracy_misleads() -> Figure:
    nothing = [[] for _ in rows()["validation"]]
    table = {
        name: (
            token_accuracy(found, "validation"),
            entities.scores(found, expected("validation"))["f1"],
        )
        for name, found in (("finds nothing", nothing), ("dictionary", dictionary()["validation"]))
    }
    frame = pd.DataFrame(table, ["token accuracy", "entity F1"])
    canvas, axes = plt.subplots(figsize=(8.4, 2.5))
    frame[::-1].plot.barh(ax=axes, color=["lightgrey", ORANGE], edgecolor="black", width=0.8)
    for bar in axes.containers[1]:
        bar.set_hatch("//")
    for bars in axes.containers:
        axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=12)
    axes.set(xlabel="score on validation (%)", xlim=(0, 105))
    axes.grid(visible=False, axis="y")
    axes.legend(loc="lower right")
    return canvas


# ------------------------------------------------------------------------------- pieces and a head


@figure("pieces")
def pieces() -> Figure:
    """The word pieces of the sentence in two lines, with the label of each."""
    tokenizer, _ = models.load("encoder")
    labels = entities.label_names(schemas.ENTITY_TYPES)
    coded = entities.encode(tokenizer, [grinder()], labels, 64)[0]
    names = tokenizer.convert_ids_to_tokens(coded["input_ids"])
    tags = ["−100" if label < 0 else labels[label] for label in coded["token_labels"]]
    canvas, axes = diagrams.blank((8.4, 3.3), 11.4, 5.4)
    for part, top in ((slice(0, 10), 5.2), (slice(10, None), 2.4)):
        colours = ["lightgrey" if tag == "−100" else shade(tag) for tag in tags[part]]
        shown = {"piece": names[part], "label": tags[part]}
        diagrams.strip(axes, shown, [["white"] * len(colours), colours], top, 0.9, 12.5, 1.15)
    for patch in axes.patches:
        if patch.get_facecolor()[:3] == (211 / 255,) * 3:  # lightgrey: ignored
            patch.set(hatch="//", edgecolor="darkgrey")
    for text in axes.texts:
        if text.get_text() == "−100":
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
    return canvas


@figure("head")
def head() -> Figure:
    canvas, axes = diagrams.blank(HALF, 10, 9)
    tokenizer, _ = models.load("encoder")
    names = tokenizer.tokenize("Whirr grinder")[:4]
    look = {"facecolor": diagrams.GREY, "edgecolor": "black"}
    axes.add_patch(plt.Rectangle((0.3, 2.7), 9.4, 1.6, **look))
    axes.text(5, 3.5, "BERT", ha="center", va="center", fontsize=15)
    for place, name in enumerate(names):
        x, counts = 1.4 + 2.4 * place, not name.startswith("##")
        diagrams.box(axes, x, 1, name, size=13)
        diagrams.arrow(axes, (x, 1.6), (x, 2.7))
        diagrams.arrow(axes, (x, 4.3), (x, 5.5))
        diagrams.box(axes, x, 6, "W, b", size=13)
        diagrams.arrow(axes, (x, 6.6), (x, 7.5), dashed=not counts)
        text = "15 logits" if counts else "left out"
        axes.text(x, 8, text, ha="center", va="center", fontsize=12, weight="bold" if counts else "normal")
    return canvas


@figure("stray")
def stray() -> Figure:
    """The trained model's labels for the sentence, from the notebook's run."""
    table = stored.table("10", "best label", "its chance (%)")
    canvas, axes = diagrams.blank((9.2, 3), 14.4, 4.6)
    values = {
        name: [f"{value:.0f}" if isinstance(value, float) else str(value) for value in table.loc[name]]
        for name in table.index
    }
    values["chance (%)"] = values.pop("its chance (%)")
    wrong = [best != right for best, right in zip(values["best label"], values["expected"], strict=True)]
    white = ["white"] * len(wrong)
    shades = [
        white,
        [shade(tag) for tag in values["expected"]],
        [shade(tag) for tag in values["best label"]],
        ["lightgrey" if one else "white" for one in wrong],
    ]
    diagrams.strip(axes, values, shades, 4.5, 1.3, 11, 1.1)
    return canvas


@figure("joined")
def joined() -> Figure:
    """A text letter by letter, and what is left when its word pieces are joined: changed letters are shaded."""
    tokenizer, _ = models.load("encoder")
    odd = "L'Étagère Ledge coûte 15 € ?"
    pieces = tokenizer.decode(tokenizer(odd)["input_ids"], skip_special_tokens=True)
    canvas, axes = diagrams.blank((8.4, 2.6), 41, 10)
    product = spans(odd, ("Étagère Ledge", "product"))[0]
    look = {"facecolor": SHADES["product"], "edgecolor": "black", "linewidth": 1.2}
    axes.add_patch(plt.Rectangle((11.5 + product["start"], 6.2), len("Étagère Ledge"), 2.6, **look))
    for y, name, text in ((7.5, "as written", odd), (2.5, "joined pieces", pieces)):
        axes.text(0, y, name, va="center", fontsize=14)
        for place, letter in enumerate(text):
            axes.text(12 + place, y, letter, ha="center", va="center", fontsize=18, family="monospace")
    where = f"characters {product['start']} to {product['end']}: cut out, letter by letter"
    axes.text(11.5 + product["start"], 5.1, where, va="center", fontsize=12)
    return canvas


# ------------------------------------------------------------------------------------- the results


def hatched(axes, number: int) -> None:
    for bar in axes.containers[number]:
        bar.set_hatch("//")


def of_two_levels(table: pd.DataFrame) -> pd.DataFrame:
    """The numbers of a stored table whose rows have two names, the first of them written once."""
    names = [name for name in table.columns if name]
    rows = [
        [float(value) for value in row if re.fullmatch(r"[\d.]+", str(value))] for row in table.to_numpy()
    ]
    return pd.DataFrame([row[-len(names) :] for row in rows], columns=names)


@figure("test")
def on_test() -> Figure:
    table = stored.table("10", "finds nothing", "dictionary", "BERT", "precision")
    table = of_two_levels(table)[["dictionary", "BERT"]].iloc[-3:]  # precision, recall, F1 of test
    table.index = ["precision", "recall", "F1"]
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    table.plot.bar(ax=axes, rot=0, color=[ORANGE, BLUE], edgecolor="black", width=0.75)
    hatched(axes, 0)
    for bars in axes.containers:
        axes.bar_label(bars, fmt="%.0f", fontsize=12)
    axes.set(ylabel="on test (%)", ylim=(0, 80))
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper right", ncols=2)
    return canvas


@figure("by-type")
def by_type() -> Figure:
    found, truth = (
        some["validation"] + some["test"] for some in (dictionary(), {s: expected(s) for s in rows()})
    )
    scores = pd.Series({kind: one["f1"] for kind, one in entities.scores_by_type(found, truth).items()})
    scores = scores.sort_values()
    canvas, axes = plt.subplots(figsize=HALF)
    bars = axes.barh(scores.index, scores, color=ORANGE, edgecolor="black", hatch="//")
    axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=12)
    axes.set(xlabel="F1 of the dictionary (%)", xlim=(0, 112))
    axes.grid(visible=False, axis="y")
    return canvas


@figure("languages")
def languages() -> Figure:
    table = stored.table("10", "pieces per word", "F1 BERT").astype(float)
    canvas, panels = plt.subplots(1, 2, figsize=(4.6, 3.9), sharey=True)
    for panel, column, name in zip(
        panels, ("pieces per word", "F1 BERT"), ("pieces for a word", "BERT's F1 (%)"), strict=True
    ):
        bars = panel.barh(table.index[::-1], table[column][::-1], color=BLUE, edgecolor="black")
        panel.bar_label(bars, fmt="%.1f" if column.startswith("pieces") else "%.0f", padding=3, fontsize=11)
        panel.set(xlabel=name, xlim=(0, table[column].max() * 1.3))
        panel.grid(visible=False, axis="y")
    canvas.tight_layout()
    return canvas


@figure("errors")
def errors() -> Figure:
    table = stored.table("10", "wrong border", "invented", "missed")
    kinds = table.loc["all"].astype(int)
    kinds = kinds[["right", "missed", "wrong border", "invented", "wrong type and border", "wrong type"]][
        ::-1
    ]
    canvas, axes = plt.subplots(figsize=(4.8, 3.9))
    bars = axes.barh(kinds.index, kinds, color=["lightgrey"] * 5 + [BLUE], edgecolor="black")
    axes.bar_label(bars, padding=3, fontsize=12)
    axes.set(xlabel="entities on validation", xlim=(0, kinds.max() * 1.12))
    axes.grid(visible=False, axis="y")
    return canvas


@figure("filling")
def filling() -> Figure:
    table = of_two_levels(stored.table("10", "hidden fields", "suggestions", "right"))
    methods = [  # the notebook's rows, in its order
        "product: dictionary", "product: BERT", "product: catalogue", "order: BERT", "order: pattern",
    ]  # fmt: skip
    suggestions, right = (table[name].astype(int).to_numpy() for name in ("suggestions", "right"))
    canvas, axes = plt.subplots(figsize=(4.8, 3.9))
    places = np.arange(len(methods))[::-1]
    axes.barh(places, suggestions, color="white", edgecolor="black", hatch="//", label="suggestions")
    axes.barh(places, right, color=BLUE, edgecolor="black", label="of these right")
    axes.set_yticks(places, methods)
    axes.set(xlabel="hidden fields")
    axes.grid(visible=False, axis="y")
    axes.legend(loc="lower right")
    return canvas
