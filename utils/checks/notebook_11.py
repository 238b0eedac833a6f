"""The exercises of notebook 11."""

import re
from types import SimpleNamespace

import numpy as np
import torch

from utils.checks import Exercise

# ------------------------------------------------------------------------------ 11.1 the four steps


@torch.no_grad()
def classify(text: str, tokenizer, model) -> dict:
    inputs = tokenizer(text, truncation=True, return_tensors="pt")
    logits = model(**inputs).logits
    probabilities = torch.softmax(logits, dim=-1)[0]
    best = int(probabilities.argmax())
    return {"label": model.config.id2label[best], "score": float(probabilities[best])}


def _tokenizer(text, return_tensors=None, **options):
    if return_tensors != "pt":
        raise TypeError('the model needs tensors: call tokenizer(text, return_tensors="pt")')
    return {"input_ids": torch.tensor([[101, len(text), 102]]), "attention_mask": torch.ones(1, 3)}


class _Model:
    config = SimpleNamespace(id2label={0: "negative", 1: "neutral", 2: "positive"})

    def __call__(self, input_ids=None, attention_mask=None, **more):
        if attention_mask is None:
            raise TypeError(
                "the attention mask is missing: pass everything that the tokenizer gave, model(**inputs)"
            )
        long = float(input_ids[0, 1] > 10)
        return SimpleNamespace(logits=torch.tensor([[2.0 - long, 0.0, 3.0 * long]]))


def _classify_problem(answer) -> str | None:
    for text, label, score, logit in (
        ("Broken.", "negative", 0.7870, 2.0),
        ("I love this lamp!", "positive", 0.8438, 3.0),
    ):
        found = answer(text, _tokenizer, _Model())
        if not isinstance(found, dict) or set(found) != {"label", "score"}:
            return 'it must give a dictionary with exactly "label" and "score".'
        if isinstance(found["label"], (int, torch.Tensor)):
            return "the label is still a number: look its name up in model.config.id2label."
        if found["label"] != label:
            return f"the highest logit belongs to {label!r}, and your label is {found['label']!r}."
        value = float(found["score"])
        if abs(value - logit) < 1e-3:
            return "the score is still a logit: softmax turns logits into probabilities."
        if abs(value - 1) < 1e-6:
            return "the score is 1: your softmax runs over the texts; it must run over the classes, the last axis."
        if abs(value - score) > 1e-3:
            return f"for logits {'2, 0, 0' if label == 'negative' else '1, 0, 3'} the score must be {score:.3f}, not {value:.3f}."
    return None


def _with_logit(text, tokenizer, model):
    logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
    return {"label": model.config.id2label[int(logits.argmax())], "score": float(logits.max())}


def _with_number(text, tokenizer, model):
    p = torch.softmax(model(**tokenizer(text, return_tensors="pt")).logits, -1)[0]
    return {"label": int(p.argmax()), "score": float(p.max())}


def _over_texts(text, tokenizer, model):
    p = torch.softmax(model(**tokenizer(text, return_tensors="pt")).logits, 0)[0]
    logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
    return {"label": model.config.id2label[int(logits.argmax())], "score": float(p.max())}


# ---------------------------------------------------------------------------- 11.2 safe to load?


def is_safe(options: dict) -> bool:
    pinned = re.fullmatch("[0-9a-f]{40}", options.get("revision") or "") is not None
    no_code = options.get("trust_remote_code") is False
    no_pickle = options.get("use_safetensors") is True
    return pinned and no_code and no_pickle


def _safe_problem(answer) -> str | None:
    commit = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
    good = {"revision": commit, "trust_remote_code": False, "use_safetensors": True}
    if answer(good) is not True:
        return "a full commit id, no remote code and safetensors: that call is safe, and yours must say True."
    without = {name: {key: value for key, value in good.items() if key != name} for name in good}
    trials = [
        (good | {"revision": "main"}, 'you let the branch "main" pass: tomorrow it may hold another model.'),
        (without["revision"], "you let a call without a revision pass: it takes whatever is newest."),
        (good | {"revision": "v1.0"}, 'you let the tag "v1.0" pass: its owner can move a tag.'),
        (
            good | {"revision": commit[:7]},
            "you let a shortened commit id pass: only all 40 digits name one commit for good.",
        ),
        (
            good | {"trust_remote_code": True},
            "you let trust_remote_code=True pass: it runs Python from the repository on your machine.",
        ),
        (
            without["trust_remote_code"],
            "trust_remote_code is not set in one call: it would stop and ask y/N, and somebody types y.",
        ),
        (good | {"use_safetensors": False}, "you let a pickle pass: use_safetensors must be True."),
        (
            without["use_safetensors"],
            "use_safetensors is not set in one call: where there is no such file, the pickle is loaded.",
        ),
    ]
    return next((sentence for options, sentence in trials if answer(options)), None)


def _any_revision(options):
    return (
        "revision" in options
        and options.get("trust_remote_code") is False
        and options.get("use_safetensors") is True
    )


def _forty_letters(options):
    return (
        len(options.get("revision", "")) == 40
        and not options.get("trust_remote_code")
        and options.get("use_safetensors") is True
    )


def _only_pinned(options):
    return len(options.get("revision", "")) == 40


# --------------------------------------------------------------------------- 11.3 the nearest label


def nearest_label(texts: np.ndarray, labels: np.ndarray) -> np.ndarray:
    texts = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    labels = labels / np.linalg.norm(labels, axis=1, keepdims=True)
    return (texts @ labels.T).argmax(1)


def _nearest_problem(answer) -> str | None:
    texts = np.array([[2.0, 0.2], [0.1, 1.0], [3.0, 1.0], [1.0, 1.2]])
    labels = np.array([[1.0, 0.0], [0.0, 30.0], [-1.0, -1.0]])
    found = np.asarray(answer(texts, labels))
    if found.shape == (3,):
        return "you give one number for each label; give one for each text: the arg-max over the labels."
    if found.shape != (4,):
        return f"for 4 texts and 3 labels it gives shape {found.shape}; one number for each text is needed, shape (4,)."
    if found.tolist() == [1, 1, 1, 1]:
        return "a label wins because its vector is long: divide every vector by its length first, so that the angle alone counts."
    if found.tolist() == [2, 2, 2, 2]:
        return "each text got the label that is farthest from it: take the highest cosine."
    if found.tolist() != [0, 1, 0, 1]:
        return f"the nearest labels are 0, 1, 0, 1, and yours are {', '.join(map(str, found.tolist()))}."
    return None


EXERCISES = {
    "11.1": Exercise(
        "a pipeline by hand",
        classify,
        _classify_problem,
        ((_with_logit, "logit"), (_with_number, "id2label"), (_over_texts, "over the texts")),
    ),
    "11.2": Exercise(
        "safe to load?",
        is_safe,
        _safe_problem,
        ((_any_revision, "main"), (_forty_letters, "y/N"), (_only_pinned, "remote_code")),
    ),
    "11.3": Exercise(
        "the nearest label",
        nearest_label,
        _nearest_problem,
        (
            (lambda texts, labels: (texts @ labels.T).argmax(1), "long"),
            (lambda texts, labels: (texts @ labels.T).argmax(0), "each label"),
            (lambda texts, labels: _cosines(texts, labels).argmin(1), "farthest"),
        ),
    ),
}


def _cosines(texts, labels):
    return (texts @ labels.T) / np.outer(np.linalg.norm(texts, axis=1), np.linalg.norm(labels, axis=1))
