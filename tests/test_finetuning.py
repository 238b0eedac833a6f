"""Fine-tuning: the recipe does what it says, and a run that was cut off ends as if it had not been."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset
from helpers import ROOT, assert_one_line, truncate
from transformers import TrainerCallback

from utils import checkpoints, finetuning, models
from utils.checkpoints import CheckpointError
from utils.finetuning import Recipe, train
from utils.profile import get_profile

LABELS = ("bad", "good")
TINY = Recipe(epochs=3, batch_size=4, learning_rate=1e-3, head_learning_rate=5e-3, max_length=16)
SAVED = ("model.safetensors", "trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth")


@pytest.fixture
def plain_cpu(monkeypatch):
    """float32 on the CPU, for tests that compare numbers: with bfloat16 two equal ways differ."""
    monkeypatch.setattr(finetuning, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(finetuning, "dtype", lambda: torch.float32)


def examples(count=24, flipped=False) -> Dataset:
    texts = [f"the {'very ' * (i % 4)}{LABELS[i % 2]} {'lamp' if i % 3 else 'chair'}" for i in range(count)]
    return Dataset.from_dict({"text": texts, "label": [(i + flipped) % 2 for i in range(count)]})


def prepare(folder, recipe=TINY, **options):
    """Return (model, training rows, validation rows) for the tiny BERT in `folder`."""
    tokenizer, model = finetuning.new_classifier(LABELS, recipe, str(folder), **options)
    training, validation = examples(), examples(6)
    return model, *(finetuning.encode(tokenizer, part, recipe.max_length) for part in (training, validation))


def weights(model) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def assert_equal_weights(first, second):
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(
            first[name], second[name], rtol=0, atol=0, msg=lambda text, name=name: f"{name}: {text}"
        )


def differs(first, second) -> list[str]:
    return [name for name in first if not torch.equal(first[name], second[name])]


# ------------------------------------------------------------------------------------ recipe and tensors


def test_the_recipe_takes_the_profiles_knobs_and_then_the_changes():
    recipe = Recipe.from_profile(epochs=7, seed=3)
    profile = get_profile()
    assert (recipe.epochs, recipe.seed) == (7, 3)
    assert (recipe.batch_size, recipe.max_length) == (profile.batch_size, profile.max_length)
    assert (recipe.learning_rate, recipe.head_learning_rate) == (
        profile.learning_rate,
        profile.head_learning_rate,
    )
    assert Recipe.from_profile(get_profile("full")).learning_rate == get_profile("full").learning_rate


def test_a_misspelt_change_is_an_error():
    with pytest.raises(TypeError):
        Recipe.from_profile(lerning_rate=1)


def test_texts_are_cut_and_not_padded(tiny_bert):
    tokenizer = models.load_tokenizer(str(tiny_bert))
    rows = finetuning.encode(
        tokenizer, Dataset.from_dict({"text": ["good", "the very bad lamp"], "label": [1, 0]}), 5
    )
    assert [len(row["input_ids"]) for row in rows] == [3, 5]
    assert [row["labels"] for row in rows] == [1, 0]
    assert tokenizer.decode(rows[1]["input_ids"]) == "[CLS] the very bad [SEP]"
    assert "labels" not in finetuning.encode(tokenizer, Dataset.from_dict({"text": ["good"]}), 5)[0]


def test_a_batch_is_padded_to_its_longest_row():
    batch = finetuning.collate(
        [{"input_ids": [2, 7, 3], "labels": 1}, {"input_ids": [2, 7, 8, 9, 3], "labels": 0}]
    )
    assert batch["input_ids"].tolist() == [[2, 7, 3, 0, 0], [2, 7, 8, 9, 3]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch["labels"].tolist() == [1, 0]


def test_a_batch_of_hidden_states_has_no_ids():
    rows = [
        {"input_ids": [2, 3], "hidden_states": torch.ones(2, 4)},
        {"input_ids": [2, 7, 3], "hidden_states": torch.ones(3, 4)},
    ]
    batch = finetuning.collate(rows)
    assert set(batch) == {"hidden_states", "attention_mask"}
    assert batch["hidden_states"].shape == (2, 3, 4) and batch["hidden_states"][0, 2].tolist() == [0, 0, 0, 0]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]


def test_several_labels_make_a_matrix():
    batch = finetuning.collate(
        [{"input_ids": [2, 3], "labels": [0, 1, 1]}, {"input_ids": [2, 3], "labels": [1, 0, 0]}]
    )
    assert batch["labels"].tolist() == [[0, 1, 1], [1, 0, 0]]


def test_batches_by_length_hold_every_row_once_and_like_with_like():
    rows = [{"input_ids": [0] * length} for length in (9, 2, 7, 3, 8)]
    batches = finetuning.batches_by_length(rows, 2)
    assert batches == [[1, 3], [2, 4], [0]]


def test_predictions_come_in_the_order_of_the_rows(tiny_bert):
    model, rows, _ = prepare(tiny_bert)
    model.train()
    logits = finetuning.predict(model, rows, batch_size=5)
    one_by_one = np.concatenate([finetuning.predict(model, [row]) for row in rows])
    np.testing.assert_allclose(logits, one_by_one, atol=1e-5)
    assert logits.shape == (24, 2) and len(np.unique(logits[:, 0].round(4))) >= 8  # order matters here


def test_vectors_come_in_the_order_of_the_rows(tiny_bert):
    tokenizer, encoder = models.load("encoder", str(tiny_bert))
    rows = finetuning.encode(tokenizer, examples(), 16)
    vectors = finetuning.embed(encoder, rows, batch_size=5)
    assert vectors.shape == (24, 32)
    for row, vector in zip(rows, vectors, strict=True):
        with torch.no_grad():
            expected = encoder(torch.tensor([row["input_ids"]])).last_hidden_state[0].mean(0)
        np.testing.assert_allclose(vector, expected, atol=1e-5)


# ------------------------------------------------------------------------------------------ training


def test_training_on_this_machines_own_device_lowers_the_loss_and_learns(tiny_bert, capsys):
    model, rows, validation = prepare(tiny_bert)
    result = train(model, rows, replace(TINY, epochs=6), validation)
    first, last = result.history[0], result.history[-1]
    assert last["training loss"] < 0.5 * first["training loss"]
    assert last["validation accuracy"] == 1.0 and last["validation f1"] == 1.0
    assert [row["epoch"] for row in result.history] == [1, 2, 3, 4, 5, 6]
    assert result.seconds > 0 and result.folder is None
    assert not model.training
    assert "step 36 of 36" in capsys.readouterr().out


def test_a_normal_run_warns_of_nothing(tiny_bert, tmp_path, capfd, plain_cpu):
    model, rows, validation = prepare(tiny_bert, replace(TINY, frozen_layers=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(model, rows, replace(TINY, frozen_layers=1), validation, tmp_path / "run")
    said, errors = capfd.readouterr()
    assert errors == ""
    assert said.count("\n") == 1 and "done in" in said


def test_one_seed_gives_one_result_on_one_thread(tiny_bert, plain_cpu):
    results = []
    for seed in (0, 0, 1):
        recipe = replace(TINY, seed=seed, dropout=0.1)  # dropout draws numbers in every step
        model, rows, _ = prepare(tiny_bert, recipe)
        train(model, rows, recipe)
        results.append(weights(model))
    assert_equal_weights(results[0], results[1])
    assert differs(results[0], results[2])


@pytest.mark.parametrize("layers", [1, 2])
def test_states_computed_once_train_the_same_model(tiny_bert, plain_cpu, monkeypatch, layers):
    recipe = replace(TINY, frozen_layers=layers)
    model, rows, validation = prepare(tiny_bert, recipe)
    start = weights(model)
    cached = train(model, rows, recipe, validation)
    other, rows, validation = prepare(tiny_bert, recipe)
    monkeypatch.setattr(finetuning, "with_lower_states", lambda model, rows: rows)
    uncached = train(other, rows, recipe, validation)
    for a, b in zip(cached.history, uncached.history, strict=True):
        assert a["training loss"] == pytest.approx(b["training loss"], abs=1e-4)
        assert a["validation loss"] == pytest.approx(b["validation loss"], abs=1e-4)
    frozen = ("bert.embeddings.", *(f"bert.encoder.layer.{index}." for index in range(layers)))
    assert all(name.startswith(frozen) == (name not in differs(start, weights(model))) for name in start)


def test_lower_states_have_the_length_of_their_row(tiny_bert, plain_cpu):
    model, rows, _ = prepare(tiny_bert, replace(TINY, frozen_layers=1))
    extended = finetuning.with_lower_states(model, rows, batch_size=5)
    for row, new in zip(rows, extended, strict=True):
        assert "hidden_states" not in row  # the learner's rows stay as they are
        assert new["input_ids"] == row["input_ids"] and new["labels"] == row["labels"]
        alone = torch.tensor([row["input_ids"]])
        torch.testing.assert_close(
            new["hidden_states"], model.lower(alone, torch.ones_like(alone))[0], rtol=0, atol=1e-5
        )


def test_encoder_and_head_have_their_own_rates_and_frozen_weights_none(tiny_bert):
    recipe = replace(TINY, frozen_layers=1, learning_rate=3e-5, head_learning_rate=7e-4, weight_decay=0.01)
    model, _, _ = prepare(tiny_bert, recipe)
    encoder, head = finetuning.optimizer(model, recipe).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert (encoder["lr"], head["lr"], encoder["weight_decay"]) == (3e-5, 7e-4, 0.01)
    assert {names[id(p)] for p in encoder["params"]} == {
        n for n in names.values() if n.startswith("bert.encoder.layer.1.")
    }
    assert {names[id(p)] for p in head["params"]} == {"classifier.weight", "classifier.bias"}


def test_both_rates_warm_up_and_go_down_to_nothing(tiny_bert, plain_cpu, monkeypatch):
    seen = []

    class Watch(finetuning.ProgressLine):
        def on_step_end(self, args, state, control, optimizer=None, **kwargs):
            seen.append([group["lr"] for group in optimizer.param_groups])

    monkeypatch.setattr(finetuning, "ProgressLine", Watch)
    recipe = replace(TINY, epochs=2, warmup=0.25)  # 12 steps, 3 of them with a rising rate
    model, rows, _ = prepare(tiny_bert, recipe)
    train(model, rows, recipe)
    encoder, head = zip(*seen, strict=True)
    assert np.allclose(np.array(head) / 5, encoder)
    assert max(encoder) == pytest.approx(recipe.learning_rate)
    assert encoder[0] < encoder[1] < encoder[2] and encoder[-1] == 0
    assert list(encoder[2:]) == sorted(encoder[2:], reverse=True)


def test_several_labels_are_scored_one_by_one(tiny_bert, plain_cpu):
    model, rows, validation = prepare(tiny_bert, multi_label=True)
    rows, validation = ([row | {"labels": [row["labels"], 1]} for row in part] for part in (rows, validation))
    history = train(model, rows, replace(TINY, epochs=6), validation).history
    assert history[-1]["validation f1"] == 1.0 and "validation accuracy" not in history[-1]


def worsening(tiny_bert):
    """A model, rows, and validation rows with the opposite labels: the first epoch is the best."""
    model, rows, validation = prepare(tiny_bert)
    return model, rows, [row | {"labels": 1 - row["labels"]} for row in validation]


def test_patience_ends_a_run_that_gets_worse(tiny_bert, plain_cpu):
    model, rows, validation = worsening(tiny_bert)
    history = train(model, rows, replace(TINY, epochs=8, patience=2), validation).history
    assert [row["epoch"] for row in history] == [1, 2, 3]


def test_patience_without_validation_rows_is_refused_before_training(tiny_bert, tmp_path):
    model, rows, _ = prepare(tiny_bert)
    with pytest.raises(ValueError) as error:
        train(model, rows, replace(TINY, patience=1), folder=tmp_path / "run")
    assert_one_line(error, "patience needs validation rows", "patience=0")
    assert not (tmp_path / "run").exists()


def test_without_patience_every_epoch_is_run(tiny_bert, plain_cpu):
    model, rows, validation = worsening(tiny_bert)
    assert len(train(model, rows, replace(TINY, epochs=4), validation).history) == 4


def test_the_best_epochs_weights_are_loaded_at_the_end(tiny_bert, plain_cpu, tmp_path):
    model, rows, validation = worsening(tiny_bert)
    history = train(model, rows, replace(TINY, epochs=4), validation, tmp_path / "run").history
    losses = [row["validation loss"] for row in history]
    logits = torch.tensor(finetuning.predict(model, validation))
    loss = torch.nn.functional.cross_entropy(
        logits, torch.tensor([row["labels"] for row in validation])
    ).item()
    assert losses[0] < losses[-1]
    assert loss == pytest.approx(min(losses), abs=1e-4)


# ---------------------------------------------------------------------------------------- checkpoints

CHILD = """
import os, signal, sys
import torch
from datasets import Dataset
from utils import finetuning
from utils.finetuning import Recipe

torch.set_num_threads(1)
finetuning.device, finetuning.dtype = lambda: torch.device("cpu"), lambda: torch.float32

class Cut(finetuning.ProgressLine):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == {step}:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

finetuning.ProgressLine = Cut
recipe = Recipe(**{recipe})
tokenizer, model = finetuning.new_classifier({labels}, recipe, {backbone!r})
rows, validation = (finetuning.encode(tokenizer, Dataset.from_dict(part), recipe.max_length) for part in {parts})
finetuning.train(model, rows, recipe, validation, {folder!r})
"""


@pytest.fixture
def steps(monkeypatch):
    """The numbers of the steps that are really run: a resumed run leaves out the first ones."""
    numbers = []

    class Count(finetuning.ProgressLine):
        def on_step_end(self, args, state, control, **kwargs):
            numbers.append(state.global_step)

    monkeypatch.setattr(finetuning, "ProgressLine", Count)
    return numbers


def run_until(step, tiny_bert, recipe, folder):
    """Train in another process that is killed in the middle of a step, as by the out-of-memory killer."""
    parts = [examples().to_dict(), examples(6).to_dict()]
    code = CHILD.format(
        step=step,
        recipe=recipe.__dict__,
        labels=LABELS,
        backbone=str(tiny_bert),
        parts=parts,
        folder=str(folder),
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_a_killed_run_goes_on_to_the_same_weights(tiny_bert, plain_cpu, tmp_path, capfd, steps):
    recipe = replace(TINY, dropout=0.1, warmup=0.25)  # 18 steps; the first checkpoint is written after step 6
    child = run_until(9, tiny_bert, recipe, tmp_path / "run")
    assert child.returncode in (-signal.SIGTERM, -getattr(signal, "SIGKILL", 9), 1), child.stderr
    assert child.stderr == ""
    assert [path.name for path in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-6"]

    model, rows, validation = prepare(tiny_bert, recipe)
    straight = train(model, rows, recipe, validation, tmp_path / "straight")
    other, rows, validation = prepare(tiny_bert, recipe)
    capfd.readouterr()
    steps.clear()
    resumed = train(other, rows, recipe, validation, tmp_path / "run")
    assert steps == list(range(7, 19))
    assert capfd.readouterr().err == ""
    assert_equal_weights(weights(other), weights(model))
    assert [row["validation loss"] for row in resumed.history] == [
        row["validation loss"] for row in straight.history
    ]
    last = [tmp_path / run / "checkpoint-18" / "model.safetensors" for run in ("run", "straight")]
    assert last[0].read_bytes() == last[1].read_bytes()  # also where an earlier epoch was the best


@pytest.fixture
def finished(tiny_bert, plain_cpu, tmp_path):
    """The folder of a finished run with two checkpoints (after epochs 2 and 3), and its final weights."""
    model, rows, validation = prepare(tiny_bert)
    train(model, rows, TINY, validation, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").glob("checkpoint-*")) == [
        "checkpoint-12",
        "checkpoint-18",
    ]
    return tmp_path / "run", weights(model)


def spoil(path, how):
    """Damage a file: "missing", "empty", or cut in the middle ("cut")."""
    if how == "missing":
        path.unlink()
    else:
        truncate(path, 0 if how == "empty" else 0.5)


def test_a_good_folder_gives_its_newest_checkpoint_and_says_nothing(finished, capsys):
    folder, _ = finished
    capsys.readouterr()
    assert checkpoints.last_good_checkpoint(folder) == str(folder / "checkpoint-18")
    assert checkpoints.last_good_checkpoint(folder.parent / "empty") is None
    assert capsys.readouterr().out == ""


def test_checkpoints_are_ordered_by_number_not_by_name(finished):
    folder, _ = finished
    shutil.copytree(folder / "checkpoint-18", folder / "checkpoint-100")
    assert checkpoints.last_good_checkpoint(folder) == str(folder / "checkpoint-100")


def test_every_kind_of_damage_is_skipped_with_a_line(finished, tmp_path, capsys):
    folder, _ = finished
    for name in SAVED:
        for how in ("missing", "empty", "cut"):
            copy = shutil.copytree(folder, tmp_path / f"{name}-{how}")
            spoil(copy / "checkpoint-18" / name, how)
            capsys.readouterr()
            assert checkpoints.last_good_checkpoint(copy) == str(copy / "checkpoint-12"), (name, how)
            problem = f"{name} is {'missing' if how == 'missing' else 'damaged'}"
            assert capsys.readouterr().out == f"Skipped checkpoint-18: {problem}.\n"


@pytest.mark.parametrize(
    ("name", "how"),
    [("optimizer.pt", "missing"), ("model.safetensors", "cut"), ("trainer_state.json", "cut")],
)
def test_a_run_goes_on_from_the_older_checkpoint_to_the_same_weights(
    finished, tiny_bert, capsys, name, how, steps
):
    """Without optimizer.pt the Trainer alone would go on in silence, with other results."""
    folder, expected = finished
    spoil(folder / "checkpoint-18" / name, how)
    model, rows, validation = prepare(tiny_bert)
    train(model, rows, TINY, validation, folder)
    assert "Skipped checkpoint-18" in capsys.readouterr().out
    assert steps == list(range(13, 19))
    assert_equal_weights(weights(model), expected)


def test_when_all_are_damaged_the_run_starts_over_and_says_so(finished, tiny_bert, capsys, steps):
    folder, expected = finished
    for checkpoint in folder.glob("checkpoint-*"):
        spoil(checkpoint / "model.safetensors", "cut")
    model, rows, validation = prepare(tiny_bert)
    result = train(model, rows, TINY, validation, folder)
    said = capsys.readouterr().out
    assert "Skipped checkpoint-18" in said and "Skipped checkpoint-12" in said
    assert "No complete checkpoint is left: the run starts from the beginning." in said
    assert [row["epoch"] for row in result.history] == [1, 2, 3] and steps[0] == 1
    assert_equal_weights(weights(model), expected)


def test_a_finished_run_is_not_trained_again(finished, tiny_bert, steps):
    folder, expected = finished
    model, rows, validation = prepare(tiny_bert)
    assert len(train(model, rows, TINY, validation, folder).history) == 3
    assert steps == []
    assert_equal_weights(weights(model), expected)


def test_a_folder_with_another_recipe_or_other_rows_is_refused(finished, tiny_bert):
    folder, _ = finished
    model, rows, validation = prepare(tiny_bert)
    before = weights(model)
    for recipe, part in ((replace(TINY, epochs=4), rows), (TINY, rows[:20])):
        with pytest.raises(CheckpointError) as error:
            train(model, part, recipe, validation, folder)
        assert_one_line(error, str(folder), "another recipe or other data", "choose another folder")
    assert not differs(before, weights(model))
    assert json.loads((folder / "recipe.json").read_text())["epochs"] == TINY.epochs


def test_progress_is_one_line_in_a_terminal(capsys):
    state = type("State", (), {"global_step": 5, "max_steps": 10})
    line = finetuning.ProgressLine()
    assert isinstance(line, TrainerCallback)
    line.on_train_begin(None, state, None)
    line.on_step_end(None, state, None)
    line.on_log(None, state, None, logs={"loss": 0.25})
    line.on_step_end(None, state, None)  # too soon after the last one: not shown
    line.on_train_end(None, state, None)
    said = capsys.readouterr().out
    assert said.count("\r") == 2 and said.count("\n") == 1
    assert "s left" in said.split("\r")[1] and "loss 0.250, done in" in said.split("\r")[2]
