"""One step of learning: the two losses, computed where they are asked, and the two optimizers.

Shapes: b sequences, s tokens in each, m masked tokens in each, n the hidden size, v word pieces.
Not for the order of steps (`loop`).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.bert import Bert, BertForPreTraining, MaskedLanguageModelHead
from utils.pretraining.batches import Batch
from utils.pretraining.muon import muon_for
from utils.pretraining.recipe import Recipe
from utils.pretraining.vocabulary_loss import VocabularyLoss

WAVE = 0.1  # the waves' height; words start with a spread of 0.02


class Learner(nn.Module):
    """BERT with its two losses: a batch -> the sum of the losses, and what the progress line shows."""

    def __init__(self, model: BertForPreTraining, next_sentences: bool):
        super().__init__()
        self.model, self.next_sentences = model, next_sentences
        if not next_sentences:  # nothing teaches these: they stay as they were drawn
            for part in (model.bert.pooler, model.next_sentence):
                part.requires_grad_(False)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the loss, and (MLM loss, MLM accuracy, NSP accuracy) as one tensor (3,)."""
        states = asked_states(self.model.bert, batch)  # (b, 1 + m, n)
        asked = states[:, 1:].flatten(0, 1)  # (b * m, n)
        loss, hits = vocabulary_loss(self.model.masked_language_model, asked, batch.labels.flatten())
        mlm_loss = loss.detach()
        nsp_hits = torch.full_like(hits, 0.5)
        if self.next_sentences:
            scores = self.model.next_sentence(self.model.bert.pooler(states)).float()  # (b, 2)
            loss = loss + F.cross_entropy(scores, batch.next_sentence)
            nsp_hits = (scores.detach().argmax(-1) == batch.next_sentence).float().mean()
        return loss, torch.stack([mlm_loss, hits, nsp_hits])


def asked_states(bert: Bert, batch: Batch) -> Tensor:
    """Return the states (b, 1 + m, n) of [CLS] and of the masked tokens, equal to those of `bert(...)`.

    Nobody asks for the others; the last block takes them as keys and values, and leaves them there.
    """
    states = bert.embeddings(batch.input_ids, batch.token_type_ids)  # (b, s, n)
    for block in bert.blocks[:-1]:
        states = block(states)
    index = F.pad(batch.positions, (1, 0))[..., None]  # (b, 1 + m, 1): [CLS] stands at 0
    asked = states.gather(1, index.expand(-1, -1, states.shape[-1]))
    return bert.blocks[-1](asked, context=states)


def vocabulary_loss(head: MaskedLanguageModelHead, states: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean MLM loss of (r, n) states for (r,) labels, and the part of right guesses."""
    states = head.norm(F.gelu(head.dense(states)))
    if states.device.type == "cpu" and torch.is_grad_enabled():
        number = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else states.dtype
        return VocabularyLoss.apply(states, head.decoder.weight, head.decoder.bias, labels, number)
    scores = head.decoder(states).float()  # (r, v)
    return F.cross_entropy(scores, labels), (scores.argmax(-1) == labels).float().mean()


@torch.no_grad()
def head_start(model: BertForPreTraining, recipe: Recipe, counts: Tensor) -> None:
    """Give a fresh model two things that it would spend its first minute learning.

    The head's bias becomes the log frequency of each word piece (`counts`, (v,), from the corpus); the
    position embeddings, which stay learnable, become waves (Vaswani et al., 2017, section 3.5), a few
    times longer than the word embeddings, so that "the token before" is a rotation, and easy to see.
    """
    if recipe.frequency_bias:
        share = (counts + 1) / (counts + 1).sum()
        model.masked_language_model.decoder.bias.copy_(share.log() - share.log().mean())
    if recipe.wave_positions:
        places, width = model.bert.embeddings.positions.weight.shape
        rates = 10_000 ** (-torch.arange(0, width, 2) / width)  # (n / 2,)
        angles = torch.arange(places)[:, None] * rates  # (places, n / 2)
        waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)  # (places, n)
        model.bert.embeddings.positions.weight.copy_(waves * WAVE)


def optimizers(model: BertForPreTraining, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al., 2024) for the matrices inside the blocks, AdamW for everything else.

    Muon makes all directions of a matrix's update equally long; it suits matrices between hidden
    states, not embeddings, biases and norms. With optimizer="adamw" all is left to AdamW.
    """
    matrices = [p for p in model.bert.blocks.parameters() if p.dim() == 2]
    matrices += [model.masked_language_model.dense.weight]
    if recipe.optimizer == "adamw":
        matrices = []
    special = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in special and p.requires_grad]
    groups = [
        {"params": [p for p in others if p.dim() >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in others if p.dim() < 2], "weight_decay": 0.0},
    ]
    found = [torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)]
    if matrices:
        found.append(muon_for(matrices, recipe.matrix_rate, recipe.weight_decay))
    for optimizer in found:
        for group in optimizer.param_groups:
            group["full_rate"] = group["lr"]
    return found


def set_rates(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    """Multiply each optimizer's full learning rate by `factor`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["full_rate"] * factor
