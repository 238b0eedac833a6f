"""The shop's data: the validator passes what is there and names each thing that a careless edit spoils."""

import json
import shutil
import sys

import pytest
from helpers import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import build_data
import inject_shortfalls
import validate_data

from utils import data, schemas


def lines(path):
    return build_data.read(path)


def store(path, rows):
    path.write_text(build_data.as_lines(rows), encoding="utf-8")


def seal(folder):
    (folder / "MANIFEST.sha256").write_text(build_data.manifest(folder))


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A copy of data/ that the test may spoil."""
    copy = shutil.copytree(ROOT / "data", tmp_path / "data")
    monkeypatch.setattr(data, "FOLDER", copy)
    return copy


def rebuild(folder, change):
    """Change the written tickets, build the rest anew, and seal."""
    rows = lines(folder / "tickets" / "written.jsonl")
    change(rows)
    store(folder / "tickets" / "written.jsonl", rows)
    catalogue = json.loads((folder / "tickets" / "catalogue.json").read_text(encoding="utf-8"))
    store(folder / "tickets" / "tickets.jsonl", build_data.tickets(rows, catalogue))
    seal(folder)


# -------------------------------------------------------------------------------------- the command


def test_the_shops_data_is_sound(capsys):
    assert validate_data.main([]) == 0
    said = capsys.readouterr()
    names = ("reviews", "tickets", "handbook", "entities", "translations")
    assert said.out.splitlines() == [f"{name}: ok" for name in names]
    assert said.err == ""


def test_a_folder_that_is_not_there_is_one_line(capsys, tmp_path):
    assert validate_data.main([str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_a_missing_set_and_a_changed_file_are_named_and_the_rest_is_still_checked(folder, capsys):
    (folder / "handbook" / "test.json").unlink()
    assert validate_data.main([str(folder)]) == 1
    said = capsys.readouterr()
    assert "handbook: 1 problems" in said.out and "entities: ok" in said.out
    assert "data/handbook/test.json is missing" in said.err and "MANIFEST.sha256 does not fit" in said.err


# --------------------------------------------------------------------------------------- the tickets


def first(rows, **wanted):
    return next(row for row in rows if all(row[name] == value for name, value in wanted.items()))


def test_a_customer_in_two_splits_is_named(folder):
    def change(rows):
        first(rows, split="test")["customer"] = first(rows, split="train")["customer"]

    rebuild(folder, change)
    assert any("customer 'C" in problem for problem in validate_data.ticket_problems())


def test_a_product_of_another_split_is_named(folder):
    def change(rows):
        first(rows, split="train", language="en")["description"] = (
            "It stands next to our Moth floor lamp, which is fine."
        )

    rebuild(folder, change)
    assert any("names Moth floor lamp of test" in problem for problem in validate_data.ticket_problems())


def test_a_near_duplicate_across_splits_is_named(folder):
    def change(rows):
        copy, old = first(rows, split="test"), first(rows, split="train")
        for name in ("title", "description", "steps_tried", "expected_outcome"):
            copy[name] = old[name]
        copy["shortfalls"] = [s for s in old["shortfalls"] if s.split(":")[0] in ("title", "description")]

    rebuild(folder, change)
    assert any("near-duplicates" in problem for problem in validate_data.ticket_problems())


def test_a_label_that_a_split_lacks_is_named(folder):
    def change(rows):
        for row in rows:
            if row["split"] == "validation" and row["team"] == "safety":
                row["team"] = "workshop"

    rebuild(folder, change)
    assert "validation has no row with team 'safety'." in list(validate_data.ticket_problems())


def test_tickets_that_were_edited_by_hand_are_named(folder):
    path = folder / "tickets" / "tickets.jsonl"
    rows = lines(path)
    rows[3]["channel"] = "chat" if rows[3]["channel"] != "chat" else "email"
    store(path, rows)
    seal(folder)
    assert any("is not what written.jsonl gives" in problem for problem in validate_data.ticket_problems())


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"complete": "yes", "shortfalls": ["title:says_nothing"]}, "complete"),
        ({"complete": "no", "shortfalls": []}, "complete"),
        ({"complete": "no", "shortfalls": ["title:empty"], "title": "There"}, "shortfalls"),
        ({"complete": "no", "shortfalls": ["product:contradicts"], "product": None}, "shortfalls"),
        ({"complete": "yes", "shortfalls": [], "origin": "injected"}, "origin"),
        ({"shortfalls": ["title:odd"]}, "shortfalls"),
        ({"shortfalls": ["colour:empty"]}, "shortfalls"),
        ({"team": "kitchen"}, "team"),
        ({"tags": ["angry", "angry"]}, "tags"),
        ({"ticket_id": "T1"}, "ticket_id"),
        ({"created": "3 May"}, "created"),
    ],
)
def test_a_ticket_that_says_two_things_is_named_by_row_and_column(folder, change, column):
    path = folder / "tickets" / "tickets.jsonl"
    rows = lines(path)
    rows[4] |= change
    store(path, rows)
    with pytest.raises(data.DataError, match=rf"tickets\.jsonl, row 5, column '{column}'"):
        data.load("tickets")


# ----------------------------------------------------------------------------------------- injection


def ticket(**changes):
    row = {
        "ticket_id": "T0001",
        "language": "en",
        "product": "Tarn kettle",
        "category": "damaged_or_faulty",
        "order_number": "OM-204817",
        "title": "Leaks",
        "description": "The kettle of OM-204817 leaks.",
        "steps_tried": "New seal.",
        "expected_outcome": "A spare lid.",
        "contact": "a@example.org",
        "team": "workshop",
        "split": "train",
        "complete": "yes",
        "shortfalls": [],
        "origin": "natural",
    }
    return row | changes


def test_only_complete_tickets_are_injected_a_share_of_each_split_and_the_same_each_time():
    rows = [
        ticket(ticket_id=f"T{i:04d}", split=split, complete="no" if i % 5 == 0 else "yes")
        for split in ("train", "test")
        for i in range(100)
    ]
    done = inject_shortfalls.inject(rows, [], share=0.25, seed=1)
    for split in ("train", "test"):
        assert sum(row["origin"] == "injected" for row in done if row["split"] == split) == 20
    for before, after in zip(rows, done, strict=True):
        if before["complete"] == "no" or after["origin"] == "natural":
            assert after == before
        else:
            assert after["complete"] == "no" and after["shortfalls"] and after != before
    assert done == inject_shortfalls.inject(rows, [], share=0.25, seed=1)
    assert done != inject_shortfalls.inject(rows, [], share=0.25, seed=2)


def test_each_kind_of_defect_does_what_it_says():
    other = ticket(
        ticket_id="T0002", language="de", steps_tried="Neue Dichtung.", expected_outcome="Ein Deckel."
    )
    catalogue = [
        {"line": "Tarn", "category": "kitchen", "products": ["Tarn kettle"], "split": "test"},
        {"line": "Moth", "category": "lighting", "products": ["Moth floor lamp"], "split": "test"},
        {"line": "Drift", "category": "bedding", "products": ["Drift duvet"], "split": "train"},
    ]
    found = {kind: make(ticket(), [other], catalogue) for kind, make in inject_shortfalls.POSSIBLE.items()}
    assert ({"steps_tried": None}, ["steps_tried:empty"]) in found["empty"]
    assert all(None in changes.values() for changes, _ in found["empty"])
    assert ({"steps_tried": "Everything."}, ["steps_tried:says_nothing"]) in found["says_nothing"]
    swapped = {"steps_tried": "A spare lid.", "expected_outcome": "New seal."}
    assert swapped in [changes for changes, _ in found["wrong_field"]]
    assert ({"expected_outcome": "Ein Deckel."}, ["expected_outcome:wrong_language"]) in found[
        "wrong_language"
    ]
    assert ({"product": "Moth floor lamp"}, ["product:contradicts"]) in found["contradicts"]
    assert ({"order_number": "OM-204134"}, ["order_number:contradicts"]) in found["contradicts"]
    assert "Drift duvet" not in str(found["contradicts"])  # a product of another split would leak
    for kind, options in found.items():
        assert all(kind in names[0] for _, names in options), kind


def test_words_without_content_exist_in_every_language_and_none_twice():
    for by_language in inject_shortfalls.NOTHING.values():
        assert set(by_language) == set(schemas.LANGUAGES)
        for words in by_language.values():
            assert len(set(words)) == len(words) >= 8


# -------------------------------------------------------------------------------- handbook and entities


def spoil_handbook(folder, change, split="test"):
    path = folder / "handbook" / f"{split}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content["data"])
    path.write_text(json.dumps(content), encoding="utf-8")
    seal(folder)


def answered(articles):
    return next(q for a in articles for q in a["paragraphs"][0]["qas"] if q["answers"])


def test_an_answer_that_is_not_at_its_offset_is_named(folder):
    def change(articles):
        answered(articles)["answers"][0]["answer_start"] += 1

    spoil_handbook(folder, change)
    with pytest.raises(
        data.DataError, match=r"test\.json, question 'H\d+-\d+', column 'answers': expected .* at character"
    ):
        data.load("handbook")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q: q.update(is_impossible=True), "column 'is_impossible'"),
        (lambda q: q.update(question=" "), "column 'question'"),
        (lambda q: q.pop("answers"), "not SQuAD v2 JSON: 'answers'"),
        (lambda q: q.update(answers=None), "not SQuAD v2 JSON"),
    ],
)
def test_a_question_of_another_form_is_one_line(folder, change, message):
    spoil_handbook(folder, lambda articles: change(answered(articles)))
    with pytest.raises(data.DataError) as error:
        data.load("handbook")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_passage_in_two_splits_and_a_lost_reference_are_named(folder):
    train = json.loads((folder / "handbook" / "train.json").read_text(encoding="utf-8"))["data"]

    def change(articles):
        answered(articles)["answers"].pop()
        articles[-1]["paragraphs"][0]["context"] = train[0]["paragraphs"][0]["context"]
        articles[-1]["paragraphs"][0]["qas"] = []
        articles[-2]["title"] = train[0]["title"]

    spoil_handbook(folder, change)
    problems = "\n".join(validate_data.handbook_problems())
    assert "of test has 2 answers; expected 3" in problems
    assert f"title {train[0]['title']!r} is in test and train" in problems


def test_spans_off_their_words_another_split_and_a_foreign_sentence_are_named(folder):
    path = folder / "entities" / "entities.jsonl"
    rows = lines(path)
    marked = [row for row in rows if row["entities"] and row["split"] == "train"]
    marked[0]["entities"][0]["end"] -= 1
    marked[1]["text"] = "This was in no ticket."
    marked[1]["entities"] = []
    marked[2]["split"] = "test"
    store(path, rows)
    seal(folder)
    problems = list(validate_data.entity_problems())
    for row, words in zip(
        marked, ["inside a word", "is not one of ticket", "of another split"], strict=False
    ):
        assert any(row["sentence_id"] in problem and words in problem for problem in problems), words


@pytest.mark.parametrize(
    "span",
    [
        {"start": 5, "end": 5, "type": "part"},
        {"start": -1, "end": 3, "type": "part"},
        {"start": 0, "end": 3, "type": "colour"},
        {"start": 0, "end": 9999, "type": "part"},
        {"start": 0, "end": 3},
        {"start": 0.0, "end": 3, "type": "part"},
    ],
)
def test_a_span_that_is_none_is_named_by_row_and_column(folder, span):
    path = folder / "entities" / "entities.jsonl"
    rows = lines(path)
    rows[2]["entities"] = [span]
    store(path, rows)
    with pytest.raises(data.DataError, match=r"entities\.jsonl, row 3, column 'entities'"):
        data.load("entities")


def test_an_unknown_word_a_repeated_sentence_and_the_kept_example_are_named(folder):
    path = folder / "translations" / "translations.jsonl"
    rows = lines(path)
    test = next(row for row in rows if row["split"] == "test")
    train = [row for row in rows if row["split"] == "train"]
    test["en"] = "the zebra sleeps ."
    train[0]["en"], train[1]["en"] = train[2]["en"], "this is a lovely cat ."
    store(path, rows)
    seal(folder)
    problems = "\n".join(validate_data.translation_problems())
    assert f"pair {test['pair_id']}: no pair of train has 'zebra'" in problems
    assert f"en {train[2]['en']} occurs 2 times" in problems
    assert f"pair {train[1]['pair_id']} gives away" in problems


@pytest.mark.parametrize(
    "text", ["The cat is here .", "the cat is here.", "the  cat is here .", "cat .", "", 7]
)
def test_a_sentence_in_another_form_is_named(folder, text):
    path = folder / "translations" / "translations.jsonl"
    rows = lines(path)
    rows[4]["fr"] = text
    store(path, rows)
    with pytest.raises(data.DataError, match=r"translations\.jsonl, row 5, column 'fr'.*lower case"):
        data.load("translations")


def test_the_measure_of_nearness_is_right():
    assert validate_data.similarity(["abcdef"], ["abcdef", "abcdeX", "uvwxyz"]).tolist() == [
        [1.0, 1 / 3, 0.0]
    ]
