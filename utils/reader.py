"""A BERT that answers questions from a text: a new start-and-end head, its logits, answers in one go.

`finetuning.train` trains it on the rows of `answer_spans.encode`. Not for windows and spans (`answer_spans`).
"""

from collections.abc import Iterable

import numpy as np
import torch

from utils import finetuning, models
from utils.answer_spans import Answer, decode, encode
from utils.finetuning import POSITIONS, Recipe, batches_by_length
from utils.profile import device, seed_everything


def new_reader(recipe: Recipe, name: str | None = None) -> tuple:
    """Return (tokenizer, model): a BERT with a new start-and-end head, seeded and frozen as `recipe` says."""
    seed_everything(recipe.seed)
    rates = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), recipe.dropout)
    tokenizer, model = models.load("question-answering", name, **rates)
    return tokenizer, model.freeze(recipe.frozen_layers).to(device())


@torch.inference_mode()
def predict(model, rows: list[dict], batch_size: int = 32) -> list[np.ndarray]:
    """Return for each row its logits (2, sequence), start and end, in the order of `rows`."""
    model.eval()
    logits: list = [None] * len(rows)
    for indices in batches_by_length(rows, batch_size):
        batch = finetuning.collate([rows[index] for index in indices])
        output = model(**{name: batch[name].to(model.device) for name in batch if name not in POSITIONS})
        both = torch.stack([output.start_logits, output.end_logits], 1).float().cpu().numpy()
        for index, pair in zip(indices, both, strict=True):  # (batch, 2, sequence) -> (2, its own length)
            logits[index] = pair[:, : len(rows[index]["input_ids"])].copy()
    return logits


def answer(tokenizer, model, questions: Iterable[dict], max_length: int, stride: int) -> dict[str, Answer]:
    """Answer questions (`id`, `question`, `context`) in one go: `encode`, `predict`, `decode`."""
    asked = [{name: row[name] for name in ("id", "question", "context")} for row in questions]
    rows = encode(tokenizer, asked, max_length, stride)
    return decode(rows, predict(model, rows))
