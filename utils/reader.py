"""A BERT that reads: a new start-and-end head, its training, and answers to questions in one go.

Not for windows, targets and decoding (`answer_spans`), which notebook 07 builds step by step.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from utils import finetuning, models
from utils.answer_spans import Answer, decode, encode
from utils.finetuning import POSITIONS, Recipe, Result, batches_by_length
from utils.profile import device, seed_everything


def new_reader(recipe: Recipe, name: str | None = None) -> tuple:
    """Return (tokenizer, model): a BERT with a new start-and-end head, seeded and frozen as `recipe` says."""
    seed_everything(recipe.seed)
    rates = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), recipe.dropout)
    tokenizer, model = models.load("question-answering", name, **rates)
    frozen = [model.bert.embeddings, *model.bert.encoder.layer[: recipe.frozen_layers]]
    for module in frozen if recipe.frozen_layers else []:
        module.requires_grad_(False)
    return tokenizer, model.to(device())


def train(model, rows: list[dict], recipe: Recipe, folder: Path | None = None) -> Result:
    """Fine-tune `model` in place on the rows of `answer_spans.encode`; `finetuning.train` says the rest."""
    kept = ("input_ids", "token_type_ids", *POSITIONS)
    rows = [{name: row[name] for name in kept if name in row} for row in rows]
    return finetuning.train(model, rows, recipe, folder=folder)


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
