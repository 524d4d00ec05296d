"""Logs of outputs, read again and as tables; CSV and Parquet are read by readers that are not ours."""

import csv
import io
import json
import logging
import os

import pandas
import pytest
from typer.testing import CliRunner

import ticktalk
from ticktalk.cli.main import app_of
from ticktalk.errors import TTError
from ticktalk.payloads import OutputToken
from ticktalk.time import INFINITY, NEG_INFINITY

VALUES = [
    ("pose-1", {"x": 1, "y": [0.5, 2.5]}),
    ("pose-1", {"x": 2, "y": [1.5, 3.5]}),
    ("count-1", 7),
    ("count-1", 3**80),
    ("open-1", True),
    ("names-1", ["a", 1]),
    ("names-1", {"a set", "of two"}),
    ("names-1", 'with "quotes",\nand a line'),
    ("names-1", None),
]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "out.jsonl"
    tokens = [
        OutputToken("g", value, 1000 * index, 1000 * index + 10, sq, "edge", context=1, arrival=1000 * index + 5)
        for index, (sq, value) in enumerate(VALUES)
    ]
    tokens.append(OutputToken("g", 0.25, NEG_INFINITY, INFINITY, "last-1", "edge", context=1, arrival=9_000))
    path.write_text("".join(token.line("context", "arrival") + "\n" for token in tokens))
    return path


def export(*words):
    found = CliRunner().invoke(app_of(["export"]), ["export", *map(str, words)])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def test_a_log_is_read_as_rows_for_pandas(log):
    rows = ticktalk.read_log(log)
    assert [row["value"] for row in rows] == [
        {"x": 1, "y": [0.5, 2.5]}, {"x": 2, "y": [1.5, 3.5]}, 7, 3**80, True, ["a", 1], None,
        'with "quotes",\nand a line', None, 0.25,
    ]  # fmt: skip
    assert [row["repr"] for row in rows if row["repr"]] == ["{'a set', 'of two'}"]
    table = pandas.DataFrame(rows)
    assert list(table.columns) == [
        "graph", "context", "sq", "ensemble", "start", "stop", "arrival", "value", "repr"
    ]  # fmt: skip
    assert (table.arrival - table.start)[:9].tolist() == [5] * 9
    assert table.start.isna().tolist() == [False] * 9 + [True]


def test_csv_has_a_column_for_each_part_of_a_value(log):
    rows = list(csv.DictReader(io.StringIO(export(log, "--to", "csv").stdout)))
    assert rows[0] == {
        "graph": "g", "context": "1", "sq": "pose-1", "ensemble": "edge", "start": "0", "stop": "10", "arrival": "5",
        "value.x": "1", "value.y[0]": "0.5", "value.y[1]": "2.5", "value": "", "value[0]": "", "value[1]": "",
    }  # fmt: skip
    assert [row["value"] for row in rows[2:]] == [
        "7", str(3**80), "true", "", "{'a set', 'of two'}", 'with "quotes",\nand a line', "null", "0.25",
    ]  # fmt: skip
    assert (rows[5]["value[0]"], rows[5]["value[1]"]) == ("a", "1")
    assert (rows[-1]["start"], rows[-1]["stop"]) == ("null", "null")


def test_a_picture_is_one_text_beside_numbers_with_columns_of_their_own(log):
    picture = [[[0, 1, 2]] * 8] * 6  # 144 numbers in lists of at most 8
    token = OutputToken("g", {"box": [[1, 2], [3, 4]], "frame": picture}, 0, 10, "cam-1", "edge", context=1, arrival=5)
    log.write_text(token.line("context", "arrival") + "\n")
    (row,) = csv.DictReader(io.StringIO(export(log, "--to", "csv").stdout))
    values = {name: text for name, text in row.items() if name.startswith("value")}
    assert json.loads(values.pop("value.frame")) == picture
    assert values == {"value.box[0][0]": "1", "value.box[0][1]": "2", "value.box[1][0]": "3", "value.box[1][1]": "4"}


def test_parquet_keeps_the_types_of_columns(log, tmp_path):
    assert export(log, "--to", "parquet", "-o", tmp_path / "out.parquet").exit_code == 0
    table = pandas.read_parquet(tmp_path / "out.parquet", dtype_backend="numpy_nullable")
    types = {name: str(kind) for name, kind in table.dtypes.items()}
    assert types["start"] == types["arrival"] == types["context"] == "Int64"
    assert types["value.x"] == "Int64" and types["value.y[0]"] == "Float64"
    assert types["value"] == "string", "ints that no 64 bits hold, truth values and text in one column are text"
    assert table["value"][2:].fillna("-").tolist() == [
        "7", str(3**80), "true", "-", "{'a set', 'of two'}", 'with "quotes",\nand a line', "-", "0.25",
    ]  # fmt: skip
    assert table["value.y[1]"].dropna().tolist() == [2.5, 3.5]
    assert table.start.isna().tolist() == [False] * 9 + [True]


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1, 2, None], "int64"), ([1, 0.5], "double"), ([2**60, 1], "int64"), ([2**60, 0.5], "string"),
     ([True, False], "bool"), ([True, 1], "string"), (["a", "b"], "string"), ([None, None], "string")],
)  # fmt: skip
def test_a_column_of_parquet_has_the_narrowest_type_that_holds_all(values, kind, tmp_path):
    from pyarrow import parquet

    rows = [json.dumps({"graph": "g", "value": value, "start": 0, "stop": 1, "sq": "s-1"}) for value in values]
    (tmp_path / "log").write_text("\n".join(rows) + "\n")
    export(tmp_path / "log", "--to", "parquet", "-o", tmp_path / "out.parquet")
    column = parquet.read_table(tmp_path / "out.parquet")["value"]
    assert str(column.type) == kind
    if kind != "string":
        assert column.to_pylist() == values


def test_flat_json_lines_are_written(log):
    rows = [json.loads(row) for row in export(log, "--to", "jsonl").stdout.splitlines()]
    assert rows[1]["value.y[1]"] == 3.5
    assert rows[3]["value"] == 3**80


def test_a_last_line_that_breaks_off_is_left_out_and_told(log, caplog):
    log.write_text(log.read_text()[:-20])
    with caplog.at_level(logging.WARNING):
        assert len(ticktalk.read_log(log)) == len(VALUES)
    assert "the last line breaks off" in caplog.text


@pytest.mark.parametrize(
    "bad", ["{}", "[1]", '{"sq": "a"}', "no JSON", '{"sq": "a", "value": 1, "repr": "1"}', "[" * 99999]
)
def test_a_line_that_is_no_output_is_named(bad, log):
    log.write_text(bad + "\n" + log.read_text())
    with pytest.raises(TTError, match=r"out\.jsonl:1: no output, as --log and --jsonl write them"):
        ticktalk.read_log(log)


def test_a_file_that_cannot_be_read_or_written_is_named(log, tmp_path):
    with pytest.raises(TTError, match=r"none\.jsonl: the log cannot be read: No such file"):
        export(tmp_path / "none.jsonl", "--to", "csv")
    with pytest.raises(TTError, match=r"-o .*/none/x\.csv: the file cannot be written: No such file"):
        export(log, "--to", "csv", "-o", tmp_path / "none" / "x.csv")
    with pytest.raises(TTError, match=r"-o .*/none/x\.parquet: the file cannot be written"):
        export(log, "--to", "parquet", "-o", tmp_path / "none" / "x.parquet")
    assert "name a file with -o FILE.parquet" in export(log, "--to", "parquet").output.replace("\n", " ")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TTError, match="the log cannot be read: it is not UTF-8 text"):
        ticktalk.read_log(tmp_path / "binary")


@pytest.mark.parametrize("to", ["csv", "jsonl", "parquet", "mcap"])
def test_a_log_is_not_written_over(to, log):
    before = log.read_bytes()
    link = log.with_name("link")
    link.symlink_to(log)
    with pytest.raises(TTError, match="that is the log itself, which would be lost: name another file"):
        export(log, "--to", to, "-o", link)
    assert log.read_bytes() == before


def test_a_pipe_is_refused_and_not_half_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(TTError, match="a pipe cannot be read twice: write the log into a file, and name that"):
        export(pipe, "--to", "jsonl")


@pytest.mark.parametrize("to", ["csv", "jsonl", "parquet", "mcap"])
def test_a_bad_line_leaves_no_half_of_a_table(to, log, tmp_path):
    with open(log, "a") as file:
        file.write("nonsense\n")
    table = tmp_path / "table"
    with pytest.raises(TTError, match="no output, as --log and --jsonl write them: nonsense"):
        export(log, "--to", to, "-o", table)
    assert not table.exists() and not list(tmp_path.glob("*.part"))
    table.write_text("as before")
    with pytest.raises(TTError, match="no output"):
        export(log, "--to", to, "-o", table)
    assert table.read_text() == "as before"


def test_a_table_takes_no_other_file_with_it(log, tmp_path):
    (tmp_path / "table.part").write_text("of somebody")
    (tmp_path / "real").write_text("")
    (tmp_path / "table").symlink_to(tmp_path / "real")
    export(log, "--to", "csv", "-o", tmp_path / "table")
    assert (tmp_path / "table.part").read_text() == "of somebody"
    assert (tmp_path / "table").is_symlink() and (tmp_path / "real").read_text().startswith("graph,")


@pytest.mark.parametrize(("name", "wrong"), [("arrival", "now"), ("start", 1.5), ("sq", 7), ("context", True)])
@pytest.mark.parametrize("to", ["csv", "mcap"])
def test_a_line_with_a_value_of_another_type_is_no_output(name, wrong, to, log, tmp_path):
    row = json.loads(log.read_text().splitlines()[0])
    log.write_text(json.dumps({**row, name: wrong}) + "\n")
    with pytest.raises(TTError, match=r"out.jsonl:1: no output"):
        export(log, "--to", to, "-o", tmp_path / "table")
