"""A BERT that answers questions from a text: its logits, and answers in one go.

`finetuning.new_model("question-answering", recipe)` makes one and `finetuning.train` trains it on the rows
of `answer_spans.encode`. Not for windows and spans (`answer_spans`).
"""

from collections.abc import Iterable

import numpy as np
import torch

from utils.answer_spans import Answer, decode, encode
from utils.finetuning import evaluation_batches


@torch.inference_mode()
def predict(model, rows: list[dict], batch_size: int = 32) -> list[np.ndarray]:
    """Return for each row its logits (2, sequence), start and end, in the order of `rows`."""
    logits: list = [None] * len(rows)
    for indices, batch in evaluation_batches(model, rows, batch_size):
        output = model(**batch)
        both = torch.stack([output.start_logits, output.end_logits], 1).float().cpu().numpy()
        for index, pair in zip(indices, both, strict=True):  # (batch, 2, sequence) -> (2, its own length)
            logits[index] = pair[:, : len(rows[index]["input_ids"])].copy()
    return logits


def answer(tokenizer, model, questions: Iterable[dict], max_length: int, stride: int) -> dict[str, Answer]:
    """Answer questions (`id`, `question`, `context`) in one go: `encode`, `predict`, `decode`."""
    asked = [{name: row[name] for name in ("id", "question", "context")} for row in questions]
    rows = encode(tokenizer, asked, max_length, stride)
    return decode(rows, predict(model, rows))
