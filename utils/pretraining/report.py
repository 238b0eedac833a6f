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
up to {length} tokens), pre-trained from random weights by the BERT workshop's own command:

    {command}

| | |
|---|---|
| trained on | {corpus}: {size:,} word pieces, read {passes:.1f} times |
| objective | {objective} |
| seen | {tokens:,} tokens in {steps:,} steps, {minutes:.1f} minutes on {device} ({number_format}) |
| seed | {seed} |
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


def hand_over(
    model: BertForPreTraining, tokenizer, metrics: dict, folder: Path, corpus: str, command: str
) -> None:
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
        (unfinished / "README.md").write_text(card(model, metrics, folder.name, corpus, command))
        for path in sorted(unfinished.iterdir()):
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def card(model: BertForPreTraining, metrics: dict, folder: str, corpus: str, command: str) -> str:
    """Return the model card: what it is, how it was made, what it scores, what it is not for."""
    recipe, held_out, left = metrics["recipe"], metrics["held_out"], metrics["left_plateau"]
    nsp = held_out.get("nsp_accuracy")
    return CARD.format(
        title=folder,
        parameters=metrics["parameters"],
        layers=model.config.num_hidden_layers,
        width=model.config.hidden_size,
        heads=model.config.num_attention_heads,
        vocabulary=model.config.vocab_size,
        length=model.config.max_position_embeddings,
        command=command,
        corpus=corpus,
        size=metrics["corpus_tokens"],
        passes=metrics["tokens"] / metrics["corpus_tokens"],
        objective={"mlm": "masked language model", "mlm+nsp": "masked language model and next sentence"}[
            recipe["objective"]
        ],
        tokens=metrics["tokens"],
        steps=metrics["steps"],
        minutes=metrics["seconds"] / 60,
        device=metrics["hardware"],
        number_format=metrics["number_format"],
        seed=recipe["seed"],
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
