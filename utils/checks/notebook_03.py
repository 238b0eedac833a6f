"""The exercises of notebook 03."""

import torch
from torch import Tensor

from utils.checks import Exercise


def wordpiece(word: str, vocabulary) -> list[str]:
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):  # the longest piece first
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                break
        else:  # not even one letter fits
            return ["[UNK]"]
        pieces.append(piece)
        start = end
    return pieces


PIECES = {"a", "un", "##a", "##ha", "##hap", "##pi", "##p", "##er", "##ing", "##s", "pp", "play", "playing"}


def _wordpiece_problem(answer) -> str | None:
    whole, parts = answer("playing", PIECES), answer("unhapper", PIECES)
    if not isinstance(whole, list):
        return f"it gives {whole!r}; it must give a list of pieces."
    if whole == ["play", "##ing"] or parts[:2] == ["un", "##ha"]:
        return 'the vocabulary has longer pieces, "playing" and "##hap": at each place take the longest that fits.'
    if whole != ["playing"]:
        return f'"playing" is in the vocabulary as it is, but you give {whole}.'
    if "".join(parts) == "unhapper" or parts == ["[UNK]"]:
        return 'a piece inside a word is looked up, and written, with ## in front: "unhapper" is un ##hap ##p ##er.'
    if parts != wordpiece("unhapper", PIECES):
        return f'"unhapper" must give un ##hap ##p ##er; you give {" ".join(map(str, parts))}.'
    unknown = answer("playz", PIECES)
    if unknown != ["[UNK]"]:
        return f'nothing fits the z of "playz", so the whole word must become one [UNK]; you give {unknown}.'
    if answer("z", PIECES) != ["[UNK]"]:
        return 'the word "z" is in no vocabulary here: it must give one [UNK].'
    return None


def _shortest_first(word, vocabulary):
    pieces, start = [], 0
    while start < len(word):
        for end in range(start + 1, len(word) + 1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                break
        else:
            return ["[UNK]"]
        pieces.append(piece)
        start = end
    return pieces


def _no_signs(word, vocabulary):
    return [piece.removeprefix("##") for piece in wordpiece(word, vocabulary)]


def _looked_up_without_signs(word, vocabulary):
    return wordpiece(word, {piece for piece in vocabulary if not piece.startswith("##")})


def _unknown_rest(word, vocabulary):
    for end in range(len(word), 0, -1):
        pieces = wordpiece(word[:end], vocabulary)
        if pieces != ["[UNK]"]:
            return pieces if end == len(word) else [*pieces, "[UNK]"]
    return ["[UNK]"]


# ------------------------------------------------------------------------------------------- a pair

CLS, SEP = 101, 102


def build_pair(first: list[int], second: list[int], length: int) -> dict[str, list[int]]:
    ids = [CLS, *first, SEP, *second, SEP]
    segments = [0] * (len(first) + 2) + [1] * (len(second) + 1)
    padding = [0] * (length - len(ids))
    return {
        "input_ids": ids + padding,
        "token_type_ids": segments + padding,
        "attention_mask": [1] * len(ids) + padding,
    }


def _pair_problem(answer) -> str | None:
    pair, right = answer([7, 8], [9], 8), build_pair([7, 8], [9], 8)
    if not isinstance(pair, dict) or set(pair) != set(right):
        return "it must give a dictionary with `input_ids`, `token_type_ids` and `attention_mask`."
    ids, segments, mask = (list(map(int, pair[name])) for name in right)
    if ids.count(CLS) > 1:
        return "your input has more than one [CLS]; it opens the whole input, once, and the second text gets none."
    if ids.count(SEP) != 2 or ids.count(CLS) != 1:
        return "a pair has one [CLS] (101) at the start and two [SEP] (102), one behind each text."
    if len(ids) != 8 or len(segments) != 8 or len(mask) != 8:
        return f"for length 8 your lists have {len(ids)}, {len(segments)} and {len(mask)} numbers; pad all three."
    if ids != right["input_ids"]:
        return f"the ids must be {right['input_ids']} for the texts [7, 8] and [9]; yours are {ids}."
    if mask == [1] * 8:
        return "your mask is 1 everywhere; padding must get 0, or all tokens will look at it."
    if mask != right["attention_mask"]:
        return "the mask must be 1 for every token, [CLS] and [SEP] among them, and 0 for padding only."
    if segments[:4] == [0, 0, 0, 1]:
        return "the first [SEP] closes the first text, so it belongs to segment 0."
    if segments == [0, 0, 0, 0, 1, 1, 1, 1]:
        return "padding belongs to segment 0."
    if segments != right["token_type_ids"]:
        return f"the segments must be {right['token_type_ids']}; yours are {segments}."
    return None


def _changed(**lists):
    """build_pair with some of its lists replaced: each value maps (first, second, length) to a list."""

    def wrong(first, second, length):
        return build_pair(first, second, length) | {
            name: make(first, second, length) for name, make in lists.items()
        }

    return wrong


def _segments_too_early(first, second, length):
    return [0] * (len(first) + 1) + [1] * (len(second) + 2) + [0] * (length - len(first) - len(second) - 3)


def _two_cls(first, second, length):
    ids = [CLS, *first, SEP, CLS, *second, SEP]
    return ids + [0] * (length - len(ids))


def _no_last_sep(first, second, length):
    ids = [CLS, *first, SEP, *second]
    return ids + [0] * (length - len(ids))


# ---------------------------------------------------------------------------------------- sinusoids


def sinusoids(positions: int, width: int) -> Tensor:
    place = torch.arange(positions).unsqueeze(1)  # (positions, 1)
    angles = place / 10000 ** (torch.arange(0, width, 2) / width)  # (positions, width / 2)
    table = torch.zeros(positions, width)
    table[:, 0::2], table[:, 1::2] = angles.sin(), angles.cos()
    return table


def _by_position(positions, width):
    """The popular mistake: sine in even rows, cosine in odd rows."""
    angles = torch.arange(positions).unsqueeze(1) / 10000 ** (torch.arange(width) / width)
    table = angles.cos()
    table[0::2] = angles[0::2].sin()
    return table


def _halves(positions, width):
    table = sinusoids(positions, width)
    return torch.cat([table[:, 0::2], table[:, 1::2]], dim=1)


def _pair_number(positions, width):
    angles = torch.arange(positions).unsqueeze(1) / 10000 ** (torch.arange(width // 2) / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def _every_dimension(positions, width):
    angles = torch.arange(positions).unsqueeze(1) / 10000 ** (torch.arange(width) / width)
    table = angles.sin()
    table[:, 1::2] = angles[:, 1::2].cos()
    return table


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a.float(), b.float(), atol=1e-4)


def _sinusoids_problem(answer) -> str | None:
    table = answer(6, 8)
    if not isinstance(table, Tensor):
        return f"it gives a {type(table).__name__}; it must give one tensor of shape (6, 8)."
    if table.shape != (6, 8):
        return f"6 positions and width 8 give shape {tuple(table.shape)}; it must be (6, 8): one row for each position."
    if table.abs().max() > 1.0001:
        return "some values lie beyond 1: take the sine or cosine of the angle, not the angle itself."
    if _close(table, _halves(6, 8)):
        return (
            "you put all sines first and all cosines behind; they must alternate: sine, cosine, sine, cosine."
        )
    if _close(table[0], torch.zeros(8)):
        return "the row of position 0 is all sine; sine and cosine alternate by dimension, in every row."
    if not _close(table[0], torch.tensor([0.0, 1.0] * 4)):
        return "the row of position 0 must be 0, 1, 0, 1, …: sine of 0, then cosine of 0."
    if _close(table, _pair_number(6, 8)):
        return "your exponent is i / n; it must be 2i / n, with i the number of the pair."
    if _close(table, _every_dimension(6, 8)):
        return "each dimension has an angle of its own; the two of a pair (2i and 2i + 1) must share one."
    if not _close(table, sinusoids(6, 8)):
        return "the row of position 0 is right, the others are not: the angle is the position divided by 10000^(2i / n)."
    return (
        None if _close(answer(50, 4), sinusoids(50, 4)) else "it is right for width 8, but not for width 4."
    )


# ------------------------------------------------------------------------------------------ pooling


def mean_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    weights = mask.unsqueeze(-1).float()  # (b, s) -> (b, s, 1)
    return (hidden * weights).sum(1) / weights.sum(1)


def _pool_problem(answer) -> str | None:
    hidden = torch.tensor([[[1.0, 4.0], [3.0, 0.0], [50.0, 50.0]], [[1.0, 1.0], [2.0, 5.0], [6.0, 3.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    pooled, right = answer(hidden, mask), mean_pool(hidden, mask)  # (2, 2)
    if not isinstance(pooled, Tensor) or pooled.shape != (2, 2):
        shape = tuple(pooled.shape) if isinstance(pooled, Tensor) else type(pooled).__name__
        return f"two texts of 3 tokens with 2 numbers each must give shape (2, 2), one row for each text; you give {shape}."
    if _close(pooled, hidden.mean(1)):
        return "padding is in your mean: multiply by the mask before you add, and divide by the number of real tokens."
    if _close(pooled, (hidden * mask.unsqueeze(-1)).sum(1)):
        return "that is the sum over real tokens; divide it by their number."
    if _close(pooled, (hidden * mask.unsqueeze(-1)).mean(1)):
        return (
            "padding is out of the sum, but you divide by all 3 places; divide by the number of real tokens."
        )
    if _close(pooled, hidden[:, 0]):
        return "that is the first token, [CLS]; the mean takes all real tokens."
    if not _close(pooled, right):
        return f"the first text must give {right[0].tolist()}, the mean of [1, 4] and [3, 0]; you give {pooled[0].tolist()}."
    return None


EXERCISES = {
    "03.1": Exercise(
        "WordPiece",
        wordpiece,
        _wordpiece_problem,
        (
            (_shortest_first, "longest"),
            (_no_signs, "##"),
            (_looked_up_without_signs, "##"),
            (_unknown_rest, "whole word"),
            (lambda word, vocabulary: wordpiece(word, vocabulary)[0], "list"),
        ),
    ),
    "03.2": Exercise(
        "the input of a pair",
        build_pair,
        _pair_problem,
        (
            (_changed(token_type_ids=_segments_too_early), "segment 0"),
            (_changed(attention_mask=lambda first, second, length: [1] * length), "everywhere"),
            (_changed(input_ids=_two_cls), "once"),
            (_changed(input_ids=_no_last_sep), "behind each text"),
            (
                _changed(
                    token_type_ids=lambda first, second, length: (
                        [0] * (len(first) + 2) + [1] * (length - len(first) - 2)
                    )
                ),
                "padding belongs",
            ),
        ),
    ),
    "03.3": Exercise(
        "sinusoids",
        sinusoids,
        _sinusoids_problem,
        (
            (_by_position, "by dimension"),
            (_halves, "alternate"),
            (_pair_number, "2i / n"),
            (_every_dimension, "share one"),
            (lambda positions, width: sinusoids(width, positions), "one row for each position"),
            (
                lambda positions, width: torch.arange(positions).unsqueeze(1).expand(-1, width).float(),
                "beyond 1",
            ),
        ),
    ),
    "03.4": Exercise(
        "mean pooling",
        mean_pool,
        _pool_problem,
        (
            (lambda hidden, mask: hidden.mean(1), "padding is in your mean"),
            (lambda hidden, mask: (hidden * mask.unsqueeze(-1)).sum(1), "divide it"),
            (lambda hidden, mask: (hidden * mask.unsqueeze(-1)).mean(1), "3 places"),
            (lambda hidden, mask: hidden[:, 0], "first token"),
            (lambda hidden, mask: mean_pool(hidden, mask).mean(0), "one row for each text"),
        ),
    ),
}
