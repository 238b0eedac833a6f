"""The exercises of notebook 10."""

from utils import entities
from utils.checks import Exercise

# ---------------------------------------------------------------------------- 10.1 spans to BIO tags


def bio_tags(words: list[tuple[int, int]], spans: list[dict]) -> list[str]:
    tags = ["O"] * len(words)
    for span in spans:
        inside = [i for i, (start, end) in enumerate(words) if span["start"] <= start and end <= span["end"]]
        for i in inside:
            tags[i] = ("B-" if i == inside[0] else "I-") + span["type"]
    return tags


WORDS = [(0, 3), (4, 8), (9, 13), (14, 17), (18, 22), (23, 27)]
SPANS = [
    {"start": 0, "end": 8, "type": "person"},  # two words
    {"start": 9, "end": 13, "type": "date"},  # touches the first
    {"start": 14, "end": 17, "type": "date"},  # touches a span of its own type
]


def _bio_problem(answer) -> str | None:
    right = ["B-person", "I-person", "B-date", "B-date", "O", "O"]
    found = answer(WORDS, SPANS)
    if not isinstance(found, list) or len(found) != len(WORDS):
        return "it must give a list with one tag for each word."
    if found == [tag[2:] or tag for tag in right]:
        return "the tags lack their B- and I-."
    if found == [tag.replace("B-", "I-") for tag in right]:
        return "every entity begins with B-, and here all tags are I-."
    if found == [tag.replace("I-", "B-") for tag in right]:
        return "only an entity's first word gets B-; the next ones get I-."
    if found[:2] == ["B-person", "O"]:
        return "only the first word of an entity has a tag; the others inside it need I-."
    if found[3] == "I-date":
        return "the two dates touch, and the second begins anew: its first word gets B-date, not I-date."
    if "B-person" not in found[:1]:
        return "the first word begins the person: B-person."
    if found[4:] != ["O", "O"]:
        return "words outside every span get O."
    if found != right:
        return f"for two words of a person and two dates side by side it gives {found}; it must be {right}."
    if answer(WORDS, []) != ["O"] * 6:
        return "without a span every word is O."
    return None


def _bio_by_change(words, spans):
    kinds = [
        next((s["type"] for s in spans if s["start"] <= start and end <= s["end"]), "")
        for start, end in words
    ]
    return [
        (("I-" if kind == before else "B-") + kind) if kind else "O"
        for kind, before in zip(kinds, ["", *kinds], strict=False)
    ]


# ------------------------------------------------------------------------------ 10.2 scores by entity


def entity_scores(predicted: list[list[tuple]], expected: list[list[tuple]]) -> tuple[float, float, float]:
    right = sum(len(set(guess) & set(truth)) for guess, truth in zip(predicted, expected, strict=True))
    all_predicted, all_expected = (sum(len(set(spans)) for spans in texts) for texts in (predicted, expected))
    precision = right / all_predicted if all_predicted else 0.0
    recall = right / all_expected if all_expected else 0.0
    f1 = 2 * right / (all_predicted + all_expected) if all_predicted + all_expected else 0.0
    return 100 * precision, 100 * recall, 100 * f1


EXPECTED = [[(0, 5, "date"), (9, 13, "part")], [(0, 5, "date"), (20, 24, "order"), (30, 33, "part")]]
PREDICTED = [[(0, 5, "date"), (9, 12, "part")], [(0, 5, "part"), (20, 24, "order"), (40, 44, "date"), (50, 51, "date")]]  # fmt: skip


def _scores_problem(answer) -> str | None:
    found = answer(PREDICTED, EXPECTED)
    if len(found) != 3:
        return "it must give three numbers: precision, recall and F1."
    right = entity_scores(PREDICTED, EXPECTED)  # 2 right, 6 predicted, 5 expected
    if _close(found, [number / 100 for number in right]):
        return "these are shares from 0 to 1; give percent."
    if _close(found, (right[1], right[0], right[2])):
        return "precision and recall are swapped: precision is among those predicted."
    if _close(found, _mean_of_texts(PREDICTED, EXPECTED)):
        return "you averaged over the texts; count over all texts together, so that long texts weigh more."
    if _close(found, _scores_of(PREDICTED, EXPECTED, lambda span: span[:2])):
        return "a span with the wrong type counted as right."
    if _close(found, _scores_of(PREDICTED, EXPECTED, lambda span: (span[0], span[2]))):
        return "a span with the wrong end counted as right."
    if _close(found[:2], right[:2]) and not _close(found, right):
        return "precision and recall are right; F1 is their harmonic mean, 2PR / (P + R)."
    if not _close(found, right):
        return (
            f"for 2 right ones of 6 predicted and 5 expected it gives {[round(float(x), 1) for x in found]}."
        )
    try:
        nothing = answer([[]], [[(0, 1, "date")]]), answer([[(0, 1, "date")]], [[]]), answer([[]], [[]])
    except ZeroDivisionError:
        return "it divides by zero where nothing is predicted or expected: the score is 0 there."
    return (
        None if all(_close(one, (0, 0, 0)) for one in nothing) else "where nothing is right, all three are 0."
    )


def _close(found, wanted) -> bool:
    return all(abs(float(one) - float(other)) < 1e-6 for one, other in zip(found, wanted, strict=True))


def _scores_of(predicted, expected, key):
    return entity_scores(
        *([[key(span) for span in spans] for spans in texts] for texts in (predicted, expected))
    )


def _mean_of_texts(predicted, expected):
    each = [entity_scores([one], [other]) for one, other in zip(predicted, expected, strict=True)]
    return tuple(sum(column) / len(each) for column in zip(*each, strict=True))


def _divides(predicted, expected):
    right = sum(len(set(guess) & set(truth)) for guess, truth in zip(predicted, expected, strict=True))
    precision, recall = (right / sum(map(len, texts)) for texts in (predicted, expected))
    return 100 * precision, 100 * recall, 200 * precision * recall / (precision + recall)


def _plain_mean(predicted, expected):
    precision, recall, _ = entity_scores(predicted, expected)
    return precision, recall, (precision + recall) / 2


# -------------------------------------------------------------------------- 10.3 labels of word pieces


def piece_labels(words_of_pieces: list[int], word_labels: list[int]) -> list[int]:
    return [word_labels[word] if word >= 0 else -100 for word in words_of_pieces]


def _labels_problem(answer) -> str | None:
    pieces, labels = [-1, 0, 1, -1, -1, 2, -1], [3, 5, 2]
    right = piece_labels(pieces, labels)
    found = answer(pieces, labels)
    if not isinstance(found, list) or len(found) != len(pieces):
        return "it must give a list with one label for each piece, [CLS] and [SEP] too."
    if found == [labels[word] for word in pieces]:
        return "-1 means no word, but Python took it as the last word: those pieces need -100."
    if found == [0 if label == -100 else label for label in right]:
        return "0 is a class; a piece without a label of its own gets -100, which the loss leaves out."
    if found == [-1 if label == -100 else label for label in right]:
        return "the loss leaves out -100, not -1."
    if found == _all_pieces(pieces, labels):
        return "a word's later pieces carry its label too; only the first one may."
    if found != right:
        return f"for the words {pieces} and the labels {labels} it gives {found}; it must be {right}."
    return None


def _all_pieces(pieces, labels):
    found, current = [], None
    for place, word in enumerate(pieces):
        current = word if word >= 0 else current
        end = place in (0, len(pieces) - 1)
        found.append(-100 if end or current is None else labels[current])
    return found


# ------------------------------------------------------------------------------------ 10.4 stray I tags


def repaired(tags: list[str]) -> list[str]:
    good = []
    for tag, before in zip(tags, ["O", *tags], strict=False):
        stray = tag.startswith("I-") and before[2:] != tag[2:]
        good.append("B-" + tag[2:] if stray else tag)
    return good


CASES = (
    ["O", "I-date", "I-date", "O"],
    ["I-part", "O", "B-date", "I-date"],
    ["B-date", "I-part", "I-part"],
    ["B-date", "B-date", "I-date"],
    ["I-date", "O", "I-date"],
)


def _repair_problem(answer) -> str | None:
    for tags in CASES:
        given = list(tags)
        found, right = answer(given), entities.repair(tags)[0]
        if given != tags:
            return "it changes the list that it was given; build a new one."
        if not isinstance(found, list) or len(found) != len(tags):
            return "it must give a list with one tag for each tag."
        if found == right:
            continue
        if tags == CASES[2] and found == tags:
            return "an I-part after B-date is stray too: compare the types, not only the letters."
        if found == tags:
            return f"{tags} has a stray I-, and it stays as it is."
        if found == [tag if tag == other else "O" for tag, other in zip(tags, right, strict=True)] or (
            "O" in [f for f, t in zip(found, tags, strict=True) if t != "O"]
        ):
            return "a stray I- becomes a B-, not O: the model did find something there."
        if any(f[0] == "I" and t[0] == "B" for f, t in zip(found, tags, strict=True)):
            return "a B- must stay a B-: it begins anew."
        if sum(f[0] == "B" for f in found) > sum(r[0] == "B" for r in right):
            return (
                f"an I- that goes on after an I- or B- of its type is not stray: of {tags} it makes {found}."
            )
        return f"of {tags} it makes {found}; it must be {right}."
    return None


def _repair_after_o(tags):
    return [
        "B-" + tag[2:] if tag[0] == "I" and before == "O" else tag
        for tag, before in zip(tags, ["O", *tags], strict=False)
    ]


def _repair_all(tags):
    return ["B-" + tag[2:] if tag[0] == "I" else tag for tag in tags]


def _repair_drops(tags):
    good = repaired(tags)
    return ["O" if one != other else one for one, other in zip(tags, good, strict=True)]


EXERCISES = {
    "10.1": Exercise(
        "spans to BIO tags",
        bio_tags,
        _bio_problem,
        (
            (_bio_by_change, "begins anew"),
            (lambda words, spans: [tag.replace("I-", "B-") for tag in bio_tags(words, spans)], "first word"),
            (lambda words, spans: [tag[2:] or tag for tag in bio_tags(words, spans)], "lack"),
            (
                lambda words, spans: ["O" if tag[0] == "I" else tag for tag in bio_tags(words, spans)],
                "others inside",
            ),
        ),
    ),
    "10.2": Exercise(
        "scores by entity",
        entity_scores,
        _scores_problem,
        (
            (_mean_of_texts, "all texts together"),
            (lambda a, b: _scores_of(a, b, lambda span: span[:2]), "wrong type"),
            (lambda a, b: entity_scores(b, a), "swapped"),
            (_plain_mean, "harmonic"),
            (_divides, "divides by zero"),
            (lambda a, b: tuple(x / 100 for x in entity_scores(a, b)), "percent"),
        ),
    ),
    "10.3": Exercise(
        "labels of word pieces",
        piece_labels,
        _labels_problem,
        (
            (lambda pieces, labels: [labels[word] for word in pieces], "last word"),
            (lambda pieces, labels: [labels[word] if word >= 0 else 0 for word in pieces], "0 is a class"),
            (_all_pieces, "later pieces"),
        ),
    ),
    "10.4": Exercise(
        "stray I tags",
        repaired,
        _repair_problem,
        (
            (lambda tags: list(tags), "stays"),
            (_repair_after_o, "compare the types"),
            (_repair_all, "not stray"),
            (_repair_drops, "not O"),
        ),
    ),
}
