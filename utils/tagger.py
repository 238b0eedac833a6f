"""A BERT that marks entities: its logits, and the spans of texts in one go.

`finetuning.new_model("token-classification", recipe, labels)` makes one and `finetuning.train` trains it on
the rows of `entities.encode`. Not for tags and spans themselves (`entities`).
"""

from collections.abc import Sequence

import numpy as np
import torch

from utils import entities
from utils.entities import Span
from utils.finetuning import evaluation_batches


@torch.inference_mode()
def predict(model, rows: list[dict], batch_size: int = 32) -> list[np.ndarray]:
    """Return for each row its logits (sequence, labels), in the order of `rows`."""
    logits: list = [None] * len(rows)
    for indices, batch in evaluation_batches(model, rows, batch_size):
        output = model(**batch).logits
        for index, scored in zip(indices, output.float().cpu().numpy(), strict=True):
            logits[index] = scored[: len(rows[index]["input_ids"])].copy()  # without the padding
    return logits


def tag(tokenizer, model, texts: Sequence[str], max_length: int = 128) -> list[list[Span]]:
    """Return the entities of each text: `entities.encode`, `predict`, `entities.decode`."""
    labels = [model.config.id2label[number] for number in range(model.config.num_labels)]
    rows = [{"text": text} for text in texts]
    windows = entities.encode(tokenizer, rows, labels, max_length)
    return entities.decode(rows, windows, predict(model, windows), labels)
