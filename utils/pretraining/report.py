"""What a finished run hands over: the model in transformers' format, metrics.json and a model card.

Not for checkpoints of a run that goes on (`saves`); the picture of the curve is `plots.pretraining_curve`.
"""

import json
import os
import shutil
from pathlib import Path

from utils.bert import BertForPreTraining

FILES = (
    "model.safetensors",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "metrics.json",
    "README.md",
)

CARD = """---
library_name: transformers
tags: [bert, fill-mask, bert-workshop]
---
# {title}

A BERT ({parameters:,} parameters: {layers} layers, {width} wide, {heads} heads, {vocabulary:,} word pieces, sequences
up to {length} tokens), pre-trained from {start} by the BERT workshop's own command:

{commands}

| | |
|---|---|
| trained on | {corpora} |
| objective | {objective} |
| seen | {tokens:,} tokens in {steps:,} steps, {minutes:.1f} minutes on {device} ({number_format}) |
| {seed_name} | {seeds} |
| left the unigram level after | {plateau} |
| held out | loss {loss:.3f} nats, masked accuracy {accuracy:.1%}{nsp} |

Held-out figures: documents that training never saw, 15% of the tokens masked, sequences of {held_out_length} tokens.

## Use

    from transformers import AutoModelForMaskedLM, AutoTokenizer
    model, tokenizer = AutoModelForMaskedLM.from_pretrained("{folder}"), AutoTokenizer.from_pretrained("{folder}")

## Limits

Small and briefly trained: good for learning, for demonstrations and as a start for fine-tuning, not for facts.
It repeats the habits and the biases of its corpus. Lower-cased; other languages than the corpus's come out in pieces.
{untrained}"""


def hand_over(model: BertForPreTraining, tokenizer, metrics: dict, folder: Path) -> None:
    """Write the model, its tokenizer, metrics.json and the card to `folder`, each file whole or not at all.

    `AutoModel`, `AutoModelForMaskedLM` and `AutoModelForPreTraining` load the folder.

    Raises:
        OSError: the disk is full; what stood in `folder` is as it was.
    """
    unfinished = folder / f".unfinished-{os.getpid()}"
    unfinished.mkdir(parents=True, exist_ok=True)
    try:
        theirs = model.to_transformers()
        theirs.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)
        (unfinished / "metrics.json").write_text(json.dumps(metrics, indent=1))
        (unfinished / "README.md").write_text(card(model, metrics, folder.name))
        for path in sorted(unfinished.iterdir()):
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def with_earlier(metrics: dict, command: str, start: Path | None) -> dict:
    """Return the metrics of all the training that the weights have had, the runs before this one too.

    Args:
        metrics: of this run, with "corpus", "corpus_tokens" and "hardware".
        start: folder of the BERT from which the run went on; None after random weights.

    Returns:
        Steps, tokens, seconds and histories over all runs, and "runs", one row for each, the first first.
        "start" names a BERT that has no metrics.json, since nothing is known of its training.
    """
    names = ("corpus", "corpus_tokens", "hardware", "steps", "tokens", "seconds")
    run = {"command": command, "seed": metrics["recipe"]["seed"]} | {name: metrics[name] for name in names}
    told = start and start / "metrics.json"
    before = json.loads(told.read_text()) if told and told.is_file() else {}
    if "runs" not in before:
        return metrics | {"runs": [run], "start": start and start.name}
    offsets = {"step": before["steps"], "tokens": before["tokens"], "seconds": before["seconds"]}

    def moved(row: dict | None) -> dict | None:
        return row and row | {name: offset + row[name] for name, offset in offsets.items()}

    return metrics | {
        "runs": [*before["runs"], run],
        "start": before["start"],
        "left_plateau": before["left_plateau"] or moved(metrics["left_plateau"]),
        "held_out": moved(metrics["held_out"]),
        **{name: before[name] + metrics[name] for name in ("steps", "tokens", "seconds")},
        **{
            name: before[name] + [moved(row) for row in metrics[name]]
            for name in ("history", "held_out_history")
        },
    }


def corpora(runs: list[dict]) -> str:
    """Say on which texts the runs trained, and how often each was read."""
    sizes = {run["corpus"]: run["corpus_tokens"] for run in runs}
    seen = {name: sum(run["tokens"] for run in runs if run["corpus"] == name) for name in sizes}
    return "; ".join(
        f"{name}: {size:,} word pieces, read {seen[name] / size:.1f} times" for name, size in sizes.items()
    )


def card(model: BertForPreTraining, metrics: dict, folder: str) -> str:
    """Return the model card: what it is, how it was made, what it scores, what it is not for.

    Args:
        metrics: what `with_earlier` returns.
    """
    recipe, held_out, left = metrics["recipe"], metrics["held_out"], metrics["left_plateau"]
    runs = metrics["runs"]
    nsp = held_out.get("nsp_accuracy")
    return CARD.format(
        title=folder,
        parameters=metrics["parameters"],
        layers=model.config.num_hidden_layers,
        width=model.config.hidden_size,
        heads=model.config.num_attention_heads,
        vocabulary=model.config.vocab_size,
        length=model.config.max_position_embeddings,
        start=f"the weights of {metrics['start']}" if metrics["start"] else "random weights",
        commands="\n".join(f"    {run['command']}" for run in runs),
        corpora=corpora(runs),
        objective={"mlm": "masked language model", "mlm+nsp": "masked language model and next sentence"}[
            recipe["objective"]
        ],
        tokens=metrics["tokens"],
        steps=metrics["steps"],
        minutes=metrics["seconds"] / 60,
        device=" and ".join(dict.fromkeys(run["hardware"] for run in runs)),
        number_format=metrics["number_format"],
        seed_name="seed" if len(runs) == 1 else "seeds",
        seeds=", ".join(str(run["seed"]) for run in runs),
        plateau=f"{left['tokens']:,} tokens, {left['seconds']:.0f} s" if left else "not within this run",
        loss=held_out["loss"],
        accuracy=held_out["accuracy"],
        nsp="" if nsp is None else f", next sentence {nsp:.1%}",
        held_out_length=recipe["lengths"][-1][1],
        folder=folder,
        untrained=""
        if nsp is not None
        else "The pooler and the next-sentence head are untrained: use mean pooling.\n",
    )
