"""The figures of slides/03_embeddings.md. The computations are those of notebook 03."""

import functools

import numpy as np
import pandas as pd
import seaborn as sns
import tokenizers
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor
from torch.nn import functional as F

from drawings import HALF, TWO_THIRDS, WIDE, figure
from utils import bert, data, models, plots, profile

LANGUAGES = {"en": "English", "de": "German", "fr": "French", "es": "Spanish", "el": "Greek"}
SENTENCE = "He went to the bank to deposit money."
USES = {"bank": {
    "river": ["We sat on the bank of the river.", "The river burst its bank after the rain.",
              "A muddy bank runs along the stream.", "Ducks nest on the grassy bank of the canal."],
    "savings": [SENTENCE, "The bank pays interest on my savings.",
                "She opened a savings account at the bank.", "The bank refused him a loan."],
}, "apple": {
    "fruit": ["I ate an orange and an apple.", "The apple tree stands by the barn.",
              "Cut the apple into slices and add sugar.", "She peeled a ripe apple for the cake."],
    "company": ["Microsoft and Apple sell computers.", "The new phone by Apple is expensive.",
                "Apple reported record profits.", "My laptop was made by Apple."],
}}  # fmt: skip
LINES = """
The parcel has not come yet. | I am still waiting for my delivery.
I want my money back. | Please refund me.
It was far too expensive. | They ask a lot of money for this.
The lamp does not light up. | No glow at all, the bulb stays dark.
The chair wobbles. | My seat is not stable.
The blanket keeps me warm. | I never feel cold under this cover.
The pillow is too hard. | My neck hurts, it needs to be softer.
The glass arrived broken. | It was shattered when I opened the box.
Nobody answers the phone. | Customer service cannot be reached.
The colour faded in the wash. | After laundry it looked pale.
The toaster burns everything. | My bread comes out black.
The fan is noisy. | It hums so loudly that I cannot sleep.
A screw was missing. | One part of the kit was not in the box.
It is easy to clean. | Dirt wipes off in a moment.
The instructions make no sense. | I could not understand the manual.
I would buy it again. | A purchase that I do not regret.
The mattress gave me back pain. | My spine aches after sleeping on it.
It looks elegant in the hall. | A stylish piece for the entrance.
The plug does not fit the socket. | I cannot connect it to the power outlet.
Setting it up took all day. | The assembly needed many hours.
"""
KINDS = {
    "days": "monday tuesday friday saturday sunday",
    "numbers": "two three five eight ten twenty",
    "colours": "red green blue yellow black white pink",
    "kitchen": "kettle pan spoon fork plate bowl oven",
    "furniture": "chair sofa bed shelf desk mattress",
    "feelings": "happy sad angry afraid proud lonely",
    "countries": "france germany spain italy greece poland",
    "past tense": "walked ran bought sold lost found",
}


@functools.cache
def minilm():
    return models.load("encoder")


@functools.cache
def vocabulary() -> dict[str, int]:
    return minilm()[0].get_vocab()


@functools.cache
def word_rows() -> Tensor:
    """MiniLM's table of word pieces: (v, n)."""
    return minilm()[1].embeddings.word_embeddings.weight.detach()


@functools.cache
def texts_of(split: str, language: str = "en") -> list[str]:
    """Title and content of each review."""
    rows = data.where(data.load("reviews")[split], language=language)
    return [f"{title} {content}" for title, content in zip(rows["title"], rows["content"], strict=True)]


def words_of(text: str) -> list[str]:
    inner = minilm()[0].backend_tokenizer
    return [word for word, _ in inner.pre_tokenizer.pre_tokenize_str(inner.normalizer.normalize_str(text))]


# ---------------------------------------------------------------------------------------- units


@figure("units")
def units() -> Figure:
    """Length of new reviews in three kinds of units, and the share that the list does not have."""
    tokenizer = minilm()[0]
    cuts = {"characters": list, "words": words_of, "word pieces": tokenizer.tokenize}
    old, new = texts_of("train"), texts_of("validation")
    rows = {}
    for name, cut in cuts.items():
        known = set(vocabulary()) - {"[UNK]"}
        if name != "word pieces":  # that list comes with BERT
            known = {unit for text in old for unit in cut(text)}
        texts = [cut(text) for text in new]
        unknown = [unit not in known for text in texts for unit in text]
        rows[name] = np.mean([len(text) for text in texts]), 100 * np.mean(unknown)
    canvas, panels = plt.subplots(1, 2, figsize=(8.4, 2.9), sharey=True)
    labels = ("units in a new review", "not in the list (%)")
    for column, (panel, label) in enumerate(zip(panels, labels, strict=True)):
        values = [row[column] for row in rows.values()]
        bars = panel.barh(list(rows), values, color=plots.PALETTE[:3], edgecolor="black", height=0.65)
        for bar, hatch in zip(bars, ("", "//", ".."), strict=True):
            bar.set_hatch(hatch)
        panel.bar_label(bars, fmt="%.0f", padding=4, fontsize=13)
        panel.set(xlabel=label, xlim=(0, 1.2 * max(values)))
        panel.tick_params(axis="y", labelsize=14)
        panel.grid(axis="y", visible=False)
    panels[0].invert_yaxis()
    canvas.tight_layout()
    return canvas


@figure("trials")
def trials() -> Figure:
    """Each trial of WordPiece on "lampshade", with what is left behind it."""
    word, start, tried = "lampshade", 0, []
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            tried.append((piece, word[end:], piece in vocabulary()))
            if piece in vocabulary():
                break
        start = end
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    axes.set(xlim=(0, 10), ylim=(len(tried), -1))
    axes.axis("off")
    for x, text in ((0.1, "trial"), (3.9, "behind it"), (6.6, "in the list?")):
        axes.text(x, -0.5, text, va="center", fontsize=13, color="dimgrey")
    for row, (piece, rest, found) in enumerate(tried):
        if found:
            axes.axhspan(row, row + 1, color=plots.PALETTE[0], alpha=0.2)
        weight = "bold" if found else "normal"
        answer = "✓ keep it" if found else "✗ no"
        for x, text in ((0.1, piece), (3.9, rest), (6.6, answer)):
            family = "DejaVu Sans" if x > 5 else "monospace"  # it has the signs
            axes.text(x, row + 0.5, text, va="center", fontsize=14, family=family, weight=weight)
    return canvas


@figure("languages")
def languages() -> Figure:
    """Pieces per word in new reviews: BERT's list, and one learned from the shop's training reviews."""
    own = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    own.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    own.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=6000, special_tokens=special, show_progress=False
    )
    own.train_from_iterator([text for code in LANGUAGES for text in texts_of("train", code)], trainer)
    cuts = {"BERT's 30,522": minilm()[0].tokenize, "the shop's 6,000": lambda word: own.encode(word).tokens}
    rows = []
    for code, language in LANGUAGES.items():
        words = [word for text in texts_of("validation", code) for word in words_of(text)]
        rows += [(language, name, np.mean([len(cut(word)) for word in words])) for name, cut in cuts.items()]
    table = pd.DataFrame(rows, columns=["language", "list", "pieces"])
    canvas, axes = plt.subplots(figsize=WIDE)
    sns.barplot(table, x="language", y="pieces", hue="list", edgecolor="black", ax=axes)
    for bars, hatch in zip(axes.containers, ("", "//"), strict=True):
        axes.bar_label(bars, fmt="%.1f", padding=2)
        for bar in bars:
            bar.set_hatch(hatch)
    axes.set(xlabel="", ylabel="pieces per word", ylim=(0, 1.1 * table["pieces"].max()))
    axes.tick_params(axis="x", labelsize=14)
    axes.legend(title="")
    return canvas


# ------------------------------------------------------------------------------- input and table


@figure("input")
def pair_input() -> Figure:
    tokenizer = minilm()[0]
    pair = tokenizer("my dog is cute", "he likes playing", padding="max_length", max_length=12)
    rows = {
        "token": tokenizer.convert_ids_to_tokens(pair["input_ids"]),
        "id": pair["input_ids"],
        "segment": pair["token_type_ids"],
        "position": range(12),
        "mask": pair["attention_mask"],
    }
    canvas, axes = plt.subplots(figsize=(9.2, 2.9))
    axes.set(xlim=(-1.3, 12), ylim=(5, 0))
    axes.axis("off")
    for row, (name, values) in enumerate(rows.items()):
        axes.text(-0.15, row + 0.5, name, ha="right", va="center", fontsize=13, weight="bold")
        for column, value in enumerate(values):
            dark = name in ("segment", "mask") and value
            shade = (*plots.PALETTE[0], 0.3) if dark else "white"
            axes.add_patch(plt.Rectangle((column, row), 1, 1, facecolor=shade, edgecolor="grey"))
            size = 11 if name == "token" else 13
            axes.text(column + 0.5, row + 0.5, value, ha="center", va="center", fontsize=size)
    return canvas


def numbers(axes: Axes, left: float, top: float, rows: Tensor, mark=()) -> None:
    """A table of whole numbers with its upper left corner at (left, top); rows in `mark` are shaded."""
    for i, row in enumerate(rows.tolist()):
        for j, value in enumerate(row):
            shade = (*plots.PALETTE[0], 0.3) if i in mark else "white"
            corner = left + j, top + i
            axes.add_patch(plt.Rectangle(corner, 1, 1, facecolor=shade, edgecolor="grey"))
            axes.text(corner[0] + 0.5, corner[1] + 0.5, value, ha="center", va="center", fontsize=14)


@figure("one-hot")
def one_hot() -> Figure:
    table, ids = torch.tensor([[0, 1], [2, 3], [4, 5], [6, 7]]), torch.tensor([2, 0])
    hot = F.one_hot(ids, num_classes=4)  # (2,) -> (2, 4)
    canvas, axes = plt.subplots(figsize=HALF)
    axes.set(xlim=(-0.2, 10.6), ylim=(6.4, -1), aspect="equal")
    axes.axis("off")
    numbers(axes, 0, 1, hot)
    numbers(axes, 5, 0, table, mark=ids.tolist())
    numbers(axes, 8, 1, hot @ table, mark=(0, 1))
    for x, y, text in (
        (4.5, 2, "×"),
        (7.5, 2, "="),
        (2, 0.5, "one-hot"),
        (6, -0.5, "table"),
        (9, 0.5, "rows"),
    ):
        axes.text(x, y, text, ha="center", va="center", fontsize=14)
    for i, place in enumerate(ids.tolist()):
        axes.text(2, 3.6 + 0.7 * i, f"id {place}: a 1 at place {place}", ha="center", fontsize=12)
    return canvas


@figure("random")
def random_start() -> Figure:
    """Cosines of rows in a new table and in MiniLM's."""
    pairs = (("king", "queen"), ("lamp", "bulb"), ("monday", "tuesday"), ("good", "bad"))
    profile.seed_everything(0)
    width = word_rows().shape[1]
    small = bert.Config(
        hidden_size=width, num_hidden_layers=1, num_attention_heads=12, intermediate_size=width
    )
    new = bert.Bert(small).embeddings.words.weight.detach()  # (v, n)
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    for table, marker, label in ((new, "s", "a new table"), (word_rows(), "o", "MiniLM's table")):
        ids = torch.tensor([[vocabulary()[word] for word in pair] for pair in pairs])  # (pairs, 2)
        cosines = F.cosine_similarity(table[ids[:, 0]], table[ids[:, 1]])
        axes.plot(cosines, range(len(pairs)), marker, markersize=12, label=label)
    axes.set_yticks(range(len(pairs)), [" – ".join(pair) for pair in pairs], fontsize=14)
    axes.invert_yaxis()
    axes.axvline(0, color="grey", linestyle=":")
    axes.set(xlabel="cosine of the two rows", xlim=(-0.25, 1), ylim=(3.6, -0.6))
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, 1.16), ncol=2)
    return canvas


@figure("parts")
def parts() -> Figure:
    """The length of each part of the first vectors."""
    tokenizer, encoder = minilm()
    ids = tokenizer(SENTENCE, return_tensors="pt")["input_ids"][0]  # (11,)
    layer = encoder.embeddings
    sizes = {
        "word": layer.word_embeddings.weight[ids],
        "position": layer.position_embeddings.weight[: len(ids)],
        "segment": layer.token_type_embeddings.weight[torch.zeros_like(ids)],
    }
    canvas, axes = plt.subplots(figsize=(8.4, 3.0))
    tokens = tokenizer.convert_ids_to_tokens(ids)
    for (name, rows), style in zip(sizes.items(), ("o-", "s--", "^:"), strict=True):
        axes.plot(rows.detach().norm(dim=-1), style, label=name, markersize=9, linewidth=2)
    axes.set_xticks(range(len(tokens)), tokens, fontsize=13)
    axes.set(ylabel="length of the vector", ylim=(0, None))
    axes.legend(loc="upper right")
    return canvas


# ---------------------------------------------------------------------------------------- order


@figure("order")
def order() -> Figure:
    words = {"she": [0.9, 0.1, 0.2], "loves": [0.2, 0.8, 0.4], "cats": [0.1, 0.3, 0.9]}
    positions = np.array([[0.0, 0.1, 0.0], [0.1, 0.0, 0.2], [0.3, -0.1, 0.1]])
    canvas, panels = plt.subplots(1, 4, figsize=(9.2, 2.6))
    texts = ("she loves cats", "cats loves she")
    for panel, (text, shift, when) in zip(
        panels, [(text, shift, when) for shift, when in ((0, "before"), (1, "after")) for text in texts],
        strict=True,
    ):  # fmt: skip
        rows = np.array([words[word] for word in text.split()]) + shift * positions
        sns.heatmap(
            rows, annot=True, fmt=".1f", cmap="Greys", vmin=-0.3, vmax=2.2, cbar=False, linewidths=1,
            linecolor="silver", xticklabels=False, yticklabels=text.split(), annot_kws={"size": 13}, ax=panel,
        )  # fmt: skip
        panel.tick_params(axis="y", rotation=0, labelsize=13)
        panel.set_title(f"{when} adding")
    canvas.tight_layout()
    return canvas


@functools.cache
def sinusoids(positions: int, width: int) -> Tensor:
    """(positions, width): sines at even dimensions, cosines at odd ones."""
    place = torch.arange(positions).unsqueeze(1)
    angles = place / 10000 ** (torch.arange(0, width, 2) / width)  # (positions, width / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


@figure("sinusoids")
def waves() -> Figure:
    canvas, axes = plt.subplots(figsize=TWO_THIRDS)
    bar = {"label": "value", "ticks": (-1, 0, 1)}
    sns.heatmap(sinusoids(60, 64), cmap="Greys", ax=axes, xticklabels=8, yticklabels=10, cbar_kws=bar)
    axes.tick_params(axis="both", rotation=0)
    axes.set(xlabel="dimension", ylabel="position")
    return canvas


@figure("late")
def late_positions() -> Figure:
    """A pair of dimensions at the first and at the last of 5,000 positions."""
    table, even = sinusoids(5000, 64), 10
    canvas, panels = plt.subplots(1, 2, figsize=TWO_THIRDS, sharey=True)
    for panel, places in zip(panels, (torch.arange(40), torch.arange(4960, 5000)), strict=True):
        panel.plot(places, table[places, even], "o-", markersize=3, label=f"dimension {even}: sine")
        panel.plot(places, table[places, even + 1], "s--", markersize=3, label=f"{even + 1}: cosine")
        panel.axhline(1, color="grey", linestyle=":")
        panel.axhline(-1, color="grey", linestyle=":")
        panel.set(xlabel="position", ylim=(-1.3, 1.9), yticks=(-1, 0, 1))
    panels[0].set_ylabel("value")
    panels[0].legend(loc="upper left", fontsize=11)
    canvas.tight_layout()
    return canvas


@figure("alike")
def alike_positions() -> Figure:
    """The cosine of each position with each other, for the formula and for MiniLM's table."""
    learned = minilm()[1].embeddings.position_embeddings.weight.detach()[:128]
    views = {"formula": sinusoids(128, learned.shape[1]), "learned (MiniLM)": learned}
    canvas, panels = plt.subplots(1, 2, figsize=(8.4, 3.3))
    for panel, (name, vectors) in zip(panels, views.items(), strict=True):
        unit = F.normalize(vectors - vectors.mean(0), dim=-1)  # what all positions share is taken off
        image = panel.imshow(unit @ unit.T, cmap="Greys")
        canvas.colorbar(image, ax=panel, label="cosine")
        panel.grid(False)
        panel.set(
            title=name,
            xlabel="position",
            ylabel="position",
            xticks=range(0, 128, 32),
            yticks=range(0, 128, 32),
        )
    canvas.tight_layout()
    return canvas


# ----------------------------------------------------------------------------- meaning and pooling


@torch.no_grad()
def token_vector(word: str, text: str) -> Tensor:
    """The last layer's vector of `word` in `text`: (n,)."""
    tokenizer, encoder = minilm()
    encoded = tokenizer(text, return_tensors="pt")
    place = encoded["input_ids"][0].tolist().index(vocabulary()[word])
    return encoder(**encoded).last_hidden_state[0, place]


@figure("meanings")
def meanings() -> Figure:
    canvas, panels = plt.subplots(1, 2, figsize=(8.6, 3.3))
    for panel, (word, senses) in zip(panels, USES.items(), strict=True):
        vectors = torch.stack([token_vector(word, text) for texts in senses.values() for text in texts])
        points = PCA(n_components=2).fit_transform(vectors.numpy())  # (8, n) -> (8, 2)
        meaning = [name for name, texts in senses.items() for _ in texts]
        sns.scatterplot(x=points[:, 0], y=points[:, 1], hue=meaning, style=meaning, s=130, ax=panel)
        panel.set(title=f"'{word}'", xlabel="first principal component", ylabel="second")
    canvas.tight_layout()
    return canvas


@torch.no_grad()
def pool_all(texts: list[str]) -> dict[str, Tensor]:
    """Three poolings of every layer, each vector of length 1: (layers + 1, texts, n)."""
    tokenizer, encoder = minilm()
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    states = torch.stack(encoder(**batch, output_hidden_states=True).hidden_states)  # (layers + 1, b, s, n)
    real = batch["attention_mask"].unsqueeze(-1)  # (b, s, 1)
    mean = (states * real).sum(2) / real.sum(1)
    pooled = {
        "mean": mean,
        "max": states.masked_fill(real == 0, -torch.inf).amax(2),
        "[CLS]": states[:, :, 0],
    }
    return {name: F.normalize(vectors.double(), dim=-1) for name, vectors in pooled.items()}


@figure("pooling")
def pooling() -> Figure:
    texts, partners = zip(*(line.split(" | ") for line in LINES.strip().splitlines()), strict=True)
    texts, partners = pool_all(list(texts)), pool_all(list(partners))
    canvas, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.0))
    for name, style in zip(texts, ("o-", "s--", "D-."), strict=True):
        table = texts[name] @ partners[name].transpose(1, 2)  # (layers + 1, 20, 20)
        strangers = ~torch.eye(table.shape[1], dtype=torch.bool)
        lead = (table.diagonal(dim1=1, dim2=2).unsqueeze(2) - table)[:, strangers]  # (layers + 1, 380)
        won = (lead > 1e-9).double() + 0.5 * (lead.abs() <= 1e-9).double()
        left.plot(100 * won.mean(-1), style, label=name)
        right.plot(table[:, strangers].mean(-1), style, label=name)
    left.axhline(50, color="grey", linestyle=":", label="a coin")
    left.set(ylabel="partner closer (%)", xlabel="layer (0 = the embeddings)")
    right.set(ylabel="mean cosine of strangers", xlabel="layer (0 = the embeddings)")
    left.legend(ncol=2, fontsize=11)
    canvas.tight_layout()
    return canvas


@figure("map")
def word_map() -> Figure:
    labels = [word for line in KINDS.values() for word in line.split()]
    kind = [name for name, line in KINDS.items() for _ in line.split()]
    chosen = F.normalize(word_rows()[[vocabulary()[word] for word in labels]], dim=-1)  # (49, n)
    shrink = TSNE(perplexity=12, early_exaggeration=2, init="pca", method="exact", random_state=0)
    points = shrink.fit_transform(chosen.numpy())  # (49, n) -> (49, 2)
    axes = plots.word_map(points, kind, "")
    for word, point in zip(labels, points, strict=True):
        axes.annotate(word, point, xytext=(4, 3), textcoords="offset points", fontsize=10)
    axes.figure.set_size_inches(8.8, 4.2)
    axes.margins(0.07)
    return axes.figure
