"""The table of data sets: the course's own and the public ones, by one name each.

Only facts: where a set lies, at which revision, how many rows were published. `data` loads them.
"""

from dataclasses import dataclass

from utils.schemas import TEAMS


@dataclass(frozen=True)
class Source:
    """Where a data set comes from, and which of its columns hold text and label."""

    splits: dict[str, int]  # published rows of each split; the first one is for training
    text: tuple[str, ...]
    label: str
    labels: tuple[str, ...] = ()  # names of the classes 0, 1, …; empty for a number or a span
    repository: str = ""  # on the Hub; empty for the course's own data
    revision: str = ""
    config: str = ""  # folder of the parquet files in the repository
    folder: str = ""  # the course's own data: folder under data/
    split_by: str = "split"  # the course's own data: the column that says the split


GLUE = {"repository": "nyu-mll/glue", "revision": "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"}
PAIR = ("sentence1", "sentence2")
TICKETS = {"text": ("title", "description"), "label": "team", "labels": TEAMS, "folder": "tickets"}
SOURCES = {
    "reviews": Source(
        splits={"train": 1428, "validation": 476, "test": 476},
        text=("title", "content"),
        label="sentiment",
        labels=("negative", "positive"),
        folder="reviews",
    ),
    "tickets": Source(**TICKETS, splits={"train": 750, "validation": 225, "test": 225}),
    "tickets_random": Source(
        **TICKETS, splits={"train": 750, "validation": 225, "test": 225}, split_by="random_split"
    ),
    "handbook": Source(
        splits={"train": 1026, "validation": 210, "test": 238},
        text=("question", "context"),
        label="answers",
        folder="handbook",
    ),
    "entities": Source(
        splits={"train": 544, "validation": 168, "test": 168},
        text=("text",),
        label="entities",
        folder="entities",
    ),
    "translations": Source(
        splits={"train": 540, "validation": 60, "test": 60},
        text=("en",),
        label="fr",
        folder="translations",
    ),
    "imdb": Source(
        splits={"train": 25000, "test": 25000},
        text=("text",),
        label="label",
        labels=("negative", "positive"),
        repository="stanfordnlp/imdb",
        revision="e6281661ce1c48d982bc483cf8a173c1bbeb5d31",
        config="plain_text",
    ),
    "sst2": Source(
        {"train": 67349, "validation": 872},
        ("sentence",),
        "label",
        ("negative", "positive"),
        **GLUE,
        config="sst2",
    ),
    "cola": Source(
        {"train": 8551, "validation": 1043},
        ("sentence",),
        "label",
        ("unacceptable", "acceptable"),
        **GLUE,
        config="cola",
    ),
    "rte": Source(
        {"train": 2490, "validation": 277},
        PAIR,
        "label",
        ("entailment", "not_entailment"),
        **GLUE,
        config="rte",
    ),
    "stsb": Source({"train": 5749, "validation": 1500}, PAIR, "label", **GLUE, config="stsb"),
    "mrpc": Source(
        {"train": 3668, "validation": 408, "test": 1725},
        PAIR,
        "label",
        ("not_equivalent", "equivalent"),
        **GLUE,
        config="mrpc",
    ),
    "ag_news": Source(
        splits={"train": 120000, "test": 7600},
        text=("text",),
        label="label",
        labels=("World", "Sports", "Business", "Sci/Tech"),
        repository="fancyzhx/ag_news",
        revision="eb185aade064a813bc0b7f42de02595523103ca4",
        config="data",
    ),
    "squad": Source(
        splits={"train": 87599, "validation": 10570},
        text=("question", "context"),
        label="answers",
        repository="rajpurkar/squad",
        revision="7b6d24c440a36b6815f21b70d25016731768db1f",
        config="plain_text",
    ),
    "squad_v2": Source(
        splits={"train": 130319, "validation": 11873},
        text=("question", "context"),
        label="answers",
        repository="rajpurkar/squad_v2",
        revision="3ffb306f725f7d2ce8394bc1873b24868140c412",
        config="squad_v2",
    ),
}
