"""A small web app to try the course's models by hand: a classifier of reviews and a help desk.

It runs on this machine alone: its address is 127.0.0.1, nothing is shared, no usage is reported, and
the page fetches nothing from elsewhere. Not for serving customers: one process, no log, no limits.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import gradio
import torch

from utils import finetuning, models

HOST = "127.0.0.1"


class DemoError(RuntimeError):
    """The app cannot start; the message is one sentence with the remedy."""


# ---------------------------------------------------------------------------- what the app asks


def judge_with(folder: Path) -> Callable[[str], dict[str, float]]:
    """Return a function from a text to the probability of each class, by the classifier saved in `folder`."""
    tokenizer, model = models.load("classification", str(folder))
    length = finetuning.within_positions(model, 512)

    def judge(text: str) -> dict[str, float]:
        if not text.strip():
            raise ValueError("Type a review first.")
        rows = [{"input_ids": tokenizer(text, truncation=True, max_length=length)["input_ids"]}]
        probabilities = torch.softmax(torch.tensor(finetuning.predict(model, rows)[0]), -1).tolist()
        return {model.config.id2label[index]: p for index, p in enumerate(probabilities)}

    return judge


# ------------------------------------------------------------------------------------- the app


def build(judge: Callable[[str], dict[str, float]], ask: Callable[[str], str]) -> gradio.Blocks:
    """Return the app: one tab for each function. Programs call them as `/judge` and `/ask`."""
    with gradio.Blocks(title="The BERT workshop", analytics_enabled=False) as app:
        with gradio.Tab("Reviews"):
            review = gradio.Textbox(label="Your review", lines=3)
            button = gradio.Button("Judge", variant="primary")
            verdict = gradio.Label(label="Verdict")
            button.click(_with_sentences(judge), review, verdict, api_name="judge")
        with gradio.Tab("Help desk"):
            question = gradio.Textbox(label="Your question", lines=2)
            button = gradio.Button("Ask", variant="primary")
            answer = gradio.HTML(label="Answer", min_height=80)
            button.click(_with_sentences(ask), question, answer, api_name="ask")
    return app


def _with_sentences(function: Callable) -> Callable:
    """Show the sentence of a ValueError to the person at the page, in place of "Error"."""

    def call(text: str):
        try:
            return function(text)
        except ValueError as error:
            raise gradio.Error(str(error), print_exception=False) from None

    return call


@dataclass(frozen=True)
class Running:
    """A started app: open `address` in a browser, `stop()` it when you are done; works in a `with` as well."""

    app: gradio.Blocks
    address: str

    def stop(self) -> None:
        """Close the server; its address refuses connections from then on."""
        self.app.close(verbose=False)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *error) -> None:
        self.stop()


def start(app: gradio.Blocks, port: int | None = None) -> Running:
    """Serve `app` on this machine in the background and return at once.

    Args:
        port: of 127.0.0.1; a free one unless given.

    Raises:
        DemoError: the port is taken, or this machine may not be asked.
    """
    _never_through_a_proxy()
    try:
        _, address, _ = app.launch(
            server_name=HOST,
            server_port=port or _free_port(),
            share=False,
            prevent_thread_lock=True,
            quiet=True,
            inline=False,
            inbrowser=False,
            ssr_mode=False,
            footer_links=[],
            run_history=False,
        )
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DemoError(
            f"The demo cannot start ({reason}): stop what uses the port, or name another."
        ) from None
    return Running(app, address)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _never_through_a_proxy() -> None:
    """Keep requests to this machine off a school's proxy: gradio asks its own address once at the start."""
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join(dict.fromkeys([*hosts, HOST, "localhost"]))
