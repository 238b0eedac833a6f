"""What several test files need: one-line errors, scripts as modules, folders laid out like the hub cache."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel, BertTokenizer

ROOT = Path(__file__).resolve().parent.parent
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["good", "bad", "lamp", "chair", "not", "very", "the"]
VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    ".",
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS),
    *WORDS,
]


def assert_one_line(error, *words: str) -> None:
    """The message is one line and holds each of `words`."""
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message, f"{word!r} is not in {message!r}"


def load_script(path: str) -> ModuleType:
    """Import a script of the repository, such as "tools/course.py", under a name of its own.

    As when Python runs it, it may import the other scripts of its folder.
    """
    name = "script_" + path.removesuffix(".py").replace("/", "_")
    specification = importlib.util.spec_from_file_location(name, ROOT / path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses look their module up here
    sys.path.insert(0, str((ROOT / path).parent))
    try:
        specification.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


def make_tiny_bert(folder: Path) -> Path:
    """Save a random BERT (2 layers, 32 wide) in the way MiniLM is published: no prefix, a stray buffer."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    config.architectures = ["BertModel"]
    config.save_pretrained(folder)
    weights = {name: 3 * tensor.clone() for name, tensor in BertModel(config).state_dict().items()}
    weights["embeddings.position_ids"] = torch.arange(64)[None]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    vocabulary = {piece: index for index, piece in enumerate(VOCABULARY)}
    BertTokenizer(vocab=vocabulary, model_max_length=64).save_pretrained(folder)
    return folder


def hub_folder(cache: Path, name: str, revision: str, kind: str = "models") -> Path:
    """Make the folder in which the hub cache keeps `name` at `revision`."""
    repository = cache / f"{kind}--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    return snapshot


def put_in_hub(model: Path, cache: Path, name: str, revision: str) -> Path:
    """Copy the model folder `model` into the hub cache."""
    return shutil.copytree(model, hub_folder(cache, name, revision), dirs_exist_ok=True)


def change_json(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def truncate(path: Path, share: float = 0.5) -> None:
    """Cut `path` as a full disk or a lost connection does."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


NOUNS = ["lamp", "chair", "table", "shelf", "kettle", "carpet", "mirror", "clock", "drawer", "cushion"]
VERBS = ["shines", "wobbles", "breaks", "arrives", "fits", "rusts", "creaks", "leaks", "squeaks", "shrinks"]


def some_documents(count: int = 400, seed: int = 0) -> list[list[str]]:
    """Documents of 1 to 6 sentences; each document speaks of one thing."""
    random = np.random.default_rng(seed)
    documents = []
    for number in range(count):
        noun = random.choice(NOUNS)
        documents.append(
            [
                f"The {noun} number {number} {random.choice(VERBS)} when it {random.choice(VERBS)}."
                for _ in range(random.integers(1, 7))
            ]
        )
    return documents
