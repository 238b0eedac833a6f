"""The exercises of notebook 01."""

import math

import torch
from torch import Tensor

from utils.checks import Exercise, named_mistake


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a.float(), b.float(), atol=1e-4)


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def _sum(inputs, weights) -> float:
    return sum(w * value for w, value in zip(weights, inputs, strict=True))


def neuron(inputs: list[float], weights: list[float], bias: float) -> float:
    return _sigmoid(_sum(inputs, weights) + bias)


def _neuron_problem(answer) -> str | None:
    value = answer([1.0, 2.0], [3.0, -1.0], 1.0)  # z = 3 - 2 + 1 = 2
    if not isinstance(value, (int, float)) and not (isinstance(value, Tensor) and value.numel() == 1):
        return f"it gives {value!r}; it must give one number."
    value = float(value)
    sentences = {
        2.0: "that is the sum z itself; send it through the sigmoid.",
        _sigmoid(1): "the bias is missing: add it to the weighted sum before the sigmoid.",
        _sigmoid(0): "the bias is subtracted; it must be added.",
        _sigmoid(3): "the bias is added once for each input; it must be added once in all.",
        _sigmoid(
            -2
        ): "your sigmoid falls as z rises; it must be 1 / (1 + e^-z), with a minus in the exponent.",
        _sigmoid(1) + 1: "the bias is added after the sigmoid; it belongs into the sum z, before it.",
    }
    if mistake := named_mistake(value, sentences, rel_tol=1e-6):
        return mistake
    if not math.isclose(value, _sigmoid(2), rel_tol=1e-6):
        return f"inputs (1, 2), weights (3, -1) and bias 1 give {value:.3g}; z is 3 - 2 + 1 = 2, and its sigmoid is 0.881."
    value = float(answer([1.0, 0.0, 2.0], [1.0, 1.0, -1.0], 0.0))
    if not math.isclose(value, _sigmoid(-1), rel_tol=1e-6):
        return "it is right for two inputs and wrong for three; a neuron may have any number of them."
    return None


def hidden_gradients(x: Tensor, a: Tensor, w2: Tensor, delta: Tensor) -> Tensor:
    return torch.outer(x, delta * w2 * (a > 0))


def _gradients_problem(answer) -> str | None:
    x, a, w2 = torch.tensor([1.0, 2.0]), torch.tensor([0.5, -1.5, 2.0]), torch.tensor([1.0, -2.0, 3.0])
    delta = torch.tensor(0.5)
    value = answer(x, a, w2, delta)
    if not isinstance(value, Tensor):
        return f"it gives a {type(value).__name__}; it must give one tensor."
    right = hidden_gradients(x, a, w2, delta)  # (2, 3)
    if value.shape == (3,):
        return "that is one number for each hidden neuron, the gradient of a; W1 has one for each input and neuron: use torch.outer."
    if value.shape == (3, 2):
        return "your table has a row for each neuron; W1 has a row for each input: swap the two arguments of torch.outer."
    if value.shape != (2, 3):
        return f"for 2 inputs and 3 neurons it has shape {tuple(value.shape)}; it must be (2, 3)."
    if _close(value, torch.outer(x, delta * w2)):
        return "the slope of ReLU is missing: where a is below 0 the gradient must be 0."
    if _close(value, torch.outer(x, w2 * (a > 0))):
        return "delta is missing: every gradient before z is multiplied by it."
    if _close(value, torch.outer(x, delta * torch.relu(a))):
        return "you went on with h instead of w2; on its way back from z to h the gradient is multiplied by the weight w2."
    if _close(value, -right):
        return "the sign is wrong; the minus comes later, in the step."
    if not _close(value, right):
        return "the shape is right, but entry (i, j) must be x_i times delta times w2_j, and 0 where a_j is below 0."
    return None


def clip(gradients: list[Tensor], limit: float) -> list[Tensor]:
    norm = torch.sqrt(sum((gradient**2).sum() for gradient in gradients))
    return [gradient * min(1.0, limit / norm.item()) for gradient in gradients]


def _clip_problem(answer) -> str | None:
    gradients = [torch.tensor([2.0, 1.0]), torch.tensor([[2.0, 4.0]])]  # norm 5
    values = answer([gradient.clone() for gradient in gradients], 2.5)
    if not isinstance(values, (list, tuple)) or len(values) != 2:
        return "it must give a list with one tensor for each gradient."

    def gives(expected: list[Tensor]) -> bool:
        return all(map(_close, values, expected))

    if gives(gradients):
        return "nothing changed, though the gradients (2, 1) and (2, 4) have the norm 5 and the limit is 2.5."
    if gives([gradient.clamp(-2.5, 2.5) for gradient in gradients]):
        return (
            "you cut each number by itself, which changes the direction; multiply all of them by one factor."
        )
    if gives([gradient * min(1.0, 2.5 / gradient.norm().item()) for gradient in gradients]):
        return "you clipped each tensor by itself; take one norm over all tensors together, and one factor."
    if gives([gradient / 5 for gradient in gradients]):
        return "the norm is now 1; it must be `limit`: the factor is limit / norm."
    if gives([gradient / 10 for gradient in gradients]):
        return "you divided by the sum of the squares; the norm is its square root."
    if not gives(clip(gradients, 2.5)):
        return "the gradients (2, 1) and (2, 4) have the norm 5; with the limit 2.5, each must be halved."
    small = [torch.tensor([0.3, 0.4])]
    if not _close(answer([small[0].clone()], 2.5)[0], small[0]):
        return "a gradient that is shorter than the limit was changed; it must stay as it is."
    return None


def convolve(image: Tensor, kernel: Tensor) -> Tensor:
    m, n = kernel.shape
    out = torch.zeros(image.shape[0] - m + 1, image.shape[1] - n + 1)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (image[i : i + m, j : j + n] * kernel).sum()
    return out


def _convolve_problem(answer) -> str | None:
    image = torch.tensor([[1.0, 2.0, 0.0, 3.0], [0.0, 1.0, 4.0, 1.0], [2.0, 0.0, 1.0, 5.0]])
    kernel = torch.tensor([[1.0, 2.0, 0.0], [0.0, 3.0, 1.0]])  # neither is square
    value = answer(image, kernel)
    if not isinstance(value, Tensor):
        return f"it gives a {type(value).__name__}; it must give one tensor."
    if value.shape == image.shape:
        return "the output is as large as the input; use only the places where the kernel fits in, without padding."
    if value.shape == (1, 1):
        return (
            "the last place of each row and column is missing: there are rows - m + 1 places, not rows - m."
        )
    if value.shape != (2, 2):
        return f"a 2x3 kernel on a 3x4 input gives shape {tuple(value.shape)}; it must be (2, 2)."
    if _close(value, convolve(image, kernel.flip(0, 1))):
        return "your kernel is turned round; its upper left weight must meet the upper left number of the window."
    if _close(value, convolve(image, kernel) / kernel.numel()):
        return "you took the mean; the products must be added up."
    if _close(value, convolve(image, kernel).flip(0, 1)):
        return "the numbers are right but stand in the opposite places: out[i, j] belongs to the window that begins at (i, j)."
    if not _close(value, convolve(image, kernel)):
        return f"the upper left number of a test is {value[0, 0]:g}; it must be {convolve(image, kernel)[0, 0]:g}: window times kernel, added up."
    return None


def _same_size(image: Tensor, kernel: Tensor) -> Tensor:
    return convolve(torch.nn.functional.pad(image, (1, 1, 1, 0)), kernel)


def _one_short(image: Tensor, kernel: Tensor) -> Tensor:
    return convolve(image, kernel)[:-1, :-1]


EXERCISES = {
    "01.1": Exercise(
        "a neuron",
        neuron,
        _neuron_problem,
        (
            (lambda inputs, weights, bias: _sum(inputs, weights) + bias, "through the sigmoid"),
            (lambda inputs, weights, bias: _sigmoid(_sum(inputs, weights)), "bias is missing"),
            (lambda inputs, weights, bias: _sigmoid(_sum(inputs, weights) - bias), "subtracted"),
            (lambda inputs, weights, bias: 1 - neuron(inputs, weights, bias), "minus in the exponent"),
            (lambda inputs, weights, bias: _sigmoid(_sum(inputs, weights)) + bias, "before it"),
            (lambda inputs, weights, bias: neuron(inputs[:2], weights[:2], bias), "any number"),
        ),
    ),
    "01.2": Exercise(
        "gradients of the hidden layer",
        hidden_gradients,
        _gradients_problem,
        (
            (lambda x, a, w2, delta: torch.outer(x, delta * w2), "slope of ReLU"),
            (lambda x, a, w2, delta: torch.outer(delta * w2 * (a > 0), x), "swap"),
            (lambda x, a, w2, delta: delta * w2 * (a > 0), "torch.outer"),
            (lambda x, a, w2, delta: torch.outer(x, delta * torch.relu(a)), "instead of w2"),
            (lambda x, a, w2, delta: torch.outer(x, w2 * (a > 0)), "delta is missing"),
        ),
    ),
    "01.3": Exercise(
        "clipping",
        clip,
        _clip_problem,
        (
            (lambda gradients, limit: [g.clamp(-limit, limit) for g in gradients], "direction"),
            (
                lambda gradients, limit: [g * min(1.0, limit / g.norm()) for g in gradients],
                "all tensors together",
            ),
            (
                lambda gradients, limit: [
                    g / math.sqrt(sum((g**2).sum() for g in gradients)) for g in gradients
                ],
                "limit / norm",
            ),
            (
                lambda gradients, limit: [
                    g * limit / math.sqrt(sum((g**2).sum() for g in gradients)) for g in gradients
                ],
                "shorter",
            ),
        ),
    ),
    "01.4": Exercise(
        "a convolution",
        convolve,
        _convolve_problem,
        (
            (lambda image, kernel: convolve(image, kernel.flip(0, 1)), "turned round"),
            (_same_size, "without padding"),
            (_one_short, "is missing"),
            (lambda image, kernel: convolve(image, kernel) / kernel.numel(), "mean"),
        ),
    ),
}
