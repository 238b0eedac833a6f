"""Tables of one's own: what is read back is what was written, and every oddity is handled and said, or one line."""

import csv

import openpyxl
import pandas as pd
import pytest
from helpers import assert_one_line
from hypothesis import given
from hypothesis import strategies as st

from utils import tables
from utils.tables import Table, TableError, neutralize, write_csv

CELL = st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=30))


def clean(cell):
    return (cell.strip() or None) if cell else None


@pytest.fixture
def write(tmp_path):
    """Write bytes or text to a file of that name and return its path."""

    def to(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to


def read(path):
    return list(Table(path).rows())


@given(st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=8), st.sampled_from(",;\t|"))
def test_what_a_csv_holds_is_read_back(tmp_path_factory, rows, delimiter):
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([["a", "b", "c"], *rows, ["end", "", ""]])
    expected = [[clean(cell) for cell in row] for row in [*rows, ["end", "", ""]]]
    assert [list(row.values()) for row in read(path)] == [row for row in expected if any(row)]


@given(st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=8))
def test_what_is_written_is_read_back_but_for_the_apostrophe(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "out.csv"
    given_rows = [{"a": clean(one), "b": clean(other)} for one, other in [*rows, ["x", "y"]]]
    assert write_csv(path, given_rows) == len(given_rows)
    expected = [{k: v and neutralize(v) for k, v in row.items()} for row in given_rows if any(row.values())]
    assert read(path) == expected


def test_csv_parquet_and_excel_give_the_same_rows(tmp_path):
    rows = [{"name": "Tarn kettle", "note": "=1+1", "price": 24.5}, {"name": None, "note": "ok", "price": 3}]
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    book = openpyxl.Workbook()
    book.active.append(["name", "note", "price"])
    book.active.append(["Tarn kettle", None, 24.5])
    book.active.append([None, "ok", 3.0])
    book.active["B2"].value, book.active["B2"].data_type = "=1+1", "s"
    book.save(tmp_path / "t.xlsx")
    expected = [
        {"name": "Tarn kettle", "note": "=1+1", "price": "24.5"},
        {"name": None, "note": "ok", "price": "3.0"},
    ]
    assert read(tmp_path / "t.csv") == read(tmp_path / "t.parquet") == expected
    found = read(tmp_path / "t.xlsx")
    assert [row["name"] for row in found] == ["Tarn kettle", None] and found[0]["note"] == "=1+1"


@pytest.mark.parametrize(
    ("content", "rows", "note"),
    [
        ("\ufeffa,b\n1,é\n".encode(), [{"a": "1", "b": "é"}], None),
        ("a;b\n1;é\n".encode("cp1252"), [{"a": "1", "b": "é"}], "Windows-1252"),
        ("a\tb\n1\té\n".encode("utf-16"), [{"a": "1", "b": "é"}], None),
        ("a,b\r\n1,2\r\n\r\n3,4", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], None),
        ("a,b,c\n1\n", [{"a": "1", "b": None, "c": None}], "fewer cells"),
        ("a,b\n1,2,,\n", [{"a": "1", "b": "2"}], None),
        ("a,a,\n1,2,3\n", [{"a": "1", "a (2)": "2", "column 3": "3"}], "earlier one"),
        ("a,b\nx\0y,2\n", [{"a": "xy", "b": "2"}], "zero bytes"),
        ('a,b\n"1,\n2",3\n', [{"a": "1,\n2", "b": "3"}], None),
        ('"x, y; z",b\n1,2\n', [{"x, y; z": "1", "b": "2"}], None),
    ],
)
def test_oddities_are_handled_and_said(write, content, rows, note):
    table = Table(write(content))
    assert list(table.rows()) == rows == list(table.rows())  # as often as one likes
    told = " ".join(table.notes)
    assert (note in told) if note else not told
    assert len(set(table.notes)) == len(table.notes)


def test_a_cell_of_a_million_characters_is_cut_and_said(write):
    table = Table(write('a,b\n"' + "x" * 1_000_000 + '",2\n'))
    (row,) = table.rows()
    assert row == {"a": "x" * tables.LONGEST, "b": "2"}
    assert table.notes == ["cells longer than 20,000 characters, cut there: 1"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("table.csv", "", "empty"),
        ("table.csv", "a,b\n", "no row below"),
        ("table.csv", "a,b\n1,2\n1,2,3\n", "line 3"),
        ("table.pdf", "a,b\n1,2\n", "CSV, Parquet or Excel"),
        ("table.parquet", "no parquet", "damaged"),
        ("table.xlsx", "no excel", "damaged"),
        ("table.xlsx", "", "damaged"),
    ],
)
def test_what_cannot_be_read_is_one_line(write, name, content, words):
    with pytest.raises(TableError) as error:
        list(Table(write(content, name)).rows())
    assert_one_line(error, words)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(TableError) as error:
        Table(tmp_path / "nowhere.csv")
    assert_one_line(error, "no such file")


@pytest.mark.parametrize("cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "-x"])
def test_formulas_are_neutralised(cell):
    assert neutralize(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-5", "+44 ", "-1,5", "+3.25%", "a=1", "", "2024-05-01"])
def test_numbers_and_texts_stay(cell):
    assert neutralize(cell.strip()) == cell.strip()


def test_a_report_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "out.csv"
    with pytest.raises(TableError) as error:
        write_csv(path, [{"a": "1"}, {"b": "2"}])
    assert_one_line(error, "row 2 has other columns")
    with pytest.raises(TableError) as error:
        write_csv(path, [])
    assert_one_line(error, "no row")
    with pytest.raises(TableError) as error:
        write_csv(tmp_path / "nowhere" / "out.csv", [{"a": "1"}])
    assert_one_line(error, "cannot be written")
    assert not list(tmp_path.iterdir())


def test_chunks_are_the_rows(write):
    path = write("a\n" + "\n".join(map(str, range(25))))
    assert [len(chunk) for chunk in Table(path).chunks(10)] == [10, 10, 5]
    assert [row["a"] for chunk in Table(path).chunks(10) for row in chunk] == [str(n) for n in range(25)]
