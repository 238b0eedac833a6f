"""The races of pre-training and the course's checkpoint: their arithmetic, on runs of a few steps."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import load_script
from transformers import AutoModelForMaskedLM, AutoTokenizer

from utils.pretraining.loop import pretrain
from utils.pretraining.recipe import Recipe
from utils.pretraining.report import hand_over, with_earlier

SMALL = {
    "vocab_size": 300,
    "lengths": ((0.0, 64),),
    "max_length": 64,
    "batch_tokens": (512, 512),
    "objective": "mlm",
}


@pytest.fixture
def race():
    return load_script("benchmarks/pretraining.py")


@pytest.fixture
def glue():
    return load_script("benchmarks/checkpoint.py")


@pytest.fixture
def run(tokens, tokenizer, tmp_path):
    """The folder of a finished run of 20 steps."""
    folder = tmp_path / "run"
    model, metrics = pretrain(Recipe(steps=20, **SMALL), tokens, tokenizer, folder)
    metrics |= {"corpus": "../somewhere/text.parquet", "corpus_tokens": tokens.size(), "hardware": "a CPU"}
    metrics = with_earlier(metrics, "python -m utils.pretraining --corpus ../a/text.parquet", None)
    hand_over(model, tokenizer, metrics, folder)
    (folder / "learning_curve.png").write_bytes(b"png")
    return folder


def test_stock_and_ours_are_measured_on_the_same_text(race, tokens, tokenizer, run):
    corpus = (tokenizer, tokens)
    rows = race.stock(Recipe(steps=1, **SMALL), corpus, 1e-3, 4, every=1)
    assert [row["step"] for row in rows] == [1, 2, 3, 4] and rows[-1]["loss"] < rows[0]["loss"]
    there = race.stock(Recipe(steps=1, **SMALL), corpus, 1e-3, 4, every=1, goal=rows[1]["loss"] + 1e-6)
    assert len(there) == 2  # it stops when it is there
    model = AutoModelForMaskedLM.from_pretrained(run)
    again = [race.held_out(model, corpus, batches=2) for _ in range(2)]
    assert again[0] == again[1] and 0 < again[0]["accuracy"] < 1
    chunks = race.Chunks(tokens, tokenizer, 64)
    assert len(chunks) == tokens.size() // 62
    assert chunks[3]["input_ids"].tolist()[1:-1] == tokens.read(0).ids[3 * 62 : 4 * 62].tolist()


def test_parts_change_one_thing_each_and_are_valid(race):
    for name, change in race.PARTS.items():
        assert len(change) == (name != "all of it")
        race.replace(race.race_recipe(1), **change)


def test_parts_are_compared_at_equal_tokens(race, tokens, tokenizer, monkeypatch, capsys):
    monkeypatch.setattr(race, "PARTS", {"all of it": {}, "half the batch": {"batch_tokens": (256, 256)}})
    monkeypatch.setattr(
        race, "race_recipe", lambda minutes, seed=0: Recipe(minutes=minutes, seed=seed, **SMALL)
    )
    found = race.parts(SimpleNamespace(seeds=2, tokens=3000), (tokenizer, tokens), {})
    assert {name: len(runs) for name, runs in found.items()} == {"all of it": 2, "half the batch": 2}
    assert all(
        run["tokens_per_second"] > 0 and 0 <= run["accuracy"] <= 1 for runs in found.values() for run in runs
    )
    assert capsys.readouterr().out.count("tokens/s") == 4


def test_glue_scores_are_the_libraries(glue):
    logits = np.array([[2.0, 1.0], [0.0, 1.0], [0.0, 3.0], [1.0, 0.0]])
    labels = np.array([0, 1, 0, 1])
    assert glue.score("accuracy", logits, labels) == {"accuracy": 50.0}
    found = glue.score("F1", logits, labels)
    assert found["F1"] == pytest.approx(50) and found["accuracy"] == 50
    assert glue.score("Matthews", logits, labels)["Matthews"] == pytest.approx(0)
    line = np.array([[1.0], [2.0], [4.0]])
    assert glue.score("Pearson", line, np.array([2.0, 3.0, 5.0])) == pytest.approx(
        {"Pearson": 100, "Spearman": 100}
    )


def test_glue_fine_tunes_one_and_two_outputs(glue, run, monkeypatch):
    texts = [["the lamp shines", "the chair breaks"][n % 2] for n in range(40)]
    rows = glue.data.Dataset.from_dict({"text": texts, "second": texts, "label": [n % 2 for n in range(40)]})
    monkeypatch.setattr(glue.data, "load", lambda task: {"train": rows, "validation": rows})
    options = SimpleNamespace(
        model=run, learning_rate=3e-3, matrix_rate=0.02, batch_size=8, max_length=32, epochs=8
    )
    for task, columns, labels, metric, least in (
        ("sst2", ("text",), ("a", "b"), "accuracy", 99),
        ("stsb", ("text", "second"), (), "Pearson", 90),
    ):
        source = SimpleNamespace(text=columns, label="label", labels=labels)
        monkeypatch.setitem(glue.data.SOURCES, task, source)
        assert glue.run(task, 0, options)[metric] > least
    runs = [{"task": "sst2", "seed": seed, "accuracy": value} for seed, value in enumerate((80.0, 82.0))]
    assert glue.summary(runs)[0] | {"std": 0} == {
        "task": "sst2",
        "metric": "accuracy",
        "mean": 81.0,
        "std": 0,
        "tiny": 83.2,
        "mini": 85.9,
    }
    assert "81.00 ± 1.41" in glue.table(runs)


def test_of_a_pair_each_text_is_read_alone(glue, run):
    tokenizer = AutoTokenizer.from_pretrained(run)
    model = glue.PairClassifier.from_pretrained(run, num_labels=2).eval()
    seen = []
    model.bert.register_forward_hook(lambda module, given, out: seen.append(out.last_hidden_state))
    first = ["the lamp shines", "the lamp"]
    with torch.inference_mode():
        for second in (["the chair breaks", "a chair"], ["a lamp", "the lamp shines"]):
            model(**tokenizer(first, second, padding=True, return_tensors="pt"))
        for text, own in zip(first, zip(*seen, strict=True), strict=True):
            alone = model.bert(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
            assert all(torch.allclose(states[: len(alone)], alone, atol=1e-5) for states in own)


def test_a_published_checkpoint_is_half_as_large_and_says_where_it_comes_from(glue, run, tmp_path, capsys):
    tool = load_script("tools/publish_checkpoint.py")
    scores = tmp_path / "scores.json"
    scores.write_text(json.dumps({"runs": [{"task": "sst2", "seed": 0, "accuracy": 81.0}]}))
    target = tmp_path / "published"
    sys.modules.setdefault("checkpoint", glue)
    assert tool.main([str(run), "--scores", str(scores), "--target", str(target)]) == 0
    assert (
        target.joinpath("model.safetensors").stat().st_size
        < 0.6 * run.joinpath("model.safetensors").stat().st_size
    )
    one, two = (AutoModelForMaskedLM.from_pretrained(folder) for folder in (run, target))
    assert two.dtype == torch.float32
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-3, rtol=1e-3)
    assert len(AutoTokenizer.from_pretrained(target)) == 300
    card = (target / "README.md").read_text()
    assert "# published\n" in card and 'from_pretrained("published")' in card
    assert (
        "CC BY-SA" in card and "81.0 ± 0.0" in card and "--corpus text.parquet" in card and "../" not in card
    )
    assert "../" not in (target / "metrics.json").read_text()
    (run / "README.md").unlink()
    capsys.readouterr()  # transformers' bars
    assert tool.main([str(run), "--target", str(target)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
