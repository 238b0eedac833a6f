"""The course's own data sets and the public ones by one name, checked, as `datasets.DatasetDict`.

Not for turning text into tensors (`finetuning`) and not for corpora without labels (`corpus`).
"""

import random
from collections.abc import Callable
from pathlib import Path

import datasets
from datasets import Dataset, DatasetDict, concatenate_datasets
from huggingface_hub import constants, snapshot_download

from utils.models import sha256
from utils.profile import ROOT
from utils.schemas import ROW_CHECKS, SCHEMAS, DataError, read_jsonl, read_squad
from utils.sources import SOURCES, Source

datasets.disable_progress_bars()
FOLDER = ROOT / "data"


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
    _name_the_test(name, loaded)
    if "validation" not in loaded:
        parts = loaded["train"].train_test_split(test_size=validation_rows, seed=seed)
        loaded["train"], loaded["validation"] = parts["train"], parts["test"]
    names = {label: index for index, label in enumerate(source.labels)}

    def simplify(row: dict) -> dict:
        parts = [row[column].strip() for column in source.text if row[column]]
        parts = [part if part.endswith((".", "?", "!")) else f"{part}." for part in parts[:-1]] + parts[-1:]
        return {**row, "text": " ".join(parts), "label": names.get(row[source.label], row[source.label])}

    splits = ("train", "validation", "test")
    return DatasetDict(
        {split: Dataset.from_list([simplify(row) for row in loaded[split]]) for split in splits}
    )


def load_questions(name: str, validation_rows: int = 1000, seed: int = 0) -> DatasetDict:
    """Return `name`, a set of questions on passages, as train, validation and test.

    As `load_classification` does: the published validation split of SQuAD becomes the test set. Its
    validation set is made of all questions on some passages of train, drawn with `seed` until they are
    `validation_rows`, so that no passage is in two splits.
    """
    if "question" not in _source(name).text:
        questions = ", ".join(known for known, source in SOURCES.items() if "question" in source.text)
        raise DataError(f"{name} has no questions: choose one of {questions}.")
    loaded = load(name)
    _name_the_test(name, loaded)
    if "validation" not in loaded:
        rows_of: dict[str, list[int]] = {}
        for row, context in enumerate(loaded["train"]["context"]):
            rows_of.setdefault(context, []).append(row)
        apart: set[int] = set()
        for context in random.Random(seed).sample(sorted(rows_of), len(rows_of)):
            if len(apart) < validation_rows:
                apart.update(rows_of[context])
        kept = [row for row in range(len(loaded["train"])) if row not in apart]
        loaded["validation"] = loaded["train"].select(sorted(apart))
        loaded["train"] = loaded["train"].select(kept)
    return loaded


def _name_the_test(name: str, loaded: DatasetDict) -> None:
    """Make the published validation split the test set where there is no other."""
    if "train" not in loaded or len(loaded) == 1:
        raise DataError(
            f"{name}: train and one more split are needed: delete its folder in the hub cache and run again online."
        )
    if "test" not in loaded:
        loaded["test"] = loaded.pop("validation")


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
    folder = FOLDER / source.folder
    if source.folder not in SCHEMAS:  # SQuAD v2 JSON, one file a split
        return DatasetDict(
            {split: Dataset.from_list(_read(folder / f"{split}.json", read_squad)) for split in source.splits}
        )
    columns, together = SCHEMAS[source.folder], ROW_CHECKS.get(source.folder)
    rows = _read(folder / f"{source.folder}.jsonl", lambda path: read_jsonl(path, columns, together))
    parts = {split: [row for row in rows if row[source.split_by] == split] for split in source.splits}
    done = [column for column in ("split", "random_split") if column in columns]
    return DatasetDict({split: Dataset.from_list(part).remove_columns(done) for split, part in parts.items()})


def _read(path: Path, reader: Callable) -> list[dict]:
    """Read first, then compare the checksum: a bad row is named rather than the file."""
    name = f"data/{path.relative_to(FOLDER).as_posix()}"
    if not path.is_file():
        raise DataError(f"{name} is missing: restore it with `git checkout {name}`.")
    rows = reader(path)
    verify_checksum(path)
    return rows


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
