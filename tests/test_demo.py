"""The demo app: opened in a real browser as a person does, asked by a program, and stopped.

The browser is Debian's Chromium, or the Chrome or Edge that is there. Without one the tests fail: a demo
that nobody has opened is not known to work.
"""

import html
import math
import os
import re
import shutil
import socket
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch
from gradio_client import Client
from helpers import assert_one_line
from playwright.sync_api import expect, sync_playwright

from utils import answer_spans, demo, finetuning, retrieval

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
HELP = (
    "No browser to open the demo with: install Chromium (Debian: `sudo apt-get install chromium`), or "
    "set CHROMIUM to the path of a Chrome."
)
PASSAGES = [
    "A mattress can be returned within 30 days. We fetch it from your door.",
    "The lamp has a warranty of two years. Keep the invoice, <b>please</b>.",
]


def browser_path() -> str | None:
    found = [os.environ.get("CHROMIUM"), *map(shutil.which, NAMES), *PLACES]
    return next((path for path in found if path and Path(path).is_file()), None)


@pytest.fixture
def page():
    """A page of a real browser; it keeps what went wrong and where it sent requests."""
    path = browser_path()
    if path is None:
        pytest.fail(HELP)
    with sync_playwright() as playwright:
        root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=root)
        page = browser.new_page()
        page.hosts, page.errors = set(), []
        page.on("request", lambda request: page.hosts.add(urlsplit(request.url).hostname or "127.0.0.1"))
        page.on("console", lambda line: page.errors.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        yield page
        browser.close()


@pytest.fixture
def classifier(tiny_bert, tmp_path):
    """The folder of a saved classifier whose weights are random."""
    recipe = finetuning.Recipe(seed=1)
    tokenizer, model = finetuning.new_classifier(("negative", "positive"), recipe, str(tiny_bert))
    torch.nn.init.normal_(model.classifier.weight, std=3)
    model.save_pretrained(tmp_path / "classifier")
    tokenizer.save_pretrained(tmp_path / "classifier")
    return tmp_path / "classifier"


@pytest.fixture
def ask(tiny_bert):
    recipe = finetuning.Recipe()
    tokenizer, model = finetuning.new_model("question-answering", recipe, name=str(tiny_bert))
    return retrieval.help_desk(tokenizer, model, PASSAGES, max_length=64, stride=8)


def marked_in(shown: str) -> str:
    return html.unescape(re.search("<mark>(.*)</mark>", shown)[1])


def refuses(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5)
    except (urllib.error.URLError, ConnectionError):
        return True
    return False


# ---------------------------------------------------------------------------------- in the browser


def test_a_person_types_and_the_answer_changes(page, classifier, ask, monkeypatch):
    asked, look_up = set(), socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **more: asked.add(host) or look_up(host, *rest, **more)
    )
    judge = demo.judge_with(classifier)
    with demo.start(demo.build(judge, ask)) as running:
        assert urlsplit(running.address).hostname == "127.0.0.1"
        page.goto(running.address)
        seen = []
        for text in ("good lamp", "very bad chair. not good", "the the the"):
            page.get_by_label("Your review").fill(text)
            page.get_by_role("button", name="Judge").click()
            best = max(judge(text).values())
            expect(page.get_by_text(f"{round(100 * best)}%").first).to_be_visible(timeout=15_000)
            seen.append(page.inner_text("body"))
        assert len(set(seen)) > 1
        page.get_by_label("Your review").fill("  ")
        page.get_by_role("button", name="Judge").click()
        expect(page.get_by_text("Type a review first.").first).to_be_visible(timeout=15_000)

        page.get_by_role("tab", name="Help desk").click()
        for question in ("May a mattress be returned?", "What warranty has the lamp?"):
            page.get_by_label("Your question").fill(question)
            page.get_by_role("button", name="Ask", exact=True).click()
            expect(page.locator("mark")).to_have_text(marked_in(ask(question)), timeout=15_000)
    assert page.errors == []
    assert page.hosts == {"127.0.0.1"}
    assert asked <= {"127.0.0.1", "localhost", None}
    assert refuses(running.address)


def test_without_a_browser_the_test_says_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(f"{__name__}.PLACES", ())
    assert browser_path() is None
    assert "apt-get install chromium" in HELP and "CHROMIUM" in HELP


# ------------------------------------------------------------------------------------ by a program


def test_a_program_gets_what_the_functions_return_and_the_app_stops(classifier, ask):
    judge = demo.judge_with(classifier)
    running = demo.start(demo.build(judge, ask))
    try:
        client = Client(running.address, verbose=False)
        found = client.predict("bad lamp", api_name="/judge")
        assert {row["label"]: row["confidence"] for row in found["confidences"]} == pytest.approx(
            judge("bad lamp"), abs=1e-6
        )
        assert client.predict("mattress", api_name="/ask") == ask("mattress")
        with pytest.raises(Exception, match="Type a question first"):
            client.predict(" ", api_name="/ask")
    finally:
        running.stop()
    assert refuses(running.address)


def test_two_apps_have_two_addresses_and_a_taken_port_is_one_line():
    app, other = (demo.build(lambda text: {"long": 1.0}, str) for _ in range(2))
    with demo.start(app) as first, demo.start(other) as second:
        assert first.address != second.address
        port = urlsplit(first.address).port
        with pytest.raises(demo.DemoError) as error:
            demo.start(demo.build(lambda text: {"long": 1.0}, str), port=port)
        assert_one_line(error, str(port), "cannot start")
    assert refuses(first.address) and refuses(second.address)


def test_a_proxy_is_never_asked_for_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nobody is there
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "school.example")
    with demo.start(demo.build(lambda text: {"long": 1.0}, str)) as running:
        assert not refuses(running.address)
    assert os.environ["NO_PROXY"].split(",") == ["school.example", "127.0.0.1", "localhost"]


# ------------------------------------------------------------------------------------ its functions


def test_a_judge_gives_probabilities_under_the_labels_of_the_classifier(classifier):
    judge = demo.judge_with(classifier)
    assert set(judge("good")) == {"negative", "positive"}
    assert math.isclose(sum(judge("good " * 500).values()), 1, abs_tol=1e-5)
    with pytest.raises(ValueError) as error:
        judge("\n ")
    assert_one_line(error, "Type a review")


def test_the_help_desk_marks_a_span_of_the_passage_that_shares_words(ask):
    found = ask("How long is the warranty of the lamp?")
    assert marked_in(found) in PASSAGES[1] and marked_in(ask("mattress")) in PASSAGES[0]
    assert found.count("<mark>") == found.count("</mark>") == 1
    assert "shares no word" in ask("zebra")
    with pytest.raises(ValueError) as error:
        retrieval.help_desk(None, None, [])
    assert_one_line(error, "nothing to read")


def test_what_the_passage_holds_is_shown_and_never_run():
    context = "before <script>alert(1)</script> behind"
    span = answer_spans.Candidate(context[7:32], 7, 32, 1.0, 0.5)
    answer = answer_spans.Answer([span], null_score=3.0, null_probability=0.5)
    shown = retrieval.marked(context, answer, threshold=1.0)
    assert "<script>" not in shown and "<mark>&lt;script&gt;" in shown
    assert "keep silent" in shown and "keep silent" not in retrieval.marked(context, answer)
