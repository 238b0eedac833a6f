"""Data: what a bad row, a changed file or a missing set gets, and whether the reviews are what the card says."""

import dataclasses
import json
import shutil

import pytest
from datasets import Dataset
from helpers import assert_one_line, hub_folder, truncate
from huggingface_hub import constants

from utils import data
from utils.data import SCHEMAS, SOURCES, DataError, load, load_classification, read_jsonl

GOOD = {
    "review_id": "R0001",
    "product": "Drift duvet",
    "category": "bedding",
    "language": "en",
    "title": "Warm",
    "content": "Warm all night, and light.",
    "stars": 5,
    "sentiment": "positive",
    "aspects": ["quality"],
    "style": "plain",
    "split": "train",
}
BAD = [
    ("review_id", ["0001", "R", "R12a", 1, None]),
    ("product", ["duvet", "one two three four five", "", 7, None]),
    ("category", ["clothes", "Bedding", "", None, ["bedding"]]),
    ("language", ["it", "EN", "", None]),
    ("title", ["", "   ", "word " * 13, None, 3]),
    ("content", ["", "word " * 151, None, ["a", "b"]]),
    ("stars", [0, 6, 4.0, "5", True, None]),
    ("sentiment", ["neutral", "Positive", 1, None]),
    ("aspects", [[], ["taste"], "quality", None, {"quality": 1}, [["quality"]], ["quality", None]]),
    ("style", ["fancy", "", None]),
    ("split", ["dev", "", None]),
]


def write(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


# ------------------------------------------------------------------------------------ rows and schema


def test_the_bad_values_cover_every_column():
    assert {column for column, _ in BAD} == set(GOOD) == set(SCHEMAS["reviews"])


def test_good_rows_are_returned_as_they_are(tmp_path):
    rows = [
        GOOD,
        GOOD | {"review_id": "R0002", "aspects": ["price", "design"], "stars": 1, "title": "Schön ναι"},
    ]
    assert read_jsonl(write(tmp_path / "good.jsonl", rows), SCHEMAS["reviews"]) == rows


@pytest.mark.parametrize(("column", "value"), [(column, value) for column, values in BAD for value in values])
def test_a_bad_value_is_named_by_file_row_and_column(tmp_path, column, value):
    path = write(tmp_path / "shop.jsonl", [GOOD, GOOD, GOOD | {column: value}, GOOD])
    with pytest.raises(DataError) as error:
        read_jsonl(path, SCHEMAS["reviews"])
    assert_one_line(error, "shop.jsonl", "row 3", repr(column), "expected", repr(value))


def test_line_separators_inside_a_text_do_not_cut_the_row(tmp_path):
    rows = [GOOD | {"content": "Warm\u2028all\u0085night\u000band light."}]
    assert read_jsonl(write(tmp_path / "good.jsonl", rows), SCHEMAS["reviews"]) == rows


@pytest.mark.parametrize("line", ["{'title': 1}", '{"title": "cut', ""])
def test_a_line_that_is_no_json_is_named(tmp_path, line):
    path = tmp_path / "shop.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + line + "\n" + json.dumps(GOOD) + "\n")
    with pytest.raises(DataError) as error:
        read_jsonl(path, SCHEMAS["reviews"])
    assert_one_line(error, "shop.jsonl", "row 2", "not JSON")


def test_another_encoding_is_named(tmp_path):
    path = tmp_path / "shop.jsonl"
    path.write_bytes((json.dumps(GOOD | {"title": "Schön"}, ensure_ascii=False) + "\n").encode("latin-1"))
    with pytest.raises(DataError) as error:
        read_jsonl(path, SCHEMAS["reviews"])
    assert_one_line(error, "shop.jsonl", "not UTF-8", "save the file as UTF-8")


@pytest.mark.parametrize("column", sorted(GOOD))
def test_a_missing_column_is_named(tmp_path, column):
    row = {name: value for name, value in GOOD.items() if name != column}
    with pytest.raises(DataError) as error:
        read_jsonl(write(tmp_path / "shop.jsonl", [GOOD, row]), SCHEMAS["reviews"])
    assert_one_line(error, "shop.jsonl", "row 2", repr(column))


@pytest.mark.parametrize("row", [GOOD | {"colour": "red"}, [1, 2], "text", None])
def test_an_unknown_column_or_no_row_at_all_is_named(tmp_path, row):
    with pytest.raises(DataError) as error:
        read_jsonl(write(tmp_path / "shop.jsonl", [GOOD, row]), SCHEMAS["reviews"])
    assert_one_line(error, "shop.jsonl", "row 2", "'colour'" if isinstance(row, dict) else "column")


# ------------------------------------------------------------------------------------ the course's data


@pytest.fixture
def own_folder(monkeypatch, tmp_path):
    """A copy of data/ with the reviews only, which the test may spoil."""
    (tmp_path / "data" / "reviews").mkdir(parents=True)
    for name in ("MANIFEST.sha256", "reviews/reviews.jsonl"):
        shutil.copy(data.FOLDER / name, tmp_path / "data" / name)
    monkeypatch.setattr(data, "FOLDER", tmp_path / "data")
    return tmp_path / "data"


def test_the_reviews_have_the_rows_and_columns_that_the_source_promises(capfd):
    reviews = load("reviews")
    assert capfd.readouterr() == ("", "")
    assert reviews.num_rows == SOURCES["reviews"].splits
    assert list(reviews) == ["train", "validation", "test"]
    for split in reviews.values():
        assert set(split.column_names) == set(GOOD) - {"split"}


def test_a_changed_file_fails_the_checksum(own_folder):
    path = own_folder / "reviews" / "reviews.jsonl"
    assert load("reviews")
    path.write_text(path.read_text(encoding="utf-8") + json.dumps(GOOD) + "\n", encoding="utf-8")
    with pytest.raises(DataError) as error:
        load("reviews")
    assert_one_line(
        error, "data/reviews/reviews.jsonl", "manifest", "git checkout data/reviews/reviews.jsonl"
    )


def test_a_file_without_a_line_in_the_manifest_fails(own_folder):
    (own_folder / "MANIFEST.sha256").write_text("")
    with pytest.raises(DataError) as error:
        load("reviews")
    assert_one_line(error, "manifest")


def test_a_missing_file_says_how_to_restore_it(own_folder):
    (own_folder / "reviews" / "reviews.jsonl").unlink()
    with pytest.raises(DataError) as error:
        load("reviews")
    assert_one_line(error, "data/reviews/reviews.jsonl is missing", "git checkout")


def test_every_line_of_the_manifest_is_true():
    lines = (data.FOLDER / "MANIFEST.sha256").read_text().splitlines()
    assert lines
    for line in lines:
        data.verify_checksum(data.FOLDER / line.split()[1])


def test_title_and_content_become_one_text_and_classes_become_numbers():
    parts, reviews = load_classification("reviews"), load("reviews")
    assert parts.num_rows == reviews.num_rows
    for new, old in zip(parts["test"], reviews["test"], strict=True):
        assert new["text"].startswith(old["title"].strip()) and new["text"].endswith(old["content"].strip())
        assert data.class_names("reviews")[new["label"]] == old["sentiment"]


# ---------------------------------------------------------------------------------- what the reviews are


@pytest.fixture(scope="module")
def reviews():
    rows = []
    for split, part in load("reviews").items():
        rows += [row | {"split": split, "text": f"{row['title']} {row['content']}"} for row in part]
    return rows


def test_there_are_enough_reviews_in_enough_languages(reviews):
    languages = [row["language"] for row in reviews]
    assert len(reviews) >= 700
    assert languages.count("en") >= 0.6 * len(reviews)
    assert {"en", "de", "fr", "es"} < set(languages)
    for split in ("train", "validation", "test"):
        assert len({row["language"] for row in reviews if row["split"] == split}) >= 5, split


def test_no_review_is_too_short_or_too_long(reviews):
    wrong = [row["review_id"] for row in reviews if not 5 <= len(row["text"].split()) <= 150]
    assert wrong == []


def test_ids_are_unique(reviews):
    assert len({row["review_id"] for row in reviews}) == len(reviews)


def test_stars_fit_the_sentiment_but_for_a_few_that_mislead_on_purpose(reviews):
    """A buyer may give five stars "so that somebody reads this"."""
    misleading = [
        row for row in reviews if (row["stars"] > 3) != (row["sentiment"] == "positive") and row["stars"] != 3
    ]
    assert len(misleading) <= 0.02 * len(reviews)


def test_no_product_is_in_two_splits(reviews):
    splits = {}
    for row in reviews:
        splits.setdefault(row["product"], set()).add(row["split"])
    assert [product for product, where in splits.items() if len(where) > 1] == []


# ---------------------------------------------------------------------------------------- public data


def put_sst2(hub, rows=None):
    """Make a hub cache that holds a little of SST-2: sorted by label, as IMDB is; returns its folder."""
    snapshot = hub_folder(hub, "nyu-mll/glue", SOURCES["sst2"].revision, "datasets")
    (snapshot / "sst2").mkdir()
    for split, count in (rows or {"train": 60, "validation": 12, "test": 9}).items():
        labels = [-1] * count if split == "test" else [int(i >= count / 2) for i in range(count)]
        columns = {
            "sentence": [f"{split} {i} " for i in range(count)],
            "label": labels,
            "idx": list(range(count)),
        }
        Dataset.from_dict(columns).to_parquet(snapshot / "sst2" / f"{split}-00000-of-00001.parquet")
    return snapshot / "sst2"


def test_a_public_set_comes_from_the_hub_cache_offline_and_says_what_is_not_complete(hub, capfd):
    put_sst2(hub)
    loaded = load("sst2")
    assert loaded.num_rows == {"train": 60, "validation": 12}
    assert loaded["train"][0] == {"sentence": "train 0 ", "label": 0, "idx": 0}
    said, errors = capfd.readouterr()
    assert said.splitlines() == [
        "sst2: train has 60 rows on this machine; the published split has 67,349.",
        "sst2: validation has 12 rows on this machine; the published split has 872.",
    ]
    assert errors == ""


def test_a_complete_set_says_nothing(hub, capfd, monkeypatch):
    put_sst2(hub)
    complete = dataclasses.replace(SOURCES["sst2"], splits={"train": 60, "validation": 12})
    monkeypatch.setitem(SOURCES, "sst2", complete)
    load("sst2")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_that_is_not_there_is_said_and_too_little_to_train_and_test(hub, split, capsys):
    folder = put_sst2(hub)
    (folder / f"{split}-00000-of-00001.parquet").unlink()
    assert split not in load("sst2")
    assert f"sst2: {split} has 0 rows on this machine" in capsys.readouterr().out
    with pytest.raises(DataError) as error:
        load_classification("sst2")
    assert_one_line(error, "sst2", "train and one more split are needed")


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_damaged_parquet_file_is_one_line(hub, share, capfd):
    folder = put_sst2(hub)
    truncate(folder / "train-00000-of-00001.parquet", share)
    with pytest.raises(DataError) as error:
        load("sst2")
    assert_one_line(error, "sst2", "damaged", str(folder), "fetch it again")
    assert capfd.readouterr() == ("", "")


def test_a_set_that_is_not_here_is_one_line_offline():
    with pytest.raises(DataError) as error:
        load("sst2")
    assert_one_line(error, "sst2", "nyu-mll/glue", SOURCES["sst2"].revision[:8], "HF_HUB_CACHE")


def test_another_part_of_the_same_repository_does_not_stand_in(hub):
    put_sst2(hub)
    with pytest.raises(DataError) as error:
        load("cola")
    assert_one_line(error, "cola", "not in the hub cache")


@pytest.mark.parametrize(("offline", "expected"), [(True, [True]), (False, [True, False])])
def test_the_hub_is_asked_last_and_never_offline(monkeypatch, offline, expected):
    asked = []

    class ProxyError(Exception):
        """httpx's error is no OSError either."""

    def snapshot_download(name, *, local_files_only, repo_type, revision, **options):
        asked.append(local_files_only)
        assert (repo_type, revision) == ("dataset", SOURCES["sst2"].revision)
        raise ProxyError("403\nForbidden")

    monkeypatch.setattr(data, "snapshot_download", snapshot_download)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    with pytest.raises(DataError) as error:
        load("sst2")
    assert_one_line(error, "sst2")
    assert asked == expected


def test_an_unknown_name_lists_the_names():
    for function in (load, load_classification, data.class_names):
        with pytest.raises(DataError) as error:
            function("sst3")
        assert_one_line(error, "'sst3'", *SOURCES)


def test_every_public_source_is_pinned_to_a_full_commit_id():
    for name, source in SOURCES.items():
        assert source.repository == "" or len(source.revision) == 40, name


def test_sst2_is_tested_on_its_validation_and_tuned_on_a_part_of_train(hub):
    put_sst2(hub)
    parts = load_classification("sst2", validation_rows=15, seed=0)
    assert parts.num_rows == {"train": 45, "validation": 15, "test": 12}
    texts = {split: set(part["text"]) for split, part in parts.items()}
    assert not texts["train"] & texts["validation"]
    assert texts["train"] | texts["validation"] == {f"train {i}" for i in range(60)}
    assert texts["test"] == {f"validation {i}" for i in range(12)}  # the published test set has no labels
    assert set(parts["test"]["label"]) == {0, 1}


def test_one_seed_draws_one_validation_set(hub):
    put_sst2(hub)
    first, again, other = (load_classification("sst2", 15, seed)["validation"]["text"] for seed in (0, 0, 1))
    assert list(first) == list(again) != list(other)


def test_a_set_without_classes_is_refused(hub):
    folder = hub_folder(hub, "rajpurkar/squad", SOURCES["squad"].revision, "datasets") / "plain_text"
    folder.mkdir()
    for split in ("train", "validation"):
        Dataset.from_dict({"question": ["?"], "context": ["."]}).to_parquet(
            folder / f"{split}-00000-of-00001.parquet"
        )
    with pytest.raises(DataError) as error:
        load_classification("squad")
    assert_one_line(error, "squad has no classes", "reviews", "sst2")


# ------------------------------------------------------------------------------------------ questions


def put_squad(cache):
    folder = hub_folder(cache, "rajpurkar/squad", SOURCES["squad"].revision, "datasets") / "plain_text"
    folder.mkdir()
    for split, rows in (("train", 60), ("validation", 12)):
        passages = [f"{split} passage {i // 6}" for i in range(rows)]
        columns = {"question": [f"{split} {i}?" for i in range(rows)], "context": passages}
        Dataset.from_dict(columns).to_parquet(folder / f"{split}-00000-of-00001.parquet")


def test_questions_are_tuned_on_whole_passages_of_train(hub):
    put_squad(hub)
    parts = data.load_questions("squad", validation_rows=10, seed=0)
    assert parts.num_rows == {"train": 48, "validation": 12, "test": 12}  # two passages of six questions
    passages = {split: set(part["context"]) for split, part in parts.items()}
    assert not passages["train"] & passages["validation"] and len(passages["validation"]) == 2
    assert passages["test"] == {"validation passage 0", "validation passage 1"}
    other = data.load_questions("squad", validation_rows=10, seed=1)
    assert set(other["validation"]["context"]) != passages["validation"]


def test_the_handbook_has_its_own_three_splits():
    parts, whole = data.load_questions("handbook"), load("handbook")
    assert {split: list(part["id"]) for split, part in parts.items()} == {
        split: list(part["id"]) for split, part in whole.items()
    }


def test_a_set_without_questions_is_refused():
    with pytest.raises(DataError) as error:
        data.load_questions("reviews")
    assert_one_line(error, "reviews has no questions", "handbook", "squad_v2")


# ------------------------------------------------------------------------------------------- sampling


def test_a_sample_is_shuffled_and_repeatable():
    rows = Dataset.from_dict(
        {"label": [0] * 500 + [1] * 500, "number": list(range(1000))}
    )  # sorted, like IMDB
    drawn = data.sample(rows, 100, seed=0)
    assert 30 <= sum(drawn["label"]) <= 70
    assert len(set(drawn["number"])) == 100
    assert list(drawn["number"]) == list(data.sample(rows, 100, seed=0)["number"])
    assert list(drawn["number"]) != list(data.sample(rows, 100, seed=1)["number"])
    assert sorted(data.sample(rows, 5000)["number"]) == list(range(1000))


def test_where_keeps_the_wanted_rows_and_ignores_columns_that_are_not_there():
    rows = Dataset.from_dict({"language": ["en", "de", "en"], "style": ["plain", "plain", "varied"]})
    assert data.where(rows, language="en").num_rows == 2
    assert data.where(rows, language="en", style=("plain", "literary")).num_rows == 1
    assert data.where(rows, language=("en", "de"), source="x").num_rows == 3


def test_everything_holds_all_splits():
    assert data.everything(load("reviews")).num_rows == sum(SOURCES["reviews"].splits.values())
