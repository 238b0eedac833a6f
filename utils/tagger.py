"""A BERT that marks entities: a new head with one label a token, its logits, the spans of texts in one go.

`finetuning.train` trains it on the rows of `entities.encode`. Not for tags and spans themselves (`entities`).
"""

from collections.abc import Sequence

import numpy as np
import torch

from utils import entities, finetuning, models
from utils.entities import Span
from utils.finetuning import Recipe, batches_by_length
from utils.profile import device, seed_everything


def new_tagger(labels: Sequence[str], recipe: Recipe, name: str | None = None) -> tuple:
    """Return (tokenizer, model): a BERT with a new head for `labels`, seeded and frozen as `recipe` says."""
    seed_everything(recipe.seed)
    tokenizer, model = models.load(
        "token-classification",
        name,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        hidden_dropout_prob=recipe.dropout,
        attention_probs_dropout_prob=recipe.dropout,
    )
    return tokenizer, model.freeze(recipe.frozen_layers).to(device())


@torch.inference_mode()
def predict(model, rows: list[dict], batch_size: int = 32) -> list[np.ndarray]:
    """Return for each row its logits (sequence, labels), in the order of `rows`."""
    model.eval()
    logits: list = [None] * len(rows)
    for indices in batches_by_length(rows, batch_size):
        batch = finetuning.collate([{"input_ids": rows[index]["input_ids"]} for index in indices])
        output = model(**{name: tensor.to(model.device) for name, tensor in batch.items()}).logits
        for index, scored in zip(indices, output.float().cpu().numpy(), strict=True):
            logits[index] = scored[: len(rows[index]["input_ids"])].copy()  # without the padding
    return logits


def tag(tokenizer, model, texts: Sequence[str], max_length: int = 128) -> list[list[Span]]:
    """Return the entities of each text: `entities.encode`, `predict`, `entities.decode`."""
    labels = [model.config.id2label[number] for number in range(model.config.num_labels)]
    rows = [{"text": text} for text in texts]
    windows = entities.encode(tokenizer, rows, labels, max_length)
    return entities.decode(rows, windows, predict(model, windows), labels)
