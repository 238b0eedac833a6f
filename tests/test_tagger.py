"""A tagger on a tiny BERT: what it learns, what its logits belong to, and the spans of whole texts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from utils import entities, finetuning, models, tagger
from utils.finetuning import Recipe

TINY = Recipe(epochs=12, batch_size=4, learning_rate=3e-3, head_learning_rate=1e-2, max_length=32)
LABELS = entities.label_names(["thing"])


def lessons() -> list[dict]:
    """Two words are things, one of them of two words."""
    rows = []
    for text, thing in (
        ("the lamp is good", "lamp"),
        ("the chair is bad", "chair"),
        ("the red chair is good", "red chair"),
        ("it is good", ""),
    ):
        spans = [{"start": text.index(thing), "end": text.index(thing) + len(thing), "type": "thing"}]
        rows.append({"text": text, "entities": spans if thing else []})
    return rows


def test_labels_of_tokens_are_padded_with_minus_100_and_those_of_texts_are_not():
    rows = [{"input_ids": [1, 2, 3], "token_labels": [-100, 1, 0]}, {"input_ids": [1], "token_labels": [2]}]
    assert finetuning.collate(rows)["labels"].tolist() == [[-100, 1, 0], [2, -100, -100]]
    several = [{"input_ids": [1, 2], "labels": [0, 1]}, {"input_ids": [1], "labels": [1, 1]}]
    assert finetuning.collate(several)["labels"].tolist() == [[0, 1], [1, 1]]


def test_a_tiny_bert_learns_its_lessons_by_heart(tiny_bert):
    tokenizer, model = finetuning.new_model("token-classification", TINY, LABELS, str(tiny_bert))
    rows = entities.encode(tokenizer, lessons(), LABELS, 32, 4)
    result = finetuning.train(model, rows, TINY)
    assert [entry["epoch"] for entry in result.history] == list(range(1, 13))
    assert result.history[-1]["training loss"] < result.history[0]["training loss"] / 3
    found = tagger.tag(tokenizer, model, [row["text"] for row in lessons()], 32 + 4)
    assert found == [row["entities"] for row in lessons()]


def test_logits_do_not_depend_on_the_batch_and_come_in_the_order_of_the_rows(tiny_bert):
    tokenizer, model = finetuning.new_model("token-classification", TINY, LABELS, str(tiny_bert))
    texts = [{"text": "the lamp is good " * number} for number in (2, 1, 3)]
    rows = entities.encode(tokenizer, texts, LABELS, 40, 4)
    together, alone = tagger.predict(model, rows, 3), [tagger.predict(model, [row])[0] for row in rows]
    for row, one, other in zip(rows, together, alone, strict=True):
        assert one.shape == (len(row["input_ids"]), len(LABELS))
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_recipe_for_a_deeper_bert_freezes_half_of_a_shallow_one(tiny_bert):
    for asked, frozen in ((0, 0), (1, 1), (2, 2), (3, 1)):  # it has two layers
        recipe = replace(TINY, frozen_layers=asked)
        _, model = finetuning.new_model("token-classification", recipe, LABELS, str(tiny_bert))
        assert model.frozen_layers == frozen
        learns = [any(p.requires_grad for p in layer.parameters()) for layer in model.bert.encoder.layer]
        assert learns == [number >= frozen for number in range(2)]


def test_the_seed_makes_the_head_and_frozen_layers_stay(tiny_bert):
    recipe = replace(TINY, epochs=1, frozen_layers=1)
    weights = []
    for _ in range(2):
        tokenizer, model = finetuning.new_model("token-classification", recipe, LABELS, str(tiny_bert))
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        finetuning.train(model, entities.encode(tokenizer, lessons(), LABELS, 32, 4), recipe)
        weights.append(model.state_dict())
        changed = {name for name in before if not torch.equal(before[name], weights[-1][name])}
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert "classifier.weight" in changed and any("layer.1." in name for name in changed)
    assert not any("embeddings" in name or "layer.0." in name for name in changed)


@pytest.mark.parametrize("text", ["", " \t", "\u200b", "🙂"])
def test_a_text_without_words_has_no_entity_and_is_no_error(tiny_bert, text):
    tokenizer, model = finetuning.new_model("token-classification", TINY, LABELS, str(tiny_bert))
    assert all(text[span["start"] : span["end"]] for span in tagger.tag(tokenizer, model, [text], 40)[0])


@pytest.mark.parametrize("kind", ["question-answering", "token-classification"])
def test_frozen_states_computed_once_give_the_same_logits_loss_and_gradients(tiny_bert, kind):
    torch.manual_seed(0)
    tokenizer, model = models.load(kind, str(tiny_bert))
    model.freeze(1).eval()
    coded = tokenizer(["the lamp", "it is"], ["red chair is good", "bad"], padding=True, return_tensors="pt")
    targets = {"start_positions": torch.tensor([3, 0]), "end_positions": torch.tensor([4, 0])}
    if kind == "token-classification":
        targets = {
            "labels": torch.randint(-1, 2, coded["input_ids"].shape).where(coded["attention_mask"] == 1, -100)
        }
        targets["labels"][targets["labels"] < 0] = -100
    once = model.lower(coded["input_ids"], coded["attention_mask"], coded["token_type_ids"])
    found = []
    for given in (dict(coded), {"hidden_states": once, "attention_mask": coded["attention_mask"]}):
        output = model(**given, **targets)
        learning = [p for p in model.parameters() if p.requires_grad]
        found.append((output, torch.autograd.grad(output.loss, learning, allow_unused=True)))
    (one, slopes), (other, again) = found
    assert one.loss.item() == pytest.approx(other.loss.item(), abs=1e-5)
    visible = coded["attention_mask"] == 1
    for name in ("start_logits", "end_logits") if kind == "question-answering" else ("logits",):
        assert torch.allclose(one[name][visible], other[name][visible], atol=1e-5)
    if kind == "token-classification":  # a span's softmax also runs over padding, of which nothing is asked
        for mine, theirs in zip(slopes, again, strict=True):
            assert (mine is None) == (theirs is None) and (
                mine is None or torch.allclose(mine, theirs, atol=1e-5)
            )
