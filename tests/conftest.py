"""Every test runs alone: no network, no settings from outside, one thread, and progress in its own folder."""

import os
import shutil

import matplotlib

matplotlib.use("Agg")

import datasets
import pytest
import torch
from helpers import make_tiny_bert, some_documents
from huggingface_hub import constants
from hypothesis import settings
from matplotlib import pyplot as plt

from utils.pretraining.tokens import Tokens, train_tokenizer

# The same examples in each run, so that a red build can be repeated; to look for new ones:
# .venv/bin/python -m pytest tests --hypothesis-profile=explore
settings.register_profile("repeat", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=2000, deadline=None)
settings.load_profile("repeat")


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("BERT_WORKSHOP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BERT_WORKSHOP_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setenv("BERT_WORKSHOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    plt.close("all")


@pytest.fixture
def hub(tmp_path):
    """The folder that stands for the hub cache; empty at first."""
    return tmp_path / "hub"


@pytest.fixture(scope="session")
def shared_tiny_bert(tmp_path_factory):
    return make_tiny_bert(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tiny_bert(shared_tiny_bert, tmp_path):
    """A folder with a tiny BERT and its tokenizer that the test may change."""
    return shutil.copytree(shared_tiny_bert, tmp_path / "tiny-bert")


@pytest.fixture(scope="session")
def tokenizer():
    """A WordPiece tokenizer of 300 pieces for `some_documents`."""
    return train_tokenizer(some_documents(), 300)


@pytest.fixture
def tokens(tokenizer, tmp_path):
    """`some_documents` as word pieces on disk."""
    return Tokens.build(some_documents(), tokenizer, tmp_path / "tokens", progress=False)
