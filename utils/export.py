"""A fine-tuned classifier for ONNX Runtime: written as ONNX, made smaller with int8, run without torch.

Not for training (`finetuning`), and not for other heads: it exports what turns ids and a mask into logits.
"""

import contextlib
import io
import logging
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from utils.finetuning import batches_by_length, collate, in_full

INPUTS = ("input_ids", "attention_mask")
LINEAR, EMBEDDING = ("MatMul", "Gemm"), ("Gather",)  # what ONNX calls the layers that int8 makes smaller


class ExportError(RuntimeError):
    """A model cannot be exported or run; the message is one line with the remedy."""


class _Logits(nn.Module):
    """The model as a plain function of two tensors: (batch, sequence), twice -> (batch, labels)."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def to_onnx(model, path: Path) -> Path:
    """Write `model` to `path` as ONNX: `input_ids` and `attention_mask` (batch, sequence) -> `logits`.

    Batch and sequence stay free; a sequence has at most as many positions as the model. torch runs
    the model once and writes down what it computes. The file is written whole or not at all.

    Raises:
        ExportError: the model is on a GPU, or torch cannot follow it.
    """
    if model.device.type != "cpu":
        raise ExportError(f"the model is on {model.device}: export it from the CPU, `model.to('cpu')`.")
    in_full(model).eval()
    example = torch.ones(2, 8, dtype=torch.long)
    free = {0: "batch", 1: "sequence"}
    path = Path(path)
    fresh = path.with_suffix(".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _silence(), torch.no_grad():
            torch.onnx.export(
                _Logits(model),
                (example, example),
                fresh,
                input_names=list(INPUTS),
                output_names=["logits"],
                dynamic_axes=dict.fromkeys(INPUTS, free) | {"logits": {0: "batch"}},
                dynamo=False,  # the newer exporter writes the same graph in some minutes, not seconds
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, TypeError) as error:
        fresh.unlink(missing_ok=True)
        raise ExportError(f"torch cannot export this model ({_first_line(error)}): export a BERT.") from None
    os.replace(fresh, path)
    return path


def to_int8(source: Path, target: Path, layers: tuple[str, ...] = LINEAR + EMBEDDING) -> Path:
    """Write the ONNX file `source` to `target` with the weights of `layers` as whole numbers of 8 bits.

    Dynamic: the inputs of a linear layer become int8 too, when they come, with the scale of their own
    largest value. No data is needed, and nothing is trained.

    Raises:
        ExportError: `source` is missing or no ONNX file.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    source, target = _found(source), Path(target)
    fresh = target.with_suffix(".new")
    with _silence():
        try:
            quantize_dynamic(
                source,
                fresh,
                op_types_to_quantize=list(layers),
                weight_type=QuantType.QInt8,
                per_channel=True,  # a scale for each neuron: one large weight spoils its own row alone
                reduce_range=True,  # 7 bits, since processors without VNNI overflow at 8
            )
        except Exception as error:  # protobuf, onnx and onnxruntime raise many kinds for a damaged file
            raise ExportError(
                f"{source.name} is no ONNX file ({_first_line(error)}): export it again."
            ) from None
    os.replace(fresh, target)
    return target


def load(path: Path, threads: int | None = None):
    """Return an ONNX Runtime session for `path` on the CPU, with as many threads as torch has.

    Raises:
        ExportError: the file is missing or damaged.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    path = _found(path)
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no class of their own
        raise ExportError(f"{path.name} is no ONNX file ({_first_line(error)}): export it again.") from None


def predict(session, rows: list[dict], batch_size: int = 64) -> np.ndarray:
    """Return the logits (rows, labels) in the order of `rows`, in the batches of `finetuning.predict`."""
    logits = None
    for indices in batches_by_length(rows, batch_size):
        batch = collate([{"input_ids": rows[index]["input_ids"]} for index in indices])
        try:
            found = session.run(["logits"], {name: batch[name].numpy() for name in INPUTS})[0]
        except Exception as error:
            raise ExportError(
                f"ONNX Runtime refuses a batch of shape {tuple(batch['input_ids'].shape)} "
                f"({_first_line(error)}): shorten the texts to the model's positions."
            ) from None
        if logits is None:
            logits = np.zeros((len(rows), found.shape[1]), dtype=np.float32)
        logits[indices] = found
    return logits if logits is not None else np.zeros((0, 0), dtype=np.float32)


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder."""
    path = Path(path)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _found(path: Path) -> Path:
    if not Path(path).is_file():
        raise ExportError(f"there is no file {Path(path).name} in its folder: write it with to_onnx first.")
    return Path(path)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


@contextlib.contextmanager
def _silence():
    """Hold back the exporters' progress, advice and warnings inside the block."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
