"""Extractive question answering with BERT: windows, targets, the loss, and from logits back to text.

Not for the model (`reader`), scores (`question_answering`), or reading SQuAD files (`data`, `schemas`).
"""

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch.nn import functional

from utils.question_answering import question_scores

# ------------------------------------------------------------------------------------------ windows


def encode(tokenizer, questions: Iterable[dict], max_length: int, stride: int) -> list[dict]:
    """Turn questions into the rows of `windows`, and set their targets wherever there are `answers`.

    Args:
        questions: rows as SQuAD has them, with `id`, `question`, `context`, and perhaps `answers`.
        max_length: word pieces of a window, the question and the special ones included.
        stride: word pieces of the context that two neighbouring windows share.

    Raises:
        ValueError: with the question's id: an answer that is not at its offset, a question or a
            context without text, a question that fills the window, a stride that does.
    """
    questions, rows, seen = list(questions), [], set()
    for start in range(0, len(questions), 1000):  # not all at once: the tokenizer's records are large
        part = questions[start : start + 1000]
        for question, group in zip(part, windows(tokenizer, part, max_length, stride), strict=True):
            if question["id"] in seen:
                raise ValueError(f"question {question['id']!r} comes twice: give each its own id.")
            seen.add(question["id"])
            if question.get("answers") is not None:
                set_targets(question, group)
            rows += group
    return rows


def windows(tokenizer, questions: list[dict], max_length: int, stride: int) -> list[list[dict]]:
    """Return for each question its windows `[CLS] question [SEP] part of the context [SEP]`, not padded.

    A window is a row for the model (`input_ids`, `token_type_ids`) that knows its place: `id` and
    `context`; `first`, the position of its first context token; `begin`, the number of that token
    in the whole context; `offsets` (context tokens, 2), the characters where each begins and ends.
    """
    _refuse_what_does_not_fit(tokenizer, questions, max_length, stride)
    encoded = tokenizer(
        *([question[column] for question in questions] for column in ("question", "context")),
        truncation="only_second",
        max_length=max_length,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    groups: list[list[dict]] = [[] for _ in questions]
    for number, owner in enumerate(encoded["overflow_to_sample_mapping"]):
        question, group = questions[owner], groups[owner]
        sides = encoded.sequence_ids(number)  # 0 in the question, 1 in the context, else None
        if 1 not in sides:
            raise ValueError(f"question {question['id']!r}: the tokenizer drops all of its context.")
        first, size = sides.index(1), sides.count(1)
        begin = group[-1]["begin"] + len(group[-1]["offsets"]) - stride if group else 0
        offsets = np.array(encoded["offset_mapping"][number][first : first + size], dtype=np.int32)
        row = {"id": question["id"], "context": question["context"], "first": first, "begin": begin}
        row |= {name: encoded[name][number] for name in ("input_ids", "token_type_ids") if name in encoded}
        group.append(row | {"offsets": offsets})
    for group in groups:
        _take_marks_in(group)
    return groups


def _refuse_what_does_not_fit(tokenizer, questions: list[dict], max_length: int, stride: int) -> None:
    if max_length > tokenizer.model_max_length or stride < 0:
        raise ValueError(
            f"a window of {max_length} with stride {stride} cannot be: take at most "
            f"{tokenizer.model_max_length} word pieces and a stride of 0 or more."
        )
    special = tokenizer.num_special_tokens_to_add(pair=True)
    pieces_of = tokenizer([question["question"] for question in questions], add_special_tokens=False)
    for question, ids in zip(questions, pieces_of["input_ids"], strict=True):
        name = f"question {question['id']!r}"
        for column in ("question", "context"):
            if not question[column].strip():
                raise ValueError(f"{name}: its {column} is empty.")
        room = max_length - special - len(ids)
        if stride >= room:
            raise ValueError(
                f"{name} has {len(ids)} word pieces and leaves {max(room, 0)} of {max_length} for the context, not "
                f"more than the stride {stride}: shorten it, or take a longer window or a smaller stride."
            )


def _take_marks_in(rows: list[dict]) -> None:
    """Let a token end after the marks that belong to its last letter: the tokenizer drops many of them."""
    context, offsets = rows[0]["context"], _all_offsets(rows)
    limits = np.append(offsets[1:, 0], len(context))
    for mark in (i for i, character in enumerate(context) if unicodedata.category(character)[0] == "M"):
        offsets[(offsets[:, 1] == mark) & (limits > mark), 1] += 1
    for row in rows:
        row["offsets"] = offsets[row["begin"] : row["begin"] + len(row["offsets"])]


def _all_offsets(rows: list[dict]) -> np.ndarray:
    """Join a question's windows to the offsets (tokens, 2) of its whole context."""
    parts, done = [], 0
    for row in rows:
        parts.append(row["offsets"][done - row["begin"] :])
        done = row["begin"] + len(row["offsets"])
    return np.concatenate(parts)


# ---------------------------------------------------------------------------------- targets and loss


def set_targets(question: dict, rows: list[dict]) -> None:
    """Give the windows of one question `start_positions` and `end_positions`: where the answer's tokens are.

    Where the answer is cut, outside or missing, both are 0, the [CLS] (Devlin et al., 2019, section
    4.3). Of several reference answers the first is taken.
    """
    tokens = _answer_tokens(question, _all_offsets(rows))
    for row in rows:
        start, end = (row["first"] + token - row["begin"] for token in tokens or (-math.inf, -math.inf))
        whole = row["first"] <= start and end < row["first"] + len(row["offsets"])
        row["start_positions"], row["end_positions"] = (start, end) if whole else (0, 0)


def _answer_tokens(question: dict, offsets: np.ndarray) -> tuple[int, int] | None:
    """Return the first and the last token that share a character with the answer; None without one."""
    places = list(zip(question["answers"]["text"], question["answers"]["answer_start"], strict=True))
    for text, start in places:
        found = question["context"][start : start + len(text)]
        if start < 0 or not text.strip() or found != text:
            raise ValueError(
                f"question {question['id']!r}: the answer {text!r} is not at character {start} of its context."
            )
    if not places:
        return None
    text, start = places[0]
    shared = np.flatnonzero((offsets[:, 0] < start + len(text)) & (offsets[:, 1] > start))
    if not len(shared):
        raise ValueError(f"question {question['id']!r}: the tokenizer drops all of the answer {text!r}.")
    return int(shared[0]), int(shared[-1])


def span_loss(
    start_logits: torch.Tensor,
    end_logits: torch.Tensor,
    start_positions: torch.Tensor,
    end_positions: torch.Tensor,
) -> torch.Tensor:
    """Return the mean of two cross-entropies over the positions, one for the start and one for the end.

    Logits have the shape (batch, sequence), positions (batch,). A position at or behind the end of
    the sequence is ignored. What `BertForQuestionAnswering` computes (Devlin et al., 2019, section 4.2).
    """
    outside = start_logits.shape[1]
    start, end = (
        functional.cross_entropy(logits, positions.clamp(0, outside), ignore_index=outside)
        for logits, positions in ((start_logits, start_positions), (end_logits, end_positions))
    )
    return (start + end) / 2


# ------------------------------------------------------------------------------------------ decoding


@dataclass(frozen=True)
class Candidate:
    """A stretch of the context: `text` is `context[start:end]`; `score` is the sum of two logits."""

    text: str
    start: int
    end: int
    score: float
    probability: float


@dataclass(frozen=True)
class Answer:
    """The best candidates, best first, and the score of "no answer". All probabilities sum to 1."""

    candidates: list[Candidate]
    null_score: float
    null_probability: float

    @property
    def difference(self) -> float:
        """By how much "no answer" beats the best candidate; negative if it does not."""
        return self.null_score - self.candidates[0].score

    def text(self, threshold: float = math.inf) -> str:
        """Return the best text, or "" if `difference` is above `threshold`."""
        return "" if self.difference > threshold else self.candidates[0].text


def decode(
    rows: list[dict], logits: list[np.ndarray], n_best: int = 20, max_answer: int = 30
) -> dict[str, Answer]:
    """Return the answer to each question id, the best over all its windows.

    A span is valid if it lies in the context, does not end before it starts, and has at most
    `max_answer` tokens. "No answer" scores what [CLS] scores in the window that is least sure of it,
    since each window but one is right not to find the answer. Probabilities are a softmax over the
    `n_best` spans and "no answer" (google-research/bert, run_squad.py).

    Args:
        rows: of `encode`.
        logits: of `predict`, for each row (2, sequence): start and end.
    """
    found: dict[str, tuple[str, list, dict]] = {}
    for row, (start, end) in zip(rows, logits, strict=True):
        if not (np.isfinite(start).all() and np.isfinite(end).all()):
            raise ValueError(f"question {row['id']!r}: the model gives no finite numbers: train it anew.")
        _, nulls, spans = found.setdefault(row["id"], (row["context"], [], {}))
        nulls.append(float(start[0] + end[0]))
        for span, score in _best_spans(row, start, end, n_best, max_answer):
            spans[span] = max(score, spans.get(span, -math.inf))  # two windows may see the same text
    return {name: _answer(*parts, n_best) for name, parts in found.items()}


def _best_spans(row: dict, start: np.ndarray, end: np.ndarray, n_best: int, max_answer: int) -> list[tuple]:
    """Return ((first character, end), score) of the window's best spans, every valid span compared."""
    inside = slice(row["first"], row["first"] + len(row["offsets"]))
    ends = np.pad(end[inside], (0, max_answer - 1), constant_values=-np.inf)
    # [i, k] is the span from token i to token i + k: (tokens, 1) + (tokens, max_answer)
    scores = start[inside, None] + sliding_window_view(ends, max_answer)
    best = np.argsort(-scores, axis=None, kind="stable")[:n_best]
    first, more = np.divmod(best, max_answer)
    valid = np.isfinite(scores.flat[best])
    starts, stops = row["offsets"][first[valid], 0], row["offsets"][(first + more)[valid], 1]
    spans = zip(starts.tolist(), stops.tolist(), strict=True)
    return list(zip(spans, scores.flat[best][valid].tolist(), strict=True))


def _answer(context: str, nulls: list[float], spans: dict, n_best: int) -> Answer:
    best = sorted(spans.items(), key=lambda item: (-item[1], item[0]))[:n_best]
    scores = np.array([min(nulls), *(score for _, score in best)])
    weights = np.exp(scores - scores.max())
    null_probability, *probabilities = (weights / weights.sum()).tolist()
    candidates = [
        Candidate(context[start:end], start, end, score, probability)
        for ((start, end), score), probability in zip(best, probabilities, strict=True)
    ]
    return Answer(candidates, min(nulls), null_probability)


def choose_threshold(answers: dict[str, Answer], references: Iterable[dict] | dict) -> float:
    """Return the threshold for `Answer.text` with the best F1 on `references`: take validation questions.

    -inf if it is best never to answer, inf if it is best always to answer.
    """
    references = references if isinstance(references, dict) else list(references)
    spoken = question_scores({name: answer.text() for name, answer in answers.items()}, references)
    silent = question_scores(dict.fromkeys(answers, ""), references)
    gains = sorted((answers[name].difference, spoken[name]["f1"] - silent[name]["f1"]) for name in spoken)
    if not gains:
        raise ValueError("there is no question to choose a threshold on: give validation questions.")
    total, best, threshold = 0.0, 0.0, -math.inf
    for difference, gain in gains:  # of equal differences the losses come first
        total += gain
        if total >= best:
            best, threshold = total, difference
    return math.inf if threshold == gains[-1][0] else threshold
