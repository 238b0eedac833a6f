"""A BERT twice as wide that computes what the narrow one does, so that its training is not begun anew.

Net2Net (Chen et al., 2016, section 2.2) for a BERT with post-norm. Not for training it (`loop`).
"""

from dataclasses import replace

import torch
from torch import Tensor

from utils.bert import BertForPreTraining


@torch.no_grad()
def widen(model: BertForPreTraining, seed: int = 0) -> BertForPreTraining:
    """Return a BERT with twice the width, heads and inner width, and the same outputs.

    Every state is there twice, [x, x]: mean and variance stay, so layer norm does too. A matrix reads
    both copies, with each of its weights parted between them at random: copies that were alike would
    get the same gradients for ever.
    """
    config = model.config
    names = ("hidden_size", "num_attention_heads", "intermediate_size")
    wide = BertForPreTraining(replace(config, **{name: 2 * getattr(config, name) for name in names}))
    draw, narrow = torch.Generator().manual_seed(seed), model.state_dict()
    for name, target in wide.state_dict().items():
        target.copy_(_twice(name, narrow[name].cpu(), draw))
    return wide.to(next(model.parameters()).device)


def _twice(name: str, weight: Tensor, draw: torch.Generator) -> Tensor:
    if name.endswith("decoder.bias"):  # one number a word piece
        return weight
    if weight.dim() == 2 and name.startswith(("bert.embeddings", "masked_language_model.decoder")):
        return torch.cat([weight, weight], dim=1)
    if weight.dim() == 1:
        both = weight if name.startswith("next_sentence") else torch.cat([weight, weight])
        # the word embeddings that follow have every number twice, so the products would be doubled
        return both / 2 if name.startswith("masked_language_model.norm") else both
    rows = weight if name.startswith("next_sentence") else torch.cat([weight, weight])  # (2 out, in)
    part = torch.rand(rows.shape, generator=draw)
    return torch.cat([rows * part, rows * (1 - part)], dim=1)  # (2 out, 2 in)
