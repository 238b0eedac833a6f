"""Fine-tuning, set up once for every task: transformers' Trainer with the course's recipe.

What makes the recipe fast on a laptop: no padding beyond the longest text of a batch, batches of
similar length, no dropout, and frozen lower layers whose output is computed once, not every epoch.
Not for metrics or decoding of one task; those live in the task's own module.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import extract_model_from_parallel
from datasets import Dataset
from sklearn.metrics import accuracy_score, f1_score
from torch.nn.utils.rnn import pad_sequence
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from utils import models
from utils.checkpoints import claim, last_good_checkpoint
from utils.classifier import mean_pool
from utils.profile import Profile, device, dtype, get_profile, seed_everything

INPUTS = ("input_ids", "token_type_ids")
POSITIONS = ("start_positions", "end_positions")  # what question answering has in place of labels


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune. Lengths in word pieces; `warmup` is the share of steps with a rising rate."""

    epochs: int = 2
    batch_size: int = 16
    learning_rate: float = 2e-4
    head_learning_rate: float = 1e-3
    frozen_layers: int = 0
    max_length: int = 128
    warmup: float = 0.1
    weight_decay: float = 0.0
    dropout: float = 0.0
    patience: int = 0  # stop after so many epochs without a better validation loss; 0: never
    seed: int = 0

    @classmethod
    def from_profile(cls, profile: Profile | None = None, **changes) -> "Recipe":
        """Take the profile's knobs, then `changes`. All layers learn unless `frozen_layers` is given."""
        profile = profile or get_profile()
        shared = ("epochs", "batch_size", "learning_rate", "head_learning_rate", "max_length")
        return replace(cls(**{name: getattr(profile, name) for name in shared}), **changes)


@dataclass
class Result:
    """What a run leaves: the loss and validation scores by epoch, seconds, and the folder (if any)."""

    seconds: float
    history: list[dict] = field(default_factory=list)
    folder: Path | None = None


# ---------------------------------------------------------------------------------- text to tensors


def encode(tokenizer, dataset: Dataset, max_length: int) -> list[dict]:
    """Turn `text` (and `label`, if it is there) into rows of `input_ids` (and `labels`), not padded."""
    pieces = tokenizer(list(dataset["text"]), truncation=True, max_length=max_length)["input_ids"]
    if "label" not in dataset.column_names:
        return [{"input_ids": ids} for ids in pieces]
    return [{"input_ids": ids, "labels": label} for ids, label in zip(pieces, dataset["label"], strict=True)]


def within_positions(model, max_length: int) -> int:
    """Return `max_length`, or the number of positions that `model` has where that is smaller."""
    return min(max_length, model.config.max_position_embeddings)


def collate(rows: list[dict]) -> dict[str, torch.Tensor]:
    """Pad rows to the longest of them: `input_ids` and `attention_mask` of shape (batch, sequence).

    Rows that carry `hidden_states` (length, hidden) give (batch, sequence, hidden) instead of ids.
    `token_labels` give `labels` (batch, sequence), -100 behind the end: cross-entropy leaves that out.
    """
    ids = [torch.as_tensor(row["input_ids"]) for row in rows]
    batch = {"attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)}
    if "hidden_states" in rows[0]:
        batch["hidden_states"] = pad_sequence([row["hidden_states"] for row in rows], batch_first=True)
    else:
        batch["input_ids"] = pad_sequence(ids, batch_first=True)  # [PAD] has id 0
    if "token_type_ids" in rows[0]:
        kinds = [torch.as_tensor(row["token_type_ids"]) for row in rows]
        batch["token_type_ids"] = pad_sequence(kinds, batch_first=True)
    for name in POSITIONS:
        if name in rows[0]:
            batch[name] = torch.tensor([row[name] for row in rows])
    if "token_labels" in rows[0]:
        labels = [torch.as_tensor(row["token_labels"]) for row in rows]
        batch["labels"] = pad_sequence(labels, batch_first=True, padding_value=-100)
    elif "labels" in rows[0]:
        batch["labels"] = torch.tensor(np.array([row["labels"] for row in rows]))
    return batch


def batches_by_length(rows: list[dict], batch_size: int) -> list[list[int]]:
    """Return the indices of `rows`, sorted by length and cut into batches: hardly any padding."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]["input_ids"]))
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def evaluation_batches(model, rows: list[dict], batch_size: int) -> Iterator[tuple[list[int], dict]]:
    """Put `model` in evaluation mode and yield (indices of rows, their batch on the model's device).

    A batch holds what every BERT reads and no targets: ids, mask and, where the rows have them, segments.
    """
    model.eval()
    for indices in batches_by_length(rows, batch_size):
        inputs = [{name: rows[index][name] for name in INPUTS if name in rows[index]} for index in indices]
        yield indices, {name: tensor.to(model.device) for name, tensor in collate(inputs).items()}


@torch.inference_mode()
def predict(model, rows: list[dict], batch_size: int = 64) -> np.ndarray:
    """Return the logits (rows, labels) in the order of `rows`."""
    logits = np.zeros((len(rows), model.config.num_labels), dtype=np.float32)
    for indices, batch in evaluation_batches(model, rows, batch_size):
        logits[indices] = model(**batch).logits.float().cpu().numpy()
    return logits


@torch.inference_mode()
def embed(model, rows: list[dict], batch_size: int = 64, pool: Callable | None = None) -> np.ndarray:
    """Return one vector a row of an encoder, (rows, hidden), in the order of `rows`: the mean of its tokens.

    `pool` makes another one of (hidden states of all layers, attention mask), as `embedding.pool` does.
    """
    vectors = np.zeros((len(rows), model.config.hidden_size), dtype=np.float32)
    for indices, batch in evaluation_batches(model, rows, batch_size):
        output, mask = model(**batch, output_hidden_states=pool is not None), batch["attention_mask"]
        pooled = pool(output.hidden_states, mask) if pool else mean_pool(output.last_hidden_state, mask)
        vectors[indices] = pooled.float().cpu().numpy()
    return vectors


@torch.no_grad()
def with_lower_states(model, rows: list[dict], batch_size: int = 64) -> list[dict]:
    """Add to each row the output of the model's frozen part, `hidden_states` (length, hidden).

    The frozen part gives the same output in every epoch, so it is computed once here.
    """
    extended = [dict(row) for row in rows]
    for indices, batch in evaluation_batches(model, rows, batch_size):
        states = model.lower(**batch).cpu()
        for position, index in enumerate(indices):
            extended[index]["hidden_states"] = states[position, : len(rows[index]["input_ids"])].clone()
    return extended


# ------------------------------------------------------------------------------------------ training


def new_model(
    task: str, recipe: Recipe, labels: Sequence[str] = (), name: str | None = None, **config
) -> tuple:
    """Return (tokenizer, model): a BERT with a new head for `task`, seeded and frozen as `recipe` says.

    A recipe that would freeze more layers than this BERT has freezes half of them.

    Args:
        task: "classification", "question-answering" or "token-classification".
        labels: what the head tells apart; not for question answering.
        config: more of what `models.load` takes.
    """
    seed_everything(recipe.seed)
    rates = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), recipe.dropout)
    if labels:
        config["id2label"] = dict(enumerate(labels))
        config["label2id"] = {label: index for index, label in enumerate(labels)}
    tokenizer, model = models.load(task, name, **rates, **config)
    layers = model.config.num_hidden_layers
    frozen = recipe.frozen_layers if recipe.frozen_layers <= layers else layers // 2
    return tokenizer, model.freeze(frozen).to(device())


def new_classifier(
    labels: Sequence[str], recipe: Recipe, name: str | None = None, multi_label: bool = False
) -> tuple:
    """Return (tokenizer, model) as `new_model` does, for whole texts; `multi_label`: several labels a text."""
    kind = "multi_label_classification" if multi_label else "single_label_classification"
    return new_model("classification", recipe, labels, name, problem_type=kind)


def train(
    model, rows: list[dict], recipe: Recipe, validation: list[dict] | None = None, folder: Path | None = None
) -> Result:
    """Fine-tune `model` in place on `rows`, with a live line of progress, and return what happened.

    With `folder`, a checkpoint is written after each epoch, the best epoch's weights are loaded at
    the end, and a run that was cut off goes on from its last good checkpoint.

    Raises:
        CheckpointError: `folder` holds a run with another recipe or another number of rows.
        ValueError: the recipe has patience, and there are no validation rows.
    """
    if recipe.patience and validation is None:
        raise ValueError("patience needs validation rows: pass them, or set patience=0.")
    if folder is not None:
        folder = claim(Path(folder), recipe.__dict__ | {"rows": len(rows)})
    start = time.perf_counter()
    if recipe.frozen_layers and hasattr(model, "lower"):
        rows = with_lower_states(model, rows)
    with tempfile.TemporaryDirectory() as scratch, models.quiet():
        trainer = Trainer(
            model=model,
            args=_arguments(
                recipe, folder or Path(scratch), validation is not None, folder is not None, len(rows)
            ),
            data_collator=collate,
            train_dataset=rows,
            eval_dataset=validation,
            compute_metrics=_scores if "labels" in rows[0] else None,  # of tokens only the loss is told
            callbacks=[ProgressLine()],
            optimizers=(optimizer(model, recipe), None),
        )
        trainer.remove_callback(PrinterCallback)
        if recipe.patience:
            trainer.add_callback(EarlyStoppingCallback(recipe.patience))
        trainer.train(resume_from_checkpoint=last_good_checkpoint(folder) if folder else None)
    in_full(model).eval()
    return Result(time.perf_counter() - start, _by_epoch(trainer.state.log_history), folder)


def in_full(model):
    """Take off `model` what mixed-precision training leaves around its `forward`, and return it.

    `Trainer` and Accelerate wrap a model, so that it computes in bfloat16 or float16 even afterwards,
    and gives other logits than after a reload.
    """
    return extract_model_from_parallel(model, keep_fp32_wrapper=False)


def optimizer(model, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, 2019) with one rate for the encoder and a higher one for the new head."""
    encoder = [p for name, p in model.named_parameters() if name.startswith("bert.") and p.requires_grad]
    head = [p for name, p in model.named_parameters() if not name.startswith("bert.")]
    groups = [
        {"params": encoder, "lr": recipe.learning_rate},
        {"params": head, "lr": recipe.head_learning_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, fused=True)


def _arguments(recipe: Recipe, folder: Path, evaluate: bool, save: bool, rows: int) -> TrainingArguments:
    steps = recipe.epochs * -(-rows // recipe.batch_size)
    number = dtype()
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=64,
        learning_rate=recipe.learning_rate,
        warmup_steps=int(recipe.warmup * steps),
        train_sampling_strategy="group_by_length",
        bf16=number == torch.bfloat16,
        fp16=number == torch.float16,
        use_cpu=device().type == "cpu",
        dataloader_pin_memory=device().type == "cuda",
        seed=recipe.seed,
        logging_steps=max(1, steps // 40),
        eval_strategy="epoch" if evaluate else "no",
        save_strategy="epoch" if save else "no",
        save_total_limit=2,
        load_best_model_at_end=save and evaluate,
        metric_for_best_model="eval_loss" if evaluate else None,
        greater_is_better=False,
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,
    )


def _scores(prediction) -> dict[str, float]:
    logits, labels = prediction.predictions, prediction.label_ids
    if labels.ndim == 2:  # multi-label: each label is its own yes or no
        return {"f1": f1_score(labels, logits > 0, average="micro", zero_division=0)}
    guesses = logits.argmax(-1)
    return {"accuracy": accuracy_score(labels, guesses), "f1": f1_score(labels, guesses, average="macro")}


def _by_epoch(log: list[dict]) -> list[dict]:
    """Join the Trainer's log to one row an epoch: mean training loss and, if any, the validation scores."""
    losses: dict[int, list[float]] = {}
    scores: dict[int, dict] = {}
    for entry in log:
        epoch = math.ceil(entry.get("epoch", 0) - 1e-6)
        if "loss" in entry:
            losses.setdefault(epoch, []).append(entry["loss"])
        elif "eval_loss" in entry:
            scores[epoch] = {
                f"validation {key[5:]}": entry[key]
                for key in ("eval_loss", "eval_accuracy", "eval_f1")
                if key in entry
            }
    return [
        {"epoch": epoch, "training loss": float(np.mean(losses[epoch])) if epoch in losses else None}
        | scores.get(epoch, {})
        for epoch in sorted(losses | scores)
    ]


class ProgressLine(TrainerCallback):
    """One line that is rewritten while a model trains: step, loss, seconds left."""

    def on_train_begin(self, args, state, control, **kwargs):
        self.start, self.shown, self.loss, self.handle = time.perf_counter(), 0.0, None, None

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.loss = (logs or {}).get("loss", self.loss)

    def on_step_end(self, args, state, control, **kwargs):
        if time.perf_counter() - self.shown > 0.5:
            self._show(state, final=False)

    def on_train_end(self, args, state, control, **kwargs):
        self._show(state, final=True)

    def _show(self, state, final: bool):
        self.shown = time.perf_counter()
        seconds = self.shown - self.start
        left = seconds / max(1, state.global_step) * (state.max_steps - state.global_step)
        loss = f", loss {self.loss:.3f}" if self.loss is not None else ""
        end = f"done in {seconds:.0f} s" if final else f"{left:.0f} s left"
        self._write(f"step {state.global_step} of {state.max_steps}{loss}, {end}", final)

    def _write(self, text: str, final: bool):
        try:
            from IPython import display, get_ipython

            in_notebook = hasattr(get_ipython(), "kernel")
        except ImportError:
            in_notebook = False
        if not in_notebook:
            print(f"\r{text:<70}", end="\n" if final else "", flush=True)
        elif self.handle is None:
            self.handle = display.display(display.Pretty(text), display_id=True)
        else:
            self.handle.update(display.Pretty(text))
