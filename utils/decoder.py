"""A decoder that writes, written out: GPT-2 (Radford et al., 2019), small enough to train in front of you.

Takes the weights of transformers' GPT-2 and gives the same logits. Not for text and batches
(`pretraining.tokens`), and not for translation (`translation`).
Shapes: b texts, s tokens in each, n the hidden size, v word pieces in the vocabulary.
"""

from dataclasses import dataclass

import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F

from utils.attention import MultiHeadAttention, causal_mask
from utils.bert import initialize


@dataclass(frozen=True)
class DecoderConfig:
    """The sizes of a decoder; `context` is the most tokens that it can look back on."""

    vocab_size: int
    hidden_size: int = 128
    layers: int = 2
    heads: int = 2
    context: int = 128
    dropout: float = 0.0


class DecoderBlock(nn.Module):
    """Norm, causal attention, add; norm, feed-forward, add: (b, s, n) -> (b, s, n).

    The norm comes before each part and not after it as in BERT ("pre-norm"; Xiong et al., 2020).
    """

    def __init__(self, config: DecoderConfig):
        super().__init__()
        width = config.hidden_size
        self.attention_norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, config.heads, config.dropout)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden_states: Tensor, mask: Tensor) -> Tensor:
        attended = self.attention(self.attention_norm(hidden_states), mask)
        hidden_states = hidden_states + self.dropout(attended)
        inner = F.gelu(self.expand(self.feed_forward_norm(hidden_states)), approximate="tanh")
        return hidden_states + self.dropout(self.contract(inner))


class Decoder(nn.Module):
    """Scores of the next token at each token, from what stands before it: ids (b, s) -> logits (b, s, v)."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.vocab_size, config.hidden_size)
        self.positions = nn.Embedding(config.context, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(DecoderBlock(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden_size)
        self.apply(initialize)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Raises ValueError for more tokens than the context has."""
        length = input_ids.shape[1]
        if length > self.config.context:
            raise ValueError(f"expected at most {self.config.context} tokens, got {length}: cut the text.")
        places = torch.arange(length, device=input_ids.device)
        states = self.dropout(self.words(input_ids) + self.positions(places))  # (b, s, n)
        mask = causal_mask(length, input_ids.device)  # (s, s): nobody sees the future
        for block in self.blocks:
            states = block(states, mask)
        return self.norm(states) @ self.words.weight.T  # (b, s, n) @ (n, v) -> (b, s, v): tied

    @classmethod
    def from_transformers(cls, model: transformers.GPT2LMHeadModel) -> "Decoder":
        """Return our decoder with GPT-2's weights. Raises ValueError for a variant that this is not."""
        theirs = model.config
        if theirs.activation_function != "gelu_new" or theirs.n_inner not in (None, 4 * theirs.n_embd):
            raise ValueError(
                f"expected GPT-2 with gelu_new and an inner width of {4 * theirs.n_embd}, got "
                f"{theirs.activation_function} and {theirs.n_inner}."
            )
        config = DecoderConfig(
            theirs.vocab_size, theirs.n_embd, theirs.n_layer, theirs.n_head, theirs.n_positions
        )
        ours, given = cls(config), model.transformer
        with torch.no_grad():
            ours.words.weight.copy_(given.wte.weight)
            ours.positions.weight.copy_(given.wpe.weight)
            ours.norm.load_state_dict(given.ln_f.state_dict())
            for block, other in zip(ours.blocks, given.h, strict=True):
                block.attention_norm.load_state_dict(other.ln_1.state_dict())
                block.feed_forward_norm.load_state_dict(other.ln_2.state_dict())
                parts = (block.attention.query, block.attention.key, block.attention.value)
                thirds = zip(
                    other.attn.c_attn.weight.chunk(3, 1), other.attn.c_attn.bias.chunk(3), strict=True
                )
                pairs = [(part, *third) for part, third in zip(parts, thirds, strict=True)]
                for mine, theirs_too in (
                    (block.attention.output, other.attn.c_proj),
                    (block.expand, other.mlp.c_fc),
                    (block.contract, other.mlp.c_proj),
                ):
                    pairs.append((mine, theirs_too.weight, theirs_too.bias))
                for linear, weight, bias in pairs:
                    linear.weight.copy_(weight.T)  # GPT-2 keeps its matrices transposed
                    linear.bias.copy_(bias)
        return ours.to(given.wte.weight.device).eval()


def next_token_loss(logits: Tensor, input_ids: Tensor) -> Tensor:
    """Mean of -ln p(next token), nats: logits (b, s, v) at tokens 0 … s-2 against ids (b, s) at 1 … s-1."""
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), input_ids[:, 1:].flatten())


def choose(
    logits: Tensor, temperature: float = 1.0, top_k: int = 0, generator: torch.Generator | None = None
) -> Tensor:
    """Draw one id for each row of logits (b, v) -> (b,).

    Args:
        temperature: the logits are divided by it; 0 takes the likeliest ("greedy").
        top_k: only the k likeliest may be drawn (Fan et al., 2018); 0: all.

    Raises:
        ValueError: a negative setting.
    """
    if temperature < 0 or top_k < 0:
        raise ValueError(f"temperature and top_k are 0 or more; got {temperature} and {top_k}.")
    if temperature == 0:
        return logits.argmax(-1)
    if 0 < top_k < logits.shape[-1]:
        least = logits.topk(top_k).values[:, -1:]  # (b, 1): the k-th best
        logits = logits.masked_fill(logits < least, float("-inf"))
    return torch.multinomial(torch.softmax(logits / temperature, -1), 1, generator=generator)[:, 0]


@torch.inference_mode()
def write(
    model: Decoder,
    input_ids: Tensor,
    tokens: int,
    temperature: float = 1.0,
    top_k: int = 0,
    generator: torch.Generator | None = None,
    stop: int | None = None,
) -> Tensor:
    """Go on with texts (b, s), token by token: (b, s + tokens), or shorter if all have written `stop`.

    Each token is drawn from the scores after the last one and becomes input; of a text longer than the
    context the last part is seen.
    """
    training, ended = model.training, torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
    model.eval()
    for _ in range(tokens):
        logits = model(input_ids[:, -model.config.context :])[:, -1]  # (b, v)
        drawn = choose(logits, temperature, top_k, generator)
        if stop is not None:
            drawn = torch.where(ended, stop, drawn)
            ended |= drawn == stop
        input_ids = torch.cat([input_ids, drawn[:, None]], dim=1)
        if ended.all():
            break
    model.train(training)
    return input_ids
