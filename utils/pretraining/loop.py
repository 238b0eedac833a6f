"""The run: steps until the budget is spent, on one device or several, safe against a kill at any moment.

Under `accelerate launch` each process takes its rows of the same batches, so that one process and
many learn the same. Not for what a step does (`steps`) or how states are stored (`saves`).
"""

import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast, set_seed

from utils.bert import BertForPreTraining
from utils.pretraining import saves
from utils.pretraining.batches import Batches
from utils.pretraining.progress import Progress
from utils.pretraining.recipe import Recipe, RecipeError
from utils.pretraining.steps import Learner, head_start, optimizers, set_rates
from utils.pretraining.tokens import Tokens
from utils.profile import dtype

HELD_OUT_SEED = 20181011
SAVE_SECONDS = 60.0


class Stopped(KeyboardInterrupt):
    """The run was stopped by a signal; its state is saved."""


def pretrain(
    recipe: Recipe,
    tokens: Tokens,
    tokenizer,
    folder: Path,
    resume: bool = False,
    model: BertForPreTraining | None = None,
    save_seconds: float = SAVE_SECONDS,
    on_progress: Callable[[dict], None] | None = None,
) -> tuple[BertForPreTraining, dict]:
    """Pre-train a BERT, or go on with `model`, and return it with its metrics.

    Args:
        folder: gets a checkpoint every `save_seconds`, at the end and when the run is stopped.
        resume: go on from the last whole checkpoint in `folder`; without one, begin.
        on_progress: called with each row of the history, to draw it live.

    Raises:
        RecipeError: `folder` holds a run with another recipe or corpus.
        Stopped: Ctrl-C or SIGTERM came; the state is saved.
    """
    AcceleratorState._reset_state()  # a Trainer in the same process may have left its own number format there
    accelerator = Accelerator(mixed_precision=_precision())
    set_seed(recipe.seed)
    run = _Run(recipe, tokens, tokenizer, model, accelerator, folder, resume, on_progress)
    run.go(save_seconds)
    return accelerator.unwrap_model(run.learner, keep_torch_compile=False).model.eval(), run.metrics()


class _Run:
    def __init__(self, recipe, tokens, tokenizer, model, accelerator, folder, resume, on_progress):
        self.recipe, self.tokens, self.tokenizer, self.folder = recipe, tokens, tokenizer, Path(folder)
        self.accelerator = accelerator
        if model is None:
            model = BertForPreTraining(recipe.bert_config(len(tokenizer)))
            head_start(model, recipe, tokens.counts())
        self.plain = Learner(model, recipe.next_sentences)  # without the wrapper of several processes
        made = optimizers(model, recipe)
        learner = torch.compile(self.plain) if accelerator.device.type == "cuda" else self.plain
        self.learner, *self.optimizers = accelerator.prepare(learner, *made)
        self.batches = Batches(tokens, tokenizer, recipe.next_sentences, recipe.seed)
        self.progress = Progress(recipe, tokens.unigram_entropy(), on_progress, accelerator.is_main_process)
        self.step = self.seen = 0
        self.seconds = 0.0
        self.stopped = False
        if accelerator.is_main_process:
            saves.clean_up(self.folder)
        if resume and (state := saves.load_last_good(self.folder)):
            self._load(state)

    def go(self, save_seconds: float) -> None:
        earlier = self._catch_signals()
        started, last_save = time.monotonic() - self.seconds, time.monotonic()
        try:
            while (done := self._done(started)) < 1:
                self._one_step(done)
                self.seconds = time.monotonic() - started
                if self.progress.held_out_is_due(done):
                    self.progress.add_held_out(done, self.held_out(done))
                if self.stopped or time.monotonic() - last_save > save_seconds:
                    self._save()
                    last_save = time.monotonic()
                if self.stopped:
                    raise Stopped(f"stopped after {self.step:,} steps; go on with --resume.")
            self.seconds = time.monotonic() - started
            self.progress.add_held_out(1.0, self.held_out(1.0, 2048))
            self._save()
        finally:
            self.progress.close()
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def _one_step(self, done: float) -> None:
        recipe = self.recipe
        length = recipe.length(done)
        batch = self.batches.next(recipe.sequences(done), length, recipe.mask_rate(done))
        size = batch.input_ids.numel()
        batch = batch.rows(self.accelerator.process_index, self.accelerator.num_processes)
        set_rates(self.optimizers, recipe.rate_factor(done))
        with self.accelerator.autocast():
            loss, shown = self.learner(batch.to(self.accelerator.device))
        self.accelerator.backward(loss)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        self.seen += size
        self.progress.add(self.step, self.seen, self.seconds, done, self.accelerator.reduce(shown, "mean"))

    @torch.no_grad()
    def held_out(self, done: float, sequences: int = 512) -> dict:
        """Return MLM loss, accuracy and NSP accuracy on held-out text, always the same masks and pairs.

        `sequences` of the length in use: 2,048 at the end, where the standard error is a third of a point.
        """
        recipe, started = self.recipe, time.monotonic()
        length = recipe.length(done)
        batches = Batches(self.tokens, self.tokenizer, recipe.next_sentences, HELD_OUT_SEED, "held_out")
        self.plain.eval()
        found = []
        for _ in range(sequences // 64):
            batch = batches.next(64, length, 0.15).to(self.accelerator.device)
            with self.accelerator.autocast():
                found.append(self.plain(batch)[1])
        self.plain.train()
        loss, accuracy, nsp = torch.stack(found).mean(0).tolist()
        scores = {"loss": loss, "accuracy": accuracy, "measuring_seconds": time.monotonic() - started}
        return scores | ({"nsp_accuracy": nsp} if recipe.next_sentences else {})

    def metrics(self) -> dict:
        return {
            "recipe": asdict(self.recipe),
            "steps": self.step,
            "tokens": self.seen,
            "seconds": self.seconds,
            "parameters": sum(p.numel() for p in self.plain.parameters()),
            "device": str(self.accelerator.device),
            "processes": self.accelerator.num_processes,
            "number_format": str(dtype(self.accelerator.device)).removeprefix("torch."),
        } | self.progress.metrics()

    def _done(self, started: float) -> float:
        """The spent part of the budget; the first process's clock is everybody's."""
        seconds = time.monotonic() - started
        if self.accelerator.num_processes > 1 and self.recipe.minutes:
            seconds = broadcast(torch.tensor([seconds], device=self.accelerator.device)).item()
        return self.recipe.done(seconds, self.step, self.seen)

    def _catch_signals(self) -> dict:
        def stop(number, frame):
            self.stopped = True

        try:
            return {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread: somebody else handles signals
            return {}

    def _save(self) -> None:
        if not self.accelerator.is_main_process:
            return
        state = {
            "model": self.plain.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "batches": self.batches.state(),
            "progress": self.progress.state(),
            "random": torch.get_rng_state(),
            "step": self.step,
            "seen": self.seen,
            "seconds": self.seconds,
            "fingerprint": self._fingerprint(),
        }
        try:
            saves.save(self.folder, self.step, state)
        except OSError as error:
            reason = error.strerror or str(error)
            self.progress.say(
                f"{self.folder}: no checkpoint could be written ({reason}): free some space. Training goes on; "
                "the last checkpoint is intact."
            )

    def _load(self, state: dict) -> None:
        if state["fingerprint"] != self._fingerprint():
            raise RecipeError(
                f"{self.folder} holds a run with other settings or another corpus: choose another folder, "
                "or leave out --resume."
            )
        self.plain.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.batches.load_state(state["batches"])
        self.progress.load_state(state["progress"])
        torch.set_rng_state(state["random"])
        self.step, self.seen, self.seconds = state["step"], state["seen"], state["seconds"]

    def _fingerprint(self) -> str:
        return repr((self.recipe, self.tokens.facts, len(self.tokenizer)))


def _precision() -> str:
    return {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(dtype(), "no")
