"""Fine-tunes a small BERT on GLUE tasks and prints mean and spread over seeds beside published ones.

    HF_HUB_CACHE=… HF_HUB_OFFLINE=1 python benchmarks/checkpoint.py --seeds 3 --json build/bench/checkpoint.json

All layers learn; the same settings for every task but the number of epochs. A text is the mean of its
tokens. Of a pair each text is read alone, and the head compares the two means u and v as (u, v, |u − v|, u · v)
(Reimers and Gurevych, 2019): read together, as the published models do, so small a BERT learns little from
a few thousand pairs. As in the checkpoint's pre-training, Muon moves the matrices of the layers and AdamW the
rest. Against over-fitting 15% of the tokens become [MASK], others in each epoch, and what is scored is a
moving average of the weights. Scores are those of the last step on the dev split (MRPC: its original test
split). Published figures are Google's for GLUE's own test server, each the best of twelve settings.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from race import write
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score, matthews_corrcoef
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import BertModel, BertPreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from utils import data, models
from utils.classifier import mean_pool
from utils.finetuning import batches_by_length, collate, predict, within_positions
from utils.pretraining.muon import muon_for
from utils.profile import SettingError, device, seed_everything, set_threads

# Google's README of Turc et al., 2019: BERT-Tiny and BERT-Mini, in percent
PUBLISHED = {
    "sst2": ("accuracy", 83.2, 85.9),
    "rte": ("accuracy", 57.2, 57.9),
    "mrpc": ("F1", 81.1, 81.1),
    "stsb": ("Pearson", 74.3, 75.4),
    "cola": ("Matthews", 0.0, 0.0),
}
EPOCHS = {"sst2": 5, "rte": 5, "mrpc": 5, "stsb": 5, "cola": 5}
MASKED = 0.15  # part of the tokens


class PairClassifier(BertPreTrainedModel):
    """Two texts in one row, told apart by segments; no token sees the other text."""

    def __init__(self, config):
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(4 * config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids, attention_mask, token_type_ids):
        """(batch, sequence) of ids, real tokens and segments -> logits (batch, labels)."""
        real = attention_mask.bool()
        alike = token_type_ids[:, None, :, None] == token_type_ids[:, None, None, :]  # (b, 1, s, s)
        states = self.bert(input_ids, alike & real[:, None, None], token_type_ids).last_hidden_state
        u, v = (mean_pool(states, real & (token_type_ids == segment)) for segment in (0, 1))
        compared = torch.cat([u, v, (u - v).abs(), u * v], dim=-1)  # (b, 4n)
        return SequenceClassifierOutput(logits=self.classifier(compared))


def columns_of(task: str) -> tuple[tuple[str, ...], str, int]:
    """Return the text columns of a task, its label column and the number of outputs."""
    source = data.SOURCES[task]
    return source.text, source.label, len(source.labels) or 1


def encode(tokenizer, rows, columns: tuple[str, ...], label: str, max_length: int) -> list[dict]:
    texts = [list(rows[column]) for column in columns]
    encoded = tokenizer(*texts, truncation=True, max_length=max_length)
    return [
        {"input_ids": ids, "token_type_ids": types, "labels": value}
        for ids, types, value in zip(
            encoded["input_ids"], encoded["token_type_ids"], rows[label], strict=True
        )
    ]


def optimizers(model, options) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for everything else."""
    matrices = [p for p in model.bert.encoder.parameters() if p.dim() == 2]
    special = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in special]
    adamw = torch.optim.AdamW(others, lr=options.learning_rate, weight_decay=0.01, fused=True)
    return [adamw, muon_for(matrices, options.matrix_rate, 0.0)]


def train(model, rows: list[dict], tokenizer, epochs: int, options, seed: int) -> torch.nn.Module:
    """Train `model` and return the moving average of its weights, over about a third of the run.

    Batches of like length in random order; a tenth of the steps as warm-up, then down in a line.
    """
    batches = batches_by_length(rows, options.batch_size)
    total, order = epochs * len(batches), np.random.default_rng(seed)
    draw, specials = torch.Generator().manual_seed(seed), torch.tensor(tokenizer.all_special_ids)
    movers = optimizers(model, options)
    schedules = [
        LambdaLR(mover, lambda step: min((step + 1) / (0.1 * total), (total - step) / (0.9 * total)))
        for mover in movers
    ]
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(1 - 3 / total))
    model.train()
    for number in np.concatenate([order.permutation(len(batches)) for _ in range(epochs)]):
        batch = collate([rows[index] for index in batches[number]])
        hidden = torch.rand(batch["input_ids"].shape, generator=draw) < MASKED
        hidden &= ~torch.isin(batch["input_ids"], specials)
        batch["input_ids"] = batch["input_ids"].masked_fill(hidden, tokenizer.mask_token_id)
        batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
        labels = batch.pop("labels")
        logits = model(**batch).logits
        regression = logits.shape[1] == 1
        loss = F.mse_loss(logits[:, 0], labels.float()) if regression else F.cross_entropy(logits, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for mover, schedule in zip(movers, schedules, strict=True):
            mover.step()
            schedule.step()
            mover.zero_grad()
        average.update_parameters(model)
    return average.module


def score(metric: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the task's published metrics in percent, the first named one first."""
    if metric == "Pearson":
        guesses = logits[:, 0]
        return {
            "Pearson": 100 * pearsonr(guesses, labels)[0],
            "Spearman": 100 * spearmanr(guesses, labels)[0],
        }
    guesses = logits.argmax(1)
    found = {"accuracy": 100 * float((guesses == labels).mean())}
    if metric == "F1":
        found = {"F1": 100 * f1_score(labels, guesses)} | found
    if metric == "Matthews":
        found = {"Matthews": 100 * matthews_corrcoef(labels, guesses)} | found
    return found


def run(task: str, seed: int, options) -> dict:
    """Fine-tune on one task with one seed and score it."""
    seed_everything(seed)
    columns, label, outputs = columns_of(task)
    rates = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), 0.1)
    tokenizer, model = models.load("classification", str(options.model), num_labels=outputs, **rates)
    if len(columns) == 2:
        with models.quiet():
            model = PairClassifier.from_pretrained(
                options.model, local_files_only=True, num_labels=outputs, dtype=torch.float32, **rates
            )
    loaded = data.load(task)
    test = loaded["validation" if "validation" in loaded else "test"]
    limit = within_positions(model, options.max_length)
    rows = [encode(tokenizer, part, columns, label, limit) for part in (loaded["train"], test)]
    if outputs == 1:
        with torch.no_grad():
            model.classifier.bias.fill_(float(np.mean([row["labels"] for row in rows[0]])))
    start = time.perf_counter()
    model = train(model.to(device()), rows[0], tokenizer, options.epochs or EPOCHS[task], options, seed)
    seconds = time.perf_counter() - start
    labels = np.array([row["labels"] for row in rows[1]])
    return {"task": task, "seed": seed, "seconds": seconds} | score(
        PUBLISHED[task][0], predict(model, rows[1]), labels
    )


def summary(runs: list[dict]) -> list[dict]:
    """Return a row a task: its metric, mean and standard deviation over seeds, the published figures."""
    rows = []
    for task in dict.fromkeys(run["task"] for run in runs):
        metric, tiny, mini = PUBLISHED[task]
        scores = [run[metric] for run in runs if run["task"] == task]
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        rows.append(
            {
                "task": task,
                "metric": metric,
                "mean": statistics.mean(scores),
                "std": spread,
                "tiny": tiny,
                "mini": mini,
            }
        )
    return rows


def table(runs: list[dict]) -> str:
    lines = [f"{'task':<8}{'metric':<10}{'mean ± std':>16}{'BERT-Tiny':>12}{'BERT-Mini':>12}"]
    for row in summary(runs):
        score = f"{row['mean']:.2f} ± {row['std']:.2f}"
        lines.append(
            f"{row['task']:<8}{row['metric']:<10}{score:>16}{row['tiny']:>12.1f}{row['mini']:>12.1f}"
        )
    return "\n".join(lines)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=models.COURSE_CHECKPOINT)
    parser.add_argument("--tasks", nargs="+", default=list(PUBLISHED), choices=PUBLISHED)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="two runs side by side on one thread each are the faster")
    parser.add_argument("--epochs", type=int, help="in place of each task's own number")
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="AdamW's")
    parser.add_argument("--matrix-rate", type=float, default=3e-3, help="Muon's")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--json", type=Path, help="write every run to this file")
    options = parser.parse_args(words)
    set_threads(options.threads)
    data.datasets.disable_progress_bars()
    runs = []
    try:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            for task in options.tasks:
                runs.append(run(task, seed, options))
                print(
                    {key: round(v, 2) if isinstance(v, float) else v for key, v in runs[-1].items()},
                    flush=True,
                )
                settings = {key: str(value) for key, value in vars(options).items()}
                write(options.json, {"settings": settings, "runs": runs})
    except (data.DataError, models.ModelError, SettingError) as error:
        print(error, file=sys.stderr)
        return 2
    print(table(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
