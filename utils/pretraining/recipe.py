"""The settings of a pre-training run, and how they change while it goes on.

Not for reading a corpus or training; these are only numbers, checked.
"""

import re
from dataclasses import dataclass

from utils.bert import Config

CONFIGS = {  # layers, width, heads, inner width: the sizes of Turc et al., 2019
    "tiny": (2, 128, 2, 512),
    "mini": (4, 256, 4, 1024),
    "small": (4, 512, 8, 2048),
    "medium": (8, 512, 8, 2048),
    "base": (12, 768, 12, 3072),
}
GRID = re.compile(r"([1-9]\d?)/(\d{2,4})")  # "2/256": layers and width, as Turc et al. name their grid
OBJECTIVES = ("mlm", "mlm+nsp")


class RecipeError(ValueError):
    """A setting of a run cannot be used; the message is one line that names it and says what to write."""


@dataclass(frozen=True)
class Recipe:
    """Every setting of a run. Lengths are in word pieces, rates of learning are a step's.

    The budget is one of `minutes`, `steps` and `tokens`; the others are 0. `done` (from 0 to 1) is the
    part of it that is spent: the schedules are functions of it.
    """

    config: str = "tiny"
    objective: str = "mlm+nsp"
    minutes: float = 0
    steps: int = 0
    tokens: int = 0
    vocab_size: int = 8192
    lengths: tuple[tuple[float, int], ...] = ((0.0, 64),)  # from this part of the budget on: this length
    max_length: int = 128  # positions that the model has
    batch_tokens: tuple[int, int] = (4096, 4096)  # a step's tokens, first and last
    mask_rates: tuple[float, float] = (0.5, 0.15)  # part of the tokens to be guessed, first and last
    frequency_bias: bool = (
        True  # start the head at the unigram level: its bias at the pieces' log frequencies
    )
    wave_positions: bool = True  # start the learned positions at sines and cosines of the place
    optimizer: str = "muon"  # or "adamw": for all matrices
    matrix_rate: float = 0.02  # of the hidden matrices
    learning_rate: float = 0.003  # of everything else, by AdamW
    weight_decay: float = 0.01
    warmup: float = 0.01  # part of the budget in which the rates rise from 0
    decay_from: float = 0.4  # part of the budget after which they fall to 0
    dropout: float = 0.0  # no text is seen often enough to be learnt by heart
    seed: int = 0

    def __post_init__(self):
        budgets = [name for name in ("minutes", "steps", "tokens") if getattr(self, name)]
        if len(budgets) != 1 or getattr(self, budgets[0]) < 0:
            raise RecipeError("give the budget as one of --minutes, --steps and --tokens, above 0.")
        self.sizes()
        for name, known in (("objective", OBJECTIVES), ("optimizer", ("muon", "adamw"))):
            if getattr(self, name) not in known:
                raise RecipeError(f"--{name} {getattr(self, name)} is unknown: choose {', '.join(known)}.")
        if not 128 <= self.vocab_size <= 65536:
            raise RecipeError(
                f"--vocab-size {self.vocab_size}: choose 128 to 65536 (two bytes a word piece)."
            )
        if not all(0 < rate < 1 for rate in self.mask_rates):
            raise RecipeError(f"mask rates {self.mask_rates}: each is above 0 and below 1.")
        for _, length in self.lengths:
            if not 16 <= length <= self.max_length:
                raise RecipeError(f"length {length}: choose 16 to {self.max_length}, the model's positions.")

    @property
    def next_sentences(self) -> bool:
        return self.objective == "mlm+nsp"

    def sizes(self) -> tuple[int, int, int, int]:
        """Return layers, width, heads (of 64, as in BERT) and inner width."""
        if self.config in CONFIGS:
            return CONFIGS[self.config]
        found = GRID.fullmatch(self.config)
        if not found or int(found[2]) % 64:
            raise RecipeError(
                f"--config {self.config} is unknown: choose {', '.join(CONFIGS)}, or layers/width as 2/256 "
                "with a width that 64 divides."
            )
        layers, width = int(found[1]), int(found[2])
        return layers, width, width // 64, 4 * width

    def bert_config(self, vocab_size: int) -> Config:
        layers, width, heads, inner = self.sizes()
        return Config(
            vocab_size=vocab_size,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=inner,
            max_position_embeddings=self.max_length,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
        )

    def done(self, seconds: float, steps: int, tokens: int) -> float:
        """Return the part of the budget that is spent, from 0 to 1."""
        if self.minutes:
            return min(1.0, seconds / (60 * self.minutes))
        return min(1.0, steps / self.steps if self.steps else tokens / self.tokens)

    def length(self, done: float) -> int:
        """Return the length of the sequences at this part of the budget."""
        return [length for start, length in self.lengths if start <= done][-1]

    def sequences(self, done: float) -> int:
        """Return the number of sequences in a step: even, so that both NSP labels are equally often."""
        first, last = self.batch_tokens
        return max(2, round((first + (last - first) * done) / self.length(done) / 2) * 2)

    def mask_rate(self, done: float) -> float:
        first, last = self.mask_rates
        return first + (last - first) * done

    def rate_factor(self, done: float) -> float:
        """Return what the rates of learning are multiplied by: up in a line, level, down in a line."""
        if done < self.warmup:
            return done / self.warmup
        return min(1.0, (1 - done) / (1 - self.decay_from))
