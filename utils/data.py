"""The course's own data sets and the public ones by one name, checked, as `datasets.DatasetDict`.

Not for turning text into tensors (`finetuning`) and not for corpora without labels (`corpus`).
"""

from dataclasses import dataclass
from pathlib import Path

import datasets
from datasets import Dataset, DatasetDict, concatenate_datasets
from huggingface_hub import constants, snapshot_download

from utils.models import sha256
from utils.profile import ROOT
from utils.schemas import SCHEMAS, DataError, read_jsonl

datasets.disable_progress_bars()
FOLDER = ROOT / "data"


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


GLUE = {"repository": "nyu-mll/glue", "revision": "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"}
PAIR = ("sentence1", "sentence2")
SOURCES = {
    "reviews": Source(
        splits={"train": 1428, "validation": 476, "test": 476},
        text=("title", "content"),
        label="sentiment",
        labels=("negative", "positive"),
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


def load(name: str) -> DatasetDict:
    """Return the data set `name` with its published splits and columns.

    A public set that is only partly on this machine is returned as it is, with one printed line
    for each split whose number of rows is not the published one.

    Raises:
        DataError: unknown name, not to be had offline, damaged, or a row that breaks the schema.
    """
    source = _source(name)
    if not source.repository:
        return _load_own(name, source)
    folder = _snapshot(name, source) / source.config
    files = {split: sorted(map(str, folder.glob(f"{split}-*.parquet"))) for split in source.splits}
    files = {split: paths for split, paths in files.items() if paths}
    if not files:
        raise DataError(
            f"{name}: no parquet file in {folder}: delete that folder and run again online to fetch it anew."
        )
    try:
        loaded = datasets.load_dataset("parquet", data_files=files)
    except Exception as error:  # pyarrow and datasets raise many kinds for a damaged file
        raise DataError(
            f"{name}: a file in {folder} is damaged ({_first_line(error)}): delete it and fetch it again."
        ) from None
    for split, published in source.splits.items():
        if (rows := loaded.num_rows.get(split, 0)) != published:
            print(
                f"{name}: {split} has {rows:,} rows on this machine; the published split has {published:,}."
            )
    return loaded


def load_classification(name: str, validation_rows: int = 1000, seed: int = 0) -> DatasetDict:
    """Return `name` as train, validation and test with two more columns, `text` and `label` (a number).

    Title and content (or any other text columns) are joined. Where the public set keeps its test
    labels secret (SST-2) its validation split becomes the test set; where it has no validation
    split left, `validation_rows` rows of train, drawn with `seed`, become one. So the test set
    is never what you tune on.
    """
    source, loaded = _source(name), load(name)
    if not source.labels:
        raise DataError(
            f"{name} has no classes to predict: choose one of {', '.join(k for k, v in SOURCES.items() if v.labels)}."
        )
    if "train" not in loaded or len(loaded) == 1:
        raise DataError(
            f"{name}: train and one more split are needed: delete its folder in the hub cache and run again online."
        )
    if "test" not in loaded:
        loaded["test"] = loaded.pop("validation")
    if "validation" not in loaded:
        parts = loaded["train"].train_test_split(test_size=validation_rows, seed=seed)
        loaded["train"], loaded["validation"] = parts["train"], parts["test"]
    names = {label: index for index, label in enumerate(source.labels)}

    def simplify(row: dict) -> dict:
        parts = [row[column].strip() for column in source.text]
        parts = [part if part.endswith((".", "?", "!")) else f"{part}." for part in parts[:-1]] + parts[-1:]
        return {**row, "text": " ".join(parts), "label": names.get(row[source.label], row[source.label])}

    splits = ("train", "validation", "test")
    return DatasetDict(
        {split: Dataset.from_list([simplify(row) for row in loaded[split]]) for split in splits}
    )


def class_names(name: str) -> tuple[str, ...]:
    """Return the names of the classes of `name`; class 0 comes first."""
    return _source(name).labels


def sample(dataset: Dataset, rows: int, seed: int = 0) -> Dataset:
    """Return `rows` rows drawn at random (all, if there are fewer). Shuffled first: IMDB is sorted by label."""
    return dataset.shuffle(seed=seed).select(range(min(rows, len(dataset))))


def where(dataset: Dataset, **wanted: str | tuple[str, ...]) -> Dataset:
    """Keep the rows whose columns have the wanted values: `where(rows, language="en", style=("plain", "varied"))`.

    A column that the data set does not have drops nothing, so that one line serves the shop's
    reviews (which say their language) and the public sets (which are all English).
    """
    wanted = {name: (value,) if isinstance(value, str) else value for name, value in wanted.items()}
    columns = {name: dataset[name] for name in wanted if name in dataset.column_names}
    keep = [
        i for i in range(len(dataset)) if all(column[i] in wanted[name] for name, column in columns.items())
    ]
    return dataset.select(keep)


def everything(loaded: DatasetDict) -> Dataset:
    """Return all splits as one data set, for counting and for reading; never for training."""
    return concatenate_datasets(list(loaded.values()))


# ------------------------------------------------------------------------------------ the course's data


def verify_checksum(path: Path) -> None:
    """Compare `path` with its line in data/MANIFEST.sha256.

    Raises:
        DataError: no line, or the file was changed.
    """
    manifest = dict(reversed(line.split()) for line in (FOLDER / "MANIFEST.sha256").read_text().splitlines())
    name = path.relative_to(FOLDER).as_posix()
    if manifest.get(name) != sha256(path):
        raise DataError(
            f"data/{name} is not the file of the manifest: restore it with `git checkout data/{name}`."
        )


def _load_own(name: str, source: Source) -> DatasetDict:
    path = FOLDER / name / f"{name}.jsonl"
    if not path.is_file():
        raise DataError(f"data/{name}/{name}.jsonl is missing: restore it with `git checkout data/{name}`.")
    rows = read_jsonl(path, SCHEMAS[name])
    verify_checksum(path)
    parts = {split: [row for row in rows if row["split"] == split] for split in source.splits}
    return DatasetDict(
        {split: Dataset.from_list(part).remove_columns("split") for split, part in parts.items()}
    )


# ------------------------------------------------------------------------------------------- the Hub


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise DataError(f"There is no data set {name!r} here: choose one of {', '.join(SOURCES)}.")
    return SOURCES[name]


def _snapshot(name: str, source: Source) -> Path:
    options = {
        "repo_type": "dataset",
        "revision": source.revision,
        "allow_patterns": [f"{source.config}/*.parquet"],
        "etag_timeout": 5,
    }
    for local_files_only in (True, False):
        if local_files_only is False and constants.HF_HUB_OFFLINE:
            break
        try:
            folder = Path(snapshot_download(source.repository, local_files_only=local_files_only, **options))
        except Exception:  # a wrong revision, no network, a proxy that refuses: many kinds, one remedy
            continue
        if any((folder / source.config).glob("*.parquet")):
            return folder
    raise DataError(
        f"{name}: {source.repository} at revision {source.revision[:8]} is not in the hub cache and the Hub is not to be "
        "reached: connect once, or set HF_HUB_CACHE to a folder that has it before you start Python."
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
