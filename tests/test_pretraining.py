"""A pre-training run: its losses, its schedule, what survives a kill, and what transformers loads."""

import copy
import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from helpers import ROOT, assert_one_line, some_documents

from utils.bert import BertForPreTraining, Config
from utils.pretraining import __main__ as command
from utils.pretraining import loop, saves, vocabulary_loss
from utils.pretraining.batches import NO_LABEL, Batches
from utils.pretraining.loop import Stopped, pretrain
from utils.pretraining.muon import Float32Muon
from utils.pretraining.recipe import Recipe, RecipeError
from utils.pretraining.report import hand_over, with_earlier
from utils.pretraining.steps import Learner, head_start, optimizers
from utils.pretraining.tokens import Tokens
from utils.pretraining.widen import widen

SMALL = {"vocab_size": 300, "lengths": ((0.0, 32),), "max_length": 32, "batch_tokens": (256, 256)}


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_losses_and_their_gradients_are_transformers_own(tokens, tokenizer, layers):
    torch.manual_seed(0)
    model = BertForPreTraining(Config(len(tokenizer), 32, layers, 2, 64, 32)).eval()
    batch = Batches(tokens, tokenizer, True, 0).next(8, 32, 0.15)
    labels = torch.full_like(batch.input_ids, NO_LABEL).scatter(1, batch.positions, batch.labels)
    standard = model.to_transformers().eval()
    theirs = standard(
        batch.input_ids,
        token_type_ids=batch.token_type_ids,
        labels=labels,
        next_sentence_label=batch.next_sentence,
    )
    loss, shown = Learner(model, True)(batch)
    assert loss.item() == pytest.approx(theirs.loss.item(), abs=1e-5)
    guesses = theirs.prediction_logits.argmax(-1)[labels != NO_LABEL]
    assert shown[1].item() == pytest.approx(
        (guesses == labels[labels != NO_LABEL]).float().mean().item(), abs=1e-6
    )
    loss.backward()
    theirs.loss.backward()
    gradients = copy.deepcopy(model)
    for parameter, learned in zip(gradients.parameters(), model.parameters(), strict=True):
        parameter.data = learned.grad
    gradients = dict(gradients.to_transformers().named_parameters())  # each by transformers' name
    for name, parameter in standard.named_parameters():
        assert torch.allclose(gradients[name], parameter.grad, atol=1e-6, rtol=1e-4), name


@pytest.mark.parametrize("at_a_time", [8_000_000, 3000, 1])
def test_the_vocabulary_loss_and_its_gradients_are_torchs(monkeypatch, at_a_time):
    monkeypatch.setattr(vocabulary_loss, "MEMORY", at_a_time)
    torch.manual_seed(0)
    inputs = [(20 * torch.randn(shape)).requires_grad_() for shape in ((50, 16), (300, 16), (300,))]
    labels = torch.randint(0, 300, (50,))
    loss, hits = vocabulary_loss.VocabularyLoss.apply(*inputs, labels, torch.float32)
    scores = torch.nn.functional.linear(*inputs)
    expected = torch.nn.functional.cross_entropy(scores, labels)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert hits.item() == pytest.approx((scores.argmax(1) == labels).float().mean().item())
    for one, two in zip(
        torch.autograd.grad(3 * loss, inputs), torch.autograd.grad(3 * expected, inputs), strict=True
    ):
        assert torch.allclose(one, two, atol=1e-5, rtol=1e-4)


def test_the_vocabulary_loss_in_bfloat16_is_what_autocast_computes_but_for_rounding():
    torch.manual_seed(0)
    inputs = [torch.randn(shape).requires_grad_() for shape in ((200, 16), (300, 16), (300,))]
    labels = torch.randint(0, 300, (200,))
    loss, hits = vocabulary_loss.VocabularyLoss.apply(*inputs, labels, torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        scores = torch.nn.functional.linear(*inputs).float()
    expected = torch.nn.functional.cross_entropy(scores, labels)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=2e-3)
    assert hits.item() == pytest.approx((scores.argmax(1) == labels).float().mean().item(), abs=0.01)
    for one, two in zip(
        torch.autograd.grad(loss, inputs), torch.autograd.grad(expected, inputs), strict=True
    ):
        assert one.dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(one.flatten(), two.flatten(), dim=0) > 0.999
        assert one.norm() == pytest.approx(two.norm().item(), rel=0.01)


def test_a_fresh_model_starts_at_the_unigram_level_and_knows_its_places(tokens, tokenizer):
    torch.manual_seed(0)
    recipe = Recipe(steps=1, **SMALL)
    model = BertForPreTraining(recipe.bert_config(len(tokenizer)))
    batch = Batches(tokens, tokenizer, True, 0).next(64, 32, 0.15)
    before = Learner(model, True)(batch)[1][0].item()
    head_start(model, recipe, tokens.counts())
    after = Learner(model, True)(batch)[1][0].item()
    assert before > tokens.unigram_entropy() + 1 and after == pytest.approx(
        tokens.unigram_entropy(), abs=0.15
    )
    positions = model.bert.embeddings.positions.weight
    alike = positions @ positions.T
    assert torch.allclose(
        alike.diagonal(1), alike[0, 1].expand(len(alike) - 1), atol=1e-5
    )  # by distance alone
    words = model.bert.embeddings.words.weight
    assert positions.requires_grad and positions.norm(dim=1).min() > 3 * words.norm(dim=1).median()


def test_float32_muon_is_torchs_muon():
    torch.manual_seed(0)
    shapes = ((48, 48), (48, 48), (96, 48), (48, 96))
    ours = [torch.nn.Parameter(0.02 * torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    start = [p.detach().clone() for p in ours]
    pair = Float32Muon(ours, lr=0.02, weight_decay=0.1), torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1)
    for _ in range(4):
        for one, two in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            two.grad = one.grad.clone()
        for optimizer in pair:
            optimizer.step()
    for one, two, first in zip(ours, theirs, start, strict=True):
        assert (one - two).norm() < 0.03 * (one - first).norm()  # bfloat16 rounds to 1 in 256


def test_every_parameter_that_learns_has_one_optimizer():
    for objective in ("mlm", "mlm+nsp"):
        recipe = Recipe(steps=1, objective=objective)
        learner = Learner(BertForPreTraining(recipe.bert_config(300)), recipe.next_sentences)
        held = [p for o in optimizers(learner.model, recipe) for g in o.param_groups for p in g["params"]]
        assert len(held) == len({id(p) for p in held}) == sum(p.requires_grad for p in learner.parameters())


def test_schedules_follow_the_budget():
    recipe = Recipe(
        steps=100,
        lengths=((0.0, 32), (0.5, 64)),
        batch_tokens=(1024, 2048),
        mask_rates=(0.3, 0.1),
        warmup=0.1,
        decay_from=0.5,
    )
    assert [recipe.length(done) for done in (0, 0.49, 0.5, 1)] == [32, 32, 64, 64]
    assert recipe.sequences(0) * 32 == 1024 and recipe.sequences(1) * 64 == 2048
    assert recipe.mask_rate(0) == pytest.approx(0.3) and recipe.mask_rate(1) == pytest.approx(0.1)
    assert [recipe.rate_factor(done) for done in (0, 0.05, 0.1, 0.5, 0.75, 1)] == pytest.approx(
        [0, 0.5, 1, 1, 0.5, 0]
    )
    assert recipe.done(5.0, 25, 10**6) == 0.25
    assert Recipe(minutes=2).done(60, 1, 1) == 0.5 and Recipe(tokens=1000).done(1, 1, 1500) == 1


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({}, ["--minutes", "--steps", "--tokens"]),
        ({"steps": 1, "minutes": 1}, ["one of"]),
        ({"steps": -1}, ["above 0"]),
        ({"steps": 1, "config": "huge"}, ["huge", "tiny"]),
        ({"steps": 1, "mask_rates": (0.0, 0.1)}, ["mask rates", "above 0"]),
        ({"steps": 1, "lengths": ((0.0, 600),)}, ["600", "128"]),
        ({"steps": 1, "vocab_size": 70_000}, ["65536"]),
    ],
)
def test_a_wrong_recipe_gets_one_line(wrong, words):
    with pytest.raises(RecipeError) as error:
        Recipe(**wrong)
    assert_one_line(error, *words)


@pytest.mark.parametrize("objective", ["mlm", "mlm+nsp"])
def test_a_run_learns_and_transformers_loads_it(tokens, tokenizer, tmp_path, objective):
    rows = []
    recipe = Recipe(steps=150, objective=objective, **SMALL)
    model, metrics = pretrain(recipe, tokens, tokenizer, tmp_path, on_progress=rows.append)
    assert (
        metrics["held_out"]["accuracy"] > 0.4
        and metrics["held_out"]["loss"] < metrics["unigram_entropy"] - 0.5
    )
    assert metrics["left_plateau"]["step"] < 150 and rows == metrics["history"]
    assert metrics["tokens"] == 150 * 256 and ("nsp_accuracy" in metrics["held_out"]) == (
        objective == "mlm+nsp"
    )
    told = {"corpus": "x", "corpus_tokens": tokens.size(), "hardware": "a CPU"}
    hand_over(model, tokenizer, with_earlier(metrics | told, "y", None), tmp_path)
    loaded_tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    inputs = loaded_tokenizer("The lamp [MASK] when it breaks.", return_tensors="pt")
    states, pooled = model.bert(inputs["input_ids"])
    theirs = transformers.AutoModel.from_pretrained(tmp_path)(**inputs)
    assert torch.allclose(theirs.last_hidden_state, states, atol=1e-5)
    assert torch.allclose(theirs.pooler_output, pooled, atol=1e-5)
    logits = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path)(**inputs).logits
    assert torch.allclose(logits, model(inputs["input_ids"])[0], atol=1e-5)
    assert json.loads((tmp_path / "metrics.json").read_text())["steps"] == 150
    card = (tmp_path / "README.md").read_text()
    assert f"{metrics['held_out']['accuracy']:.1%}" in card and ("untrained" in card) == (objective == "mlm")


def test_a_run_in_bfloat16_follows_one_in_float32_and_is_close_to_it(
    tokens, tokenizer, tmp_path, monkeypatch
):
    curves = []
    for precision in ("no", "bf16"):  # emulated where the hardware lacks it
        monkeypatch.setattr(loop, "_precision", lambda precision=precision: precision)
        model, metrics = pretrain(Recipe(steps=6, **SMALL), tokens, tokenizer, tmp_path / precision)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        curves.append([row["loss"] for row in metrics["history"]])
    assert curves[0] != curves[1] and np.abs(np.subtract(*curves)).max() < 0.05


# ------------------------------------------------------------------------------------- crashes


def run_steps(folder, out, steps: int, save_seconds: float) -> None:
    """Run or go on; at the end save the weights. What a killed process does, in a process of its own."""
    torch.set_num_threads(1)
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "tokenizer")
    recipe = Recipe(steps=steps, **SMALL)
    model, _ = pretrain(
        recipe, Tokens(folder / "tokens"), tokenizer, out, resume=True, save_seconds=save_seconds
    )
    torch.save(model.state_dict(), out / "final.pt")


def test_a_run_killed_at_twenty_moments_ends_with_the_same_weights(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    Tokens.build(some_documents(), tokenizer, tmp_path / "tokens", progress=False)
    context = multiprocessing.get_context("forkserver")  # imports once, then forks: a kill costs no start
    context.set_forkserver_preload(["test_pretraining"])
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = context.Process(target=run_steps, args=(tmp_path, tmp_path / "whole", 120, 1e9))
    whole.start()
    whole.join(120)
    random, kills = np.random.default_rng(0), 0
    while not (tmp_path / "killed" / "final.pt").exists():
        process = context.Process(target=run_steps, args=(tmp_path, tmp_path / "killed", 120, 0.0))
        process.start()
        before = newest(tmp_path / "killed")
        while kills < 20 and process.is_alive() and newest(tmp_path / "killed") <= before:
            time.sleep(0.002)  # let it come further, then kill it at a random moment, often within a save
        process.join(random.uniform(0, 0.15) if kills < 20 else 120)
        if process.is_alive():
            process.kill()
            process.join()
            kills += 1
    assert kills == 20
    one, two = (torch.load(tmp_path / name / "final.pt") for name in ("whole", "killed"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert len(saves.checkpoints(tmp_path / "killed")) == saves.KEPT
    assert not list((tmp_path / "killed").glob(".unfinished-*"))


def newest(folder) -> int:
    return max((int(path.name.split("-")[1]) for path in saves.checkpoints(folder)), default=0)


@pytest.mark.parametrize("damage", ["cut", "changed", "no sum", "empty"])
def test_a_damaged_checkpoint_is_passed_over_and_said(tmp_path, capsys, damage):
    for step in (1, 2, 3):
        saves.save(tmp_path, step, {"step": step, "weights": torch.full((50,), float(step))})
    newest_one = tmp_path / "checkpoint-00000003"
    state = newest_one / "state.pt"
    content = state.read_bytes()
    if damage == "no sum":
        (newest_one / "sum.json").unlink()
    else:
        state.write_bytes({"cut": content[:-40], "changed": content[:-40] + b"x" * 40, "empty": b""}[damage])
    assert saves.load_last_good(tmp_path)["step"] == 2
    assert capsys.readouterr().out == "Skipped checkpoint-00000003: it is damaged.\n"
    (tmp_path / "checkpoint-00000002" / "state.pt").unlink()
    assert saves.load_last_good(tmp_path) is None
    assert "from the beginning" in capsys.readouterr().out


def test_a_full_disk_is_said_and_the_last_checkpoint_stays(tokens, tokenizer, tmp_path, monkeypatch, capsys):
    recipe = Recipe(steps=6, **SMALL)
    real = torch.save

    def full(state, file):
        if state["step"] > 3:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(state, file)

    monkeypatch.setattr(torch, "save", full)
    _, metrics = pretrain(recipe, tokens, tokenizer, tmp_path, save_seconds=0.0)
    assert metrics["steps"] == 6  # training went on
    out = capsys.readouterr()
    assert "No space left on device" in out.out + out.err and "free some space" in out.out + out.err
    assert saves.load_last_good(tmp_path)["step"] == 3
    assert not list(tmp_path.glob(".unfinished-*"))


def test_ctrl_c_saves_and_the_run_goes_on(tokens, tokenizer, tmp_path):
    recipe = Recipe(steps=30, **SMALL)

    def interrupt(row):
        if row["step"] == 9:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped) as error:
        pretrain(recipe, tokens, tokenizer, tmp_path / "a", on_progress=interrupt)
    assert_one_line(error, "stopped after 9 steps", "--resume")
    resumed, _ = pretrain(recipe, tokens, tokenizer, tmp_path / "a", resume=True)
    whole, _ = pretrain(recipe, tokens, tokenizer, tmp_path / "b")
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), whole.parameters(), strict=True))


def test_another_recipe_does_not_go_on_with_a_run(tokens, tokenizer, tmp_path):
    pretrain(Recipe(steps=2, **SMALL), tokens, tokenizer, tmp_path)
    with pytest.raises(RecipeError) as error:
        pretrain(Recipe(steps=3, **SMALL), tokens, tokenizer, tmp_path, resume=True)
    assert_one_line(error, "other settings", "another folder")


# ------------------------------------------------------------------------------------- the command


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("\n\n".join("\n".join(document) for document in some_documents()))
    return path


@pytest.fixture
def small_command(text_file, tmp_path):
    return [
        *("--corpus", str(text_file), "--vocab-size", "300", "--threads", "1"),
        *("--length", "32", "--batch-tokens", "256", "--output", str(tmp_path / "out")),
    ]


def test_the_command_leaves_a_model_its_card_and_its_curve(small_command, tmp_path, capsys):
    assert command.main([*small_command, "--steps", "5"]) == 0
    assert "Held out: loss" in capsys.readouterr().out
    for name in ("model.safetensors", "tokenizer.json", "metrics.json", "README.md", "learning_curve.png"):
        assert (tmp_path / "out" / name).stat().st_size > 0, name
    assert command.main([*small_command, "--steps", "5"]) == 2
    assert "--resume" in capsys.readouterr().err


def test_a_run_that_goes_on_from_another_tells_of_both(small_command, tmp_path):
    def run(name: str, *words: str) -> Path:
        here = [word.replace("/out", f"/{name}") for word in small_command]
        assert command.main([*here, "--steps", "3", *words]) == 0
        return tmp_path / name

    before = run("more", "--seed", "7", "--start-from", str(run("out")))
    before = run("last", "--seed", "8", "--start-from", str(before))
    metrics = json.loads((before / "metrics.json").read_text())
    assert metrics["steps"] == 9 and metrics["tokens"] == 9 * 256 == metrics["history"][-1]["tokens"]
    assert [run["seed"] for run in metrics["runs"]] == [0, 7, 8] and metrics["start"] is None
    for name in ("step", "tokens", "seconds"):
        told = [row[name] for row in metrics["history"]]
        assert told == sorted(set(told)) and told[-1] <= metrics["steps" if name == "step" else name]
        assert metrics["held_out_history"][-1][name] == metrics["held_out"][name] == told[-1]
    card = (before / "README.md").read_text()
    assert "from random weights" in card and "| seeds | 0, 7, 8 |" in card and "in 9 steps" in card
    assert all(f"    {run['command']}\n" in card for run in metrics["runs"])
    (before / "metrics.json").unlink()  # a BERT of somebody else
    theirs = run("theirs", "--start-from", str(before))
    assert "from the weights of last by" in (theirs / "README.md").read_text()


def test_mistakes_in_the_command_exit_with_2_and_one_line(small_command, text_file, tmp_path, capsys):
    text_file.write_text("One line only.")
    assert command.main([*small_command, "--steps", "5"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].split("\r")[-1].startswith("Error: the corpus has ")
    assert not (tmp_path / "out").exists() and not list((tmp_path / "cache").iterdir())
    for words, part in (
        (["--corpus", "no.txt", "--steps", "1"], "no such file"),
        (["--steps", "1", "--tokens", "5"], "one of"),
        (["--steps", "1", "--start-from", str(tmp_path)], "tokenizer"),
    ):
        assert command.main([*small_command, *words]) == 2
        err = capsys.readouterr().err
        assert part in err and err.count("\n") == 1


IN_FLOAT32 = """
import sys
from utils import profile
profile.cpu_has_bfloat16 = lambda: False
from utils.pretraining.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_two_processes_learn_what_one_does(text_file, tmp_path):
    """In float32: in bfloat16, rounding alone makes the curves differ by 2e-3."""
    curves, script = [], tmp_path / "in_float32.py"
    script.write_text(IN_FLOAT32)
    for count in (1, 2):
        out = tmp_path / f"out{count}"
        words = [
            *(
                "-m",
                "accelerate.commands.launch",
                *(
                    ["--multi_gpu"] if count > 1 else ["--cpu"]
                ),  # its name for "one process a device", gloo on a CPU
                "--num_processes",
                str(count),
                "--num_machines",
                "1",
            ),
            *("--mixed_precision", "no", "--dynamo_backend", "no", str(script)),
            *("--corpus", str(text_file), "--vocab-size", "300", "--threads", "1", "--steps", "20"),
            *("--length", "32", "--batch-tokens", "256", "--output", str(out)),
        ]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "BERT_WORKSHOP_CACHE": str(tmp_path / "cache")}
        environment["PYTHONPATH"] = str(ROOT)
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-2000:]
        metrics = json.loads((out / "metrics.json").read_text())
        assert metrics["processes"] == count and metrics["hardware"].startswith(f"{count} CPU")
        assert metrics["runs"][0]["command"].startswith(
            "accelerate launch --multi_gpu --num_processes=2" if count > 1 else "python -m"
        )
        curves.append([row["loss"] for row in metrics["history"]])
    assert len(curves[0]) == 20
    assert np.abs(np.subtract(*curves)).max() < 1e-3


def test_the_clock_of_a_budget_in_minutes_counts_across_a_resume(tokens, tokenizer, tmp_path):
    recipe = Recipe(minutes=0.05, **SMALL)
    started = time.monotonic()
    _, metrics = pretrain(recipe, tokens, tokenizer, tmp_path)
    assert 2.9 < metrics["seconds"] < time.monotonic() - started + 0.1
    assert loop.SAVE_SECONDS == 60
    _, again = pretrain(recipe, tokens, tokenizer, tmp_path, resume=True)
    assert again["steps"] == metrics["steps"]


def test_a_widened_bert_computes_the_same_and_its_copies_part(tokenizer):
    config = Config(
        len(tokenizer), 64, 2, 2, 128, 64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    narrow = BertForPreTraining(config).eval()
    torch.nn.init.normal_(narrow.masked_language_model.decoder.bias)
    wide = widen(narrow).eval()
    sizes = wide.config
    assert (sizes.hidden_size, sizes.num_attention_heads, sizes.intermediate_size) == (128, 4, 256)
    ids = torch.randint(5, len(tokenizer), (3, 20))
    mask = torch.arange(20)[None] < torch.tensor([[20], [7], [1]])
    for one, other in zip(narrow(ids, mask), wide(ids, mask), strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    wide(ids)[0].logsumexp(-1).sum().backward()
    gradient = wide.bert.blocks[0].attention.query.weight.grad
    assert not torch.allclose(gradient[:64], gradient[64:], rtol=1e-2)  # or they would stay alike for ever


def test_the_command_widens_what_it_goes_on_from(small_command, tmp_path, capsys):
    assert command.main([*small_command, "--steps", "2"]) == 0
    more = [word.replace("/out", "/more") for word in small_command]
    assert command.main([*more, "--steps", "2", "--widen", "--start-from", str(tmp_path / "out")]) == 0
    width = [
        json.loads((tmp_path / name / "config.json").read_text())["hidden_size"] for name in ("out", "more")
    ]
    assert width == [128, 256]
    capsys.readouterr()
    assert command.main([*[word.replace("/out", "/third") for word in small_command], "--widen"]) == 2
    err = capsys.readouterr().err
    assert "--start-from" in err and err.count("\n") == 1
