"""Metrics of written text, by hand: perplexity, BLEU and ROUGE. Not for classes or spans."""

import math
from collections import Counter
from collections.abc import Sequence


def perplexity(losses: Sequence[float]) -> float:
    """Return exp of the mean -ln p(token), nats: as if so many tokens were equally likely at each step."""
    return math.exp(sum(losses) / len(losses))


def ngrams(words: Sequence[str], n: int) -> Counter:
    """Count the runs of n words."""
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def bleu(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]], longest: int = 4) -> float:
    """Return corpus BLEU, 0 to 100, one reference each, no smoothing (Papineni et al., 2002).

    The geometric mean of the precisions of runs of 1 to `longest` words, each run counted at most as
    often as the reference has it, times a penalty for texts that are too short.

    Args:
        hypotheses: the words of each text; references: those of each right text.

    Raises:
        ValueError: not one reference for each text.
    """
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} texts and {len(references)} references: give one for each.")
    logs = []
    for n in range(1, longest + 1):
        pairs = [(ngrams(h, n), ngrams(r, n)) for h, r in zip(hypotheses, references, strict=True)]
        right = sum((found & wanted).total() for found, wanted in pairs)
        if not right:
            return 0.0
        logs.append(math.log(right / sum(found.total() for found, _ in pairs)))
    written, wanted = sum(map(len, hypotheses)), sum(map(len, references))
    penalty = min(0.0, 1 - wanted / written)
    return 100 * math.exp(sum(logs) / longest + penalty)


def rouge_n(hypothesis: Sequence[str], reference: Sequence[str], n: int) -> float:
    """Return ROUGE-N, the F1 of runs of n words, 0 to 1 (Lin, 2004); 0 where either has none."""
    found, wanted = ngrams(hypothesis, n), ngrams(reference, n)
    return _f1((found & wanted).total(), found.total(), wanted.total())


def rouge_l(hypothesis: Sequence[str], reference: Sequence[str]) -> float:
    """Return ROUGE-L, the F1 of the longest common subsequence, 0 to 1 (Lin, 2004)."""
    return _f1(longest_common(hypothesis, reference), len(hypothesis), len(reference))


def longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest sequence of words that both have in this order, gaps allowed."""
    row = [0] * (len(other) + 1)  # row[j]: with the words of `one` so far and the first j of `other`
    for word in one:
        before = 0
        for j, another in enumerate(other, 1):
            before, row[j] = row[j], before + 1 if word == another else max(row[j], row[j - 1])
    return row[-1]


def _f1(shared: int, found: int, wanted: int) -> float:
    return 2 * shared / (found + wanted) if shared else 0.0
