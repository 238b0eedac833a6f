"""Scores the classical baselines on the shop's data: what a model has to beat, and whether the data is too easy.

`tools/cards.py` writes them into the cards, and tests hold them in the ranges that BOUNDS says.
"""

from collections import Counter

import numpy as np
from datasets import Dataset
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline

from utils import data, entities, question_answering, records, text_metrics
from utils.schemas import SPLITS

BOUNDS = {  # in percent; above them the texts are too easy, below them they teach nothing
    "sentiment": (65, 90),
    "team": (55, 88),
    "handbook F1": (0, 45),
    "entities F1": (0, 70),
}


def fit(texts: list[str], labels: list):
    """Train TF-IDF (single words, sublinear) with logistic regression (C = 10)."""
    model = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10, max_iter=1000))
    return model.fit(texts, labels)


def sentiment(size: int | None, seed: int = 0) -> tuple[float, float]:
    """Return the accuracy on validation and test, trained on `size` English reviews (None: all)."""
    reviews = data.load_classification("reviews")
    train, validation, test = (data.where(reviews[split], language="en") for split in SPLITS)
    train = data.sample(train, size or len(train), seed)
    model = fit(list(train["text"]), list(train["label"]))
    validation, test = (100 * model.score(list(p["text"]), list(p["label"])) for p in (validation, test))
    return validation, test


def team(name: str = "tickets", whole_record: bool = False) -> float:
    """Return the accuracy of the team on test, from title and description or from all fields."""
    parts = data.load_classification(name)
    texts = {
        s: list(map(records.as_text, parts[s])) if whole_record else list(parts[s]["text"]) for s in parts
    }
    model = fit(texts["train"], list(parts["train"]["label"]))
    return 100 * model.score(texts["test"], list(parts["test"]["label"]))


def completeness(name: str = "tickets") -> dict[str, float]:
    """Return the average precision with which test tickets that fall short are found.

    `chance` is the share of tickets that fall short; each is measured with natural shortfalls alone
    and with all. TF-IDF is trained on all of train, the injected ones included.
    """
    parts = data.load(name)
    model = fit(
        list(map(records.as_text, parts["train"])), [row == "no" for row in parts["train"]["complete"]]
    )
    result = {}
    for kind, rows in (("natural", natural(parts["test"])), ("all", parts["test"])):
        truth = [value == "no" for value in rows["complete"]]
        result[f"chance, {kind}"] = 100 * float(np.mean(truth))
        scores = {
            "rules": list(map(records.missing_score, rows)),
            "TF-IDF": model.predict_proba(list(map(records.as_text, rows)))[:, 1],
        }
        for method, score in scores.items():
            result[f"{method}, {kind}"] = 100 * float(average_precision_score(truth, score))
    return result


def natural(rows: Dataset) -> Dataset:
    """Leave out the records whose shortfalls were injected."""
    return data.where(rows, origin="natural")


def handbook(split: str = "test") -> dict[str, float]:
    """Return the scores of the baseline that counts shared words."""
    rows = data.load("handbook")[split]
    answers = {
        row["id"]: question_answering.most_shared_words(row["question"], row["context"]) for row in rows
    }
    return question_answering.evaluate(answers, rows)


def silence(split: str = "test") -> dict[str, float]:
    """Return the scores of never answering."""
    rows = data.load("handbook")[split]
    return question_answering.evaluate(dict.fromkeys(rows["id"], ""), rows)


def entity_dictionary(split: str = "test") -> dict[str, float]:
    """Return precision, recall and F1 of the dictionary of the training sentences."""
    parts = data.load("entities")
    book = entities.Dictionary(parts["train"]["text"], parts["train"]["entities"])
    return entities.scores(list(map(book.predict, parts[split]["text"])), list(parts[split]["entities"]))


def unseen_share(split: str = "test") -> float:
    """Return the percentage of different entity surface forms of `split` that train does not have."""
    parts = data.load("entities")
    surfaces = {
        name: {row["text"][s["start"] : s["end"]].lower() for row in part for s in row["entities"]}
        for name, part in parts.items()
    }
    return 100 * len(surfaces[split] - surfaces["train"]) / len(surfaces[split])


def word_by_word(split: str = "test") -> dict[str, float]:
    """Return BLEU and the share of exact sentences, in percent, of a dictionary that knows no grammar.

    Each English word becomes the French word whose sentences are most nearly the same ones (Dice, 1945).
    """
    parts = data.load("translations")
    together, english, french = Counter(), Counter(), Counter()
    for row in parts["train"]:
        words, others = set(row["en"].split()), set(row["fr"].split())
        english.update(words)
        french.update(others)
        together.update((word, other) for word in words for other in others)
    best: dict[str, tuple[float, str]] = {}
    for (word, other), count in sorted(together.items()):
        likeness = 2 * count / (english[word] + french[other])
        best[word] = max(best.get(word, (0.0, "")), (likeness, other))
    written = [[best[word][1] for word in row["en"].split()] for row in parts[split]]
    wanted = [row["fr"].split() for row in parts[split]]
    exact = [one == two for one, two in zip(written, wanted, strict=True)]
    return {"bleu": text_metrics.bleu(written, wanted), "exact": 100 * float(np.mean(exact))}
