"""A graph file: a saved graph loads as it was, anything else is refused, and loading runs nothing."""

import json

import pytest
from snippets import STREAM, compiled

from ticktalk.errors import TTGraphError
from ticktalk.graph.graph import TTGraph

BODY = (
    STREAM + "p, (q, r) = two(s)\nx = g(p, b, k=(1, {2: float('inf')})) if q < 3 else h()\n"
    "with TTConstraint('rsu', ['gpu']):\n  y = TTFinishByOtherwise(x, TTTimeDeadline=5, TTPlanB=f(2 ** 70))\n"
    "return [y, 1j]"
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "graph.json"
    compiled(BODY).save(path)
    return path


def test_a_saved_graph_loads_as_it_was(file):
    graph = compiled(BODY)
    loaded = TTGraph.load(file)
    assert loaded == graph
    assert loaded.content_hash() == graph.content_hash()
    again = file.with_name("again.json")
    loaded.save(again)
    assert again.read_bytes() == file.read_bytes()


def test_the_same_program_gives_the_same_file(file):
    assert compiled(BODY).to_json() == file.read_bytes()


def test_loading_runs_nothing(tmp_path):
    path = tmp_path / "graph.json"
    from ticktalk.language.compiler import compile_source

    ran = tmp_path / "ran"
    text = f"X = open({str(ran)!r}, 'w')\n@SQify\ndef f(x): return X\n@GRAPHify\ndef main(a): return f(a)\n"
    compile_source(text, "p.py", "p").save(path)
    assert TTGraph.load(path).statements
    assert not ran.exists()


def test_an_altered_file_is_refused(file):
    file.write_text(file.read_text().replace("rsu", "xyz"))
    with pytest.raises(TTGraphError, match="altered"):
        TTGraph.load(file)


def test_a_truncated_file_is_refused(file):
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(TTGraphError, match="truncated"):
        TTGraph.load(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 4}, "version 4"),
        ({"version": None}, "version None"),
        ({"format": "other"}, "not a TickTalk graph"),
        ({"graph": []}, "altered"),
        ({"sha256": ""}, "altered"),
    ],
)
def test_files_of_another_format_are_refused(file, change, message):
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(TTGraphError, match=message):
        TTGraph.load(file)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff\xfe", b"{}", b"[" * 100000])
def test_a_file_that_is_no_graph_is_refused(tmp_path, content):
    path = tmp_path / "graph.json"
    path.write_bytes(content)
    with pytest.raises(TTGraphError):
        TTGraph.load(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(TTGraphError, match="cannot be read"):
        TTGraph.load(tmp_path / "none.json")
    with pytest.raises(TTGraphError, match="cannot be written"):
        compiled("return a").save(tmp_path / "none" / "graph.json")
