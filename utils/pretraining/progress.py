"""What a run shows while it goes on and remembers afterwards: a live line, a history, the plateau's end.

Not for files (`report`).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from tqdm.auto import tqdm

ROWS = 200  # about as many rows of history in a run
HELD_OUT_TIMES = 10  # measurements on held-out text while the run goes on
SMOOTHING = 0.95
LEFT = 0.98  # the plateau is left when the smoothed loss is below this part of the unigram level


class Progress:
    """Gathers (MLM loss, MLM accuracy, NSP accuracy) of each step and turns them to rows."""

    def __init__(self, recipe, unigram_entropy: float, on_progress: Callable | None, shown: bool):
        self.unigram_entropy, self.on_progress, self.next_sentences = (
            unigram_entropy,
            on_progress,
            recipe.next_sentences,
        )
        self.history: list[dict] = []
        self.held_out: list[dict] = []
        self.plateau: dict | None = None
        self.smooth: float | None = None
        self._waiting: list[Tensor] = []
        self._last: tuple[int, int, float, float] = (0, 0, 0.0, 0.0)
        self._bar = tqdm(
            total=100,
            desc="Pre-training",
            unit="%",
            disable=not shown,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {postfix}",
        )

    def add(self, step: int, tokens: int, seconds: float, done: float, shown: Tensor) -> None:
        """Take the numbers of one step; about 200 times a run, make a row of them."""
        self._waiting.append(shown.detach())
        self._last = (step, tokens, seconds, done)
        if done * ROWS >= len(self.history) + 1 or not self.history:
            self._row()

    def _row(self) -> None:
        if not self._waiting:
            return
        step, tokens, seconds, done = self._last
        numbers = torch.stack(self._waiting).cpu()
        loss, accuracy, nsp = numbers.mean(0).tolist()
        for value in numbers[:, 0].tolist():
            self.smooth = value if self.smooth is None else SMOOTHING * self.smooth + (1 - SMOOTHING) * value
        self._waiting = []
        row = {"step": step, "tokens": tokens, "seconds": seconds, "loss": loss, "accuracy": accuracy}
        if self.next_sentences:
            row["nsp_accuracy"] = nsp
        self.history.append(row)
        if self.plateau is None and step >= 20 and self.smooth < LEFT * self.unigram_entropy:
            self.plateau = {"tokens": tokens, "seconds": seconds, "step": step}
            self.say(f"The loss has left the unigram level after {tokens:,} tokens, {seconds:.0f} s.")
        line = f"loss {loss:.2f}, masked accuracy {100 * accuracy:.0f}%"
        if seconds and done:  # not yet in the first step
            line += f", {tokens / seconds:,.0f} tokens/s, {_clock(seconds / done * (1 - done))} left"
        self._bar.n = round(100 * done)
        self._bar.set_postfix_str(line)
        if self.on_progress:
            self.on_progress(row)

    def held_out_is_due(self, done: float) -> bool:
        return done * HELD_OUT_TIMES >= len(self.held_out) + 1

    def add_held_out(self, done: float, scores: dict) -> None:
        step, tokens, seconds, _ = self._last
        self.held_out.append({"step": step, "tokens": tokens, "seconds": seconds} | scores)
        if done >= 1:
            self._row()

    def say(self, line: str) -> None:
        """Print a line without breaking the bar."""
        if not self._bar.disable:
            self._bar.write(line)

    def close(self) -> None:
        self._bar.close()

    def metrics(self) -> dict:
        return {
            "unigram_entropy": self.unigram_entropy,
            "left_plateau": self.plateau,
            "held_out": self.held_out[-1] if self.held_out else None,
            "history": self.history,
            "held_out_history": self.held_out,
        }

    def state(self) -> dict:
        self._row()
        return {
            "history": self.history,
            "held_out": self.held_out,
            "plateau": self.plateau,
            "smooth": self.smooth,
        }

    def load_state(self, state: dict) -> None:
        self.history, self.held_out = state["history"], state["held_out"]
        self.plateau, self.smooth = state["plateau"], state["smooth"]


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
