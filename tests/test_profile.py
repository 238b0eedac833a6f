"""Settings: what a learner can set, and what a wrong setting gets."""

import dataclasses
import random

import numpy as np
import pytest
import torch
from helpers import assert_one_line

from utils import profile
from utils.profile import MINILM, SettingError, get_profile


def test_quick_is_the_default():
    assert get_profile() == profile.PROFILES["quick"]
    assert get_profile().backbone == MINILM
    assert get_profile().classification == "reviews"


def test_the_profile_is_chosen_by_setting_and_an_argument_wins(monkeypatch):
    monkeypatch.setenv("BERT_WORKSHOP_PROFILE", "full")
    assert get_profile().name == "full"
    assert get_profile("quick").name == "quick"


def test_an_empty_setting_counts_as_none(monkeypatch):
    for name in ("PROFILE", "BACKBONE", "DATASET", "ROWS"):
        monkeypatch.setenv(f"BERT_WORKSHOP_{name}", "")
    assert get_profile() == profile.PROFILES["quick"]


@pytest.mark.parametrize("name", ["fast", "QUICK", " full"])
def test_an_unknown_profile_is_one_line_that_lists_both(monkeypatch, name):
    monkeypatch.setenv("BERT_WORKSHOP_PROFILE", name)
    with pytest.raises(SettingError) as error:
        get_profile()
    assert_one_line(error, repr(name), "BERT_WORKSHOP_PROFILE", "quick, full")


def test_each_setting_replaces_its_knobs_and_no_other(monkeypatch):
    monkeypatch.setenv("BERT_WORKSHOP_BACKBONE", "google-bert/bert-base-uncased")
    monkeypatch.setenv("BERT_WORKSHOP_DATASET", "sst2")
    monkeypatch.setenv("BERT_WORKSHOP_READING", "squad")
    monkeypatch.setenv("BERT_WORKSHOP_ROWS", "100")
    changed = dataclasses.asdict(get_profile())
    expected = dataclasses.asdict(profile.PROFILES["quick"])
    sizes = (*(size for size in expected["data_sizes"] if size < 100), 100)
    expected |= {"backbone": "google-bert/bert-base-uncased", "classification": "sst2", "reading": "squad"}
    expected |= {"rows": 100, "evaluation_rows": 100}  # no more are scored than trained on
    assert changed == expected | {"data_sizes": sizes}


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [("10", (2, 10)), ("32", (8, 32)), ("129", (32, 128, 129)), ("9000", (32, 128, 300, 9000))],
)
def test_the_data_sizes_rise_and_end_with_the_rows(monkeypatch, rows, sizes):
    quick = dataclasses.replace(profile.PROFILES["quick"], rows=300, data_sizes=(32, 128, 300))
    monkeypatch.setitem(profile.PROFILES, "quick", quick)
    monkeypatch.setenv("BERT_WORKSHOP_ROWS", rows)
    assert (get_profile().rows, get_profile().data_sizes) == (int(rows), sizes)


@pytest.mark.parametrize("rows", ["0", "-5", "many", "1.5", "1e3", "²"])
def test_rows_that_are_no_number_are_one_line(monkeypatch, rows):
    monkeypatch.setenv("BERT_WORKSHOP_ROWS", rows)
    with pytest.raises(SettingError) as error:
        get_profile()
    assert_one_line(error, repr(rows), "BERT_WORKSHOP_ROWS", "whole number above 0")


def test_a_profile_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_profile().epochs = 99


@pytest.mark.parametrize("name", ["quick", "full"])
def test_the_knobs_fit_each_other(name):
    knobs = get_profile(name)
    assert knobs.data_sizes[-1] <= knobs.rows
    assert list(knobs.data_sizes) == sorted(knobs.data_sizes)
    assert len(set(knobs.seeds)) == len(knobs.seeds) >= 3


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, torch.float32),
        ({}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True, "avx512_bf16": False}, torch.bfloat16),
    ],
)
def test_a_cpu_gets_bfloat16_only_if_it_has_it(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert profile.dtype(torch.device("cpu")) == expected


def test_an_older_torch_that_cannot_say_gets_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert profile.dtype(torch.device("cpu")) == torch.float32


@pytest.mark.parametrize(("real", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_that_only_emulates_bfloat16_gets_float16(monkeypatch, real, expected):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: real or including_emulation
    )
    assert profile.dtype(torch.device("cuda")) == expected


def test_one_seed_repeats_python_numpy_and_torch():
    def draw(seed):
        profile.seed_everything(seed)
        return random.random(), np.random.rand(), torch.rand(1).item()

    first, again, other = draw(3), draw(3), draw(4)
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_the_thread_count_is_set_and_returned():
    assert profile.set_threads(1) == torch.get_num_threads() == 1
    assert profile.set_threads() == torch.get_num_threads() >= 1


@pytest.mark.parametrize("name", ["quick", "full"])
def test_the_summary_is_one_screen_and_names_what_counts(name):
    lines = profile.summary(get_profile(name)).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    assert get_profile(name).backbone in text and name in text and torch.__version__ in text


def test_the_summary_warns_of_little_memory(monkeypatch):
    monkeypatch.setattr(profile.psutil, "virtual_memory", lambda: type("Memory", (), {"total": 2 * 2**30}))
    assert "close other programs" in profile.summary()


def test_a_backbone_by_setting_stands_alone(monkeypatch):
    assert profile.get_profile("full").multilingual_backbone
    monkeypatch.setenv("BERT_WORKSHOP_BACKBONE", "google-bert/bert-base-uncased")
    assert profile.get_profile("full").multilingual_backbone == ""
