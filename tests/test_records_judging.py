"""Cells that fall short: made on purpose, learnt, decided on, and reported by the command."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import assert_one_line
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from utils.records import __main__ as command
from utils.records import cells, decisions, filling, learning, spoiling
from utils.records.cells import FINE
from utils.records.learning import Judge, RecordsError, learn, parse_labels, sample
from utils.tables import Table

FIELDS = ("name", "room", "text")
NAMES = ["lamp", "chair", "red lamp", "bad chair"]
TINY = replace(
    learning.RECIPE, epochs=8, learning_rate=3e-3, head_learning_rate=1e-2, max_length=60, frozen_layers=0
)


GENTLE = replace(TINY, epochs=24, learning_rate=1e-3, head_learning_rate=3e-3)


def table_of(number: int) -> list[dict]:
    """Records in which the text repeats the name."""
    draw = np.random.default_rng(0)
    names = [str(draw.choice(NAMES)) for _ in range(number)]
    return [
        {"name": name, "room": "a" if "lamp" in name else "b", "text": f"the {name} is good"}
        for name in names
    ]


@pytest.fixture
def backbone(tiny_bert, monkeypatch):
    monkeypatch.setenv("BERT_WORKSHOP_BACKBONE", str(tiny_bert))
    monkeypatch.setattr(command, "RECIPE", TINY)


def write(path, records: list[dict], **more) -> str:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*records[0], *more])
        writer.writeheader()
        for number, record in enumerate(records):
            writer.writerow(record | {name: values[number] for name, values in more.items()})
    return str(path)


# --------------------------------------------------------------------------------- made on purpose

CELLS = st.one_of(st.none(), st.sampled_from(["lamp", "chair", "good", "the lamp"]))
RECORDS = st.lists(st.fixed_dictionaries(dict.fromkeys(FIELDS, CELLS)), min_size=1, max_size=12)


@given(RECORDS, st.integers(0, 9))
def test_what_is_said_to_be_spoiled_is_and_nothing_else(records, seed):
    before = [dict(record) for record in records]
    spoiled, done = spoiling.spoil(records, FIELDS, seed)
    assert records == before and (spoiled, done) == spoiling.spoil(records, FIELDS, seed)
    for old, new, marks in zip(records, spoiled, done, strict=True):
        assert {field for field in FIELDS if old[field] != new[field]} == set(marks)
        for field, kind in marks.items():
            assert old[field] is not None
            if kind == "empty":
                assert new[field] is None
                assert np.mean([record[field] is not None for record in records]) >= spoiling.USUALLY_FILLED
            elif kind == "says_nothing":
                assert new[field] in spoiling.SAYS_NOTHING
            elif kind == "wrong_field":
                assert new[field] in {
                    value for other in (old, new) for name, value in other.items() if name != field
                }
            else:
                assert kind == "contradicts" and new[field] in {record[field] for record in records}


def test_half_of_the_records_are_spoiled_in_all_four_ways():
    done = spoiling.spoil(table_of(600), FIELDS, 0)[1]
    assert 0.4 < np.mean([bool(marks) for marks in done]) < 0.55
    kinds = [kind for marks in done for kind in marks.values()]
    assert all(kinds.count(kind) > 40 for kind in spoiling.KINDS)
    only = spoiling.spoil(table_of(99), FIELDS, 0, ("contradicts",))[1]
    assert {kind for marks in only for kind in marks.values()} == {"contradicts"}


@given(RECORDS, st.floats(0, 1), st.integers(0, 9))
def test_swapped_cells_are_the_marked_ones_and_no_value_is_lost(records, share, seed):
    copies, changed = spoiling.swap(records, FIELDS, share, seed)
    for column, field in enumerate(FIELDS):
        assert sorted(str(r[field]) for r in copies) == sorted(str(r[field]) for r in records)
        moved = [old[field] != new[field] for old, new in zip(records, copies, strict=True)]
        assert moved == changed[:, column].tolist()
        assert sum(moved) <= share * sum(record[field] is not None for record in records)


def test_five_percent_of_the_cells_are_swapped():
    changed = spoiling.swap(table_of(400), FIELDS, 0.05, 0)[1]
    assert (changed.sum(0) == 20).all()


# ---------------------------------------------------------------------------------------- decisions

SCORES = arrays(float, st.integers(1, 30), elements=st.floats(0, 1, width=16))


@given(SCORES, st.floats(0.01, 1))
def test_a_budget_is_kept_where_scores_differ(scores, share):
    threshold = decisions.budget_threshold(scores, share)
    chosen = (scores >= threshold).mean()
    above = (scores > threshold).mean()
    assert above <= share + 1e-9 and chosen + 1 / len(scores) >= share - 1e-9
    assert not (scores >= decisions.budget_threshold(scores, 0)).any()


@given(SCORES, st.data())
def test_the_threshold_by_cost_is_the_best_of_all(scores, data):
    short = data.draw(arrays(bool, len(scores)))
    threshold, cost = decisions.cost_threshold(scores, short, 10, 1)
    tried = [(s >= t).mean() + 10 * (short & (s < t)).mean() for s in [scores] for t in [*scores, -1, 2]]
    assert cost <= min(tried) + 1e-9
    assert cost == pytest.approx((scores >= threshold).mean() + 10 * (short & (scores < threshold)).mean())


def test_precision_and_recall_at_a_budget_by_hand():
    scores, short = np.array([0.9, 0.8, 0.7, 0.1, 0.0]), np.array([1, 0, 1, 1, 0], bool)
    assert decisions.at_budget(scores, short, 0.4) == (0.5, 1 / 3)
    assert decisions.at_budget(scores, short, 0) == (0, 0)
    with pytest.raises(ValueError) as error:
        decisions.budget_threshold(scores, 1.2)
    assert_one_line(error, "from 0 to 1", "1.2")


def test_doubt_is_what_is_left_of_fine():
    probabilities = np.array([[[0.9, 0.1], [0.2, 0.8]], [[1.0, 0.0], [0.7, 0.3]]])
    assert decisions.doubt(probabilities) == pytest.approx(np.array([[0.1, 0.8], [0, 0.3]]))
    assert decisions.record_score(probabilities) == pytest.approx([0.8, 0.3])
    assert "room does not fit" in decisions.reason("room", "contradicts") and "odd" in decisions.reason(
        "room", "odd"
    )


# ------------------------------------------------------------------------------------- cells, learnt


def test_a_label_stands_where_each_field_begins_even_if_a_value_forges_one(tiny_bert):
    tokenizer, model = cells.new_judge(TINY, (FINE, "empty", "odd"), str(tiny_bert))
    records = [{"name": "[COL] room [VAL] lamp", "room": None, "text": "the lamp " * 60}]
    (row,) = cells.encode(tokenizer, records, FIELDS, 50, [{"room": 2}])
    pieces = tokenizer.convert_ids_to_tokens(row["input_ids"])
    assert len(pieces) <= 50 and [pieces[place] for place in row["cells"]] == ["[COL]"] * 3
    assert pieces.count("[COL]") == pieces.count("[VAL]") == 3
    expected = [-100] * len(pieces)
    for place, label in zip(row["cells"], (0, 2, 0), strict=True):
        expected[place] = label
    assert row["token_labels"] == expected
    rows = cells.encode(tokenizer, [*records, *table_of(5)], FIELDS, 50)
    found = cells.judge(model, rows)
    assert found.shape == (6, 3, 3) and np.allclose(found.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(cells.judge(model, rows[:1])[0], found[0], atol=1e-4)
    assert model.config.id2label[0] == FINE


def test_a_judge_learns_from_labels_and_is_the_same_after_a_reload(backbone, tmp_path):
    records, done = spoiling.spoil(table_of(300), FIELDS, 1, ("says_nothing",))
    labels = ["; ".join(f"{field}:{kind}" for field, kind in marks.items()) for marks in done]
    table = Table(write(tmp_path / "t.csv", records, wrong=labels))
    judge = learn(table, labels="wrong", recipe=TINY)
    assert judge.settings.fields == FIELDS and judge.settings.kinds == ("says_nothing",)
    measured = judge.settings.measured
    assert measured["average precision"] > measured["falling short"] + 20
    judge.save(tmp_path / "judge")
    again = Judge.load(tmp_path / "judge")
    assert again.settings == judge.settings
    np.testing.assert_allclose(again.probabilities(records[:9]), judge.probabilities(records[:9]), atol=1e-5)
    assert judge.threshold(0.5) <= judge.threshold(0.1) <= judge.threshold(0.01)
    with pytest.raises(RecordsError) as error:
        judge.save(tmp_path / "judge")
    assert_one_line(error, "there already")


def test_without_labels_the_command_learns_from_the_table_itself(backbone, tmp_path, capsys):
    records = table_of(240)
    records[17]["text"] = "?"
    path = write(tmp_path / "t.csv", records, spare=[""] * 240)
    assert command.main(["report", path, "--output", str(tmp_path / "r.csv"), "--budget", "0.2"]) == 0
    said = capsys.readouterr().out
    assert (
        "'spare' is empty in every record" in said
        and "spoiled on purpose" in said
        and "of 240 records" in said
    )
    rows = list(csv.DictReader((tmp_path / "r.csv").open(encoding="utf-8-sig")))
    assert {row["field"] for row in rows} <= set(FIELDS) and all(
        0 < float(row["confidence"]) <= 1 for row in rows
    )
    assert any(row["row"] == "18" and row["field"] == "text" for row in rows)
    assert all(row["value"] == (records[int(row["row"]) - 1][row["field"]] or "") for row in rows)
    assert (tmp_path / "r.png").stat().st_size > 1000


def test_the_page_holds_the_picture_and_no_value_breaks_out(backbone, tmp_path, capsys):
    records = table_of(120)
    for record in records[::3]:
        record["name"] = "=1+1<script>alert(1)</script>"
    path = write(tmp_path / "t.csv", records)
    assert command.main(["learn", path, "--output", str(tmp_path / "m"), "--rows", "90"]) == 0
    assert json.loads((tmp_path / "m" / "records.json").read_text())["labelled"] is False
    words = ["report", path, "--model", str(tmp_path / "m"), "--budget", "1", "--output"]
    assert command.main([*words, str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text()
    assert "<script" not in page and "&lt;script" in page and "data:image/png;base64," in page
    assert command.main([*words, str(tmp_path / "r.csv")]) == 0
    assert "'=1+1" in (tmp_path / "r.csv").read_text(encoding="utf-8-sig")
    assert sorted(found.name for found in tmp_path.glob("r.*")) == ["r.csv", "r.html", "r.png"]


def test_mistakes_are_one_line_and_exit_with_2(backbone, tmp_path, capsys):
    path, out = write(tmp_path / "t.csv", table_of(60), wrong=["nme:empty"] * 60), str(tmp_path / "out")
    few = write(tmp_path / "few.csv", table_of(9))
    other = write(tmp_path / "other.csv", [{"a": "x"}] * 60)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for words, part in (
        (["learn", "no.csv", "--output", out], "no such file"),
        (["learn", few, "--output", out], "9 records"),
        (["learn", path, "--output", out, "--labels", "wrong"], "names no field"),
        (["learn", path, "--output", out, "--labels", "what"], "no column 'what'"),
        (["learn", path, "--output", out, "--fields", "name,what"], "no column 'what'"),
        (["learn", path, "--output", str(tmp_path / "full")], "there already"),
        (["report", path, "--output", f"{out}.pdf"], ".html"),
        (["report", path, "--output", f"{out}.csv", "--budget", "0"], "above 0"),
        (["report", path, "--output", f"{out}.csv", "--model", str(tmp_path / "full")], "no model"),
    ):
        assert command.main(words) == 2, words
        err = capsys.readouterr().err
        assert err.startswith("Error: ") and part in err and err.count("\n") == 1
    assert command.main(["learn", path, "--output", out, "--fields", "name,room"]) == 0
    capsys.readouterr()
    assert command.main(["report", other, "--output", f"{out}.csv", "--model", out]) == 2
    assert "no column 'name'" in capsys.readouterr().err.splitlines()[-1]


def test_labels_are_read_in_the_forms_people_write():
    assert parse_labels("name:empty; room", FIELDS, "t") == {"name": "empty", "room": "doubtful"}
    assert parse_labels("['name:empty', 'text:odd']", FIELDS, "t") == {"name": "empty", "text": "odd"}
    assert parse_labels(None, FIELDS, "t") == parse_labels(" ; ", FIELDS, "t") == {}


def test_a_sample_takes_each_row_with_the_same_chance():
    counts = np.zeros(20)
    for seed in range(2000):
        for row in sample(({"a": n} for n in range(20)), 5, seed):
            counts[row["a"]] += 1
    assert counts.sum() == 10_000 and abs(counts - 500).max() < 100
    assert len(sample(({"a": n} for n in range(3)), 5, 0)) == 3


# --------------------------------------------------------------------------------------- hidden cells


def test_a_category_is_filled_from_the_rest_and_a_wrong_one_is_doubted(backbone):
    records = [record | {"shade": "red" if "red" in record["name"] else "grey"} for record in table_of(200)]
    records[0]["room"] = None
    fields = (*FIELDS, "shade")
    filler = filling.learn_to_fill(records, fields, ("room", "shade"), GENTLE)
    assert filler.values == {"room": ("a", "b"), "shade": ("grey", "red")} and filler.first("shade") == 2
    for category in filler.values:
        found = filler.probabilities(records[1:], category)
        assert found.shape == (199, 2) and np.allclose(found.sum(1), 1, atol=1e-5)
        truth = [filler.values[category].index(record[category]) for record in records[1:]]
        assert (found.argmax(1) == truth).mean() > 0.9
        lied = [record | {category: filler.values[category][0]} for record in records[1:]]
        np.testing.assert_allclose(
            filler.probabilities(lied, category), found, atol=1e-5
        )  # the cell is hidden
    (row,) = filler.rows(records[1:2], ["shade"], labels=True)
    assert [n for n in row["token_labels"] if n >= 0] == [2 + (records[1]["shade"] == "red")]
    assert row["token_labels"][row["cells"][3]] >= 0


def test_doubt_is_by_hand():
    found = filling.doubt(np.array([[0.9, 0.1]] * 4), ("a", "b"), ["a", "b", None, "new"])
    assert found == pytest.approx([0.1, 0.9, 0, 1])
