"""An explanation names exactly the tokens that a brute-force oracle matched, whatever a program does with tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import reduce
from typing import Any

import msgspec
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from lineage_oracle import Oracle, Tok
from lineage_programs import body, programs
from test_explain import history_of

from ticktalk.engine.prepared_graph import wiring_of
from ticktalk.explain.applied_change import applied
from ticktalk.explain.helping_changes import nearest, what_helps
from ticktalk.explain.history import History, Key
from ticktalk.explain.why import why_missing
from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_source
from ticktalk.values.codec import decode_value

UNTIL = 60


def hosts_of(graph: TTGraph) -> dict[str, str]:
    return {sq.name: sq.constraints[0].names[0] if sq.constraints else "a" for sq in graph.sqs}


def of_oracle(token: Tok) -> tuple[Any, ...]:
    return token.arc, token.tick, token.start, token.stop, repr(token.value)


def of_history(history: History, key: Key) -> tuple[Any, ...]:
    sent = history.tokens[key]
    value = decode_value(sent.value)
    index = int(sent.arc.rpartition("/")[2])
    if wiring_of(history.graph).by_name[sent.sq].arcs[index].kind == "unmatched":
        value = value[0]  # of a handler's arguments
    return sent.arc, sent.tick, sent.start, sent.stop, repr(value)


@settings(max_examples=40)
@given(programs(), st.sampled_from([0, 1, 4]), st.sampled_from([15, 1_000_000]))
def test_all_tokens_of_all_arcs_came_from_those_that_the_oracle_matched(text: str, delay: int, bound: int) -> None:
    graph = compile_source(text, "net.py", "net")
    history = history_of(graph, UNTIL, ["a", "b", "c"], delay, bound)
    oracle = Oracle(graph, hosts_of(graph), delay, UNTIL, bound, body)
    told = [
        (of_history(history, key), sorted(of_history(history, each) for each in history.sources_of(key)))
        for key in history.tokens
    ]
    truth = [(of_oracle(token), sorted(map(of_oracle, token.all_before()))) for token in oracle.tokens]
    assert Counter(map(repr, told)) == Counter(map(repr, truth))


@settings(max_examples=20)
@given(programs(hosts=("", "['b', 'c']", "'c'")), st.sampled_from([1, 4]), st.integers(10, 60), st.sampled_from("ab"))
def test_plain_python_makes_the_sent_value_of_the_named_tokens_where_sqs_move(
    text: str, delay: int, tick: int, drained: str
) -> None:
    """The values say what they came from, so they are the truth here."""
    graph = compile_source(text, "net.py", "net")
    history = history_of(graph, 2 * UNTIL, ["a", "b", "c"], delay, drain=(tick, drained))
    by_name = wiring_of(graph).by_name
    for key, sent in history.tokens.items():
        firing, sq = history.sender[key], by_name[sent.sq]
        kind = sq.arcs[int(key[0].rpartition("/")[2])].kind
        if firing.unknown:
            assert firing.ensemble != drained and firing.tick >= tick, "a token is unknown, though nothing moved"
            continue
        if kind == "tag":
            assert (firing.start, firing.stop, firing.tick) == (sent.start, sent.stop, decode_value(sent.value))
            continue
        value = decode_value(sent.value)
        value = value[0] if kind == "unmatched" else value
        took = [decode_value(history.tokens[came.key].value) for came in firing.took if came.record.arc]
        if firing.how != "fired" or sq.singly:
            assert took == [value]
        elif sq.function == "RESAMPLE":
            assert [decode_value(history.tokens[came.key].value) for came in firing.also] == [value]
        elif sq.trigger == "grid":
            assert not took
        else:
            runs = by_name[firing.sq]
            constants = [port.constant[0] for port in runs.ports if port.constant is not None]
            count = value[1] if runs.function.rpartition(".")[2].startswith("c") else 0
            assert body(runs, [*took, *constants], count) == value


@settings(max_examples=15, phases=[Phase.generate])
@given(programs(plain=True), st.sampled_from([0, 1, 4]), st.data())
def test_a_change_that_is_named_makes_the_missing_output_come(text: str, delay: int, data: st.DataObject) -> None:
    """Streams of any width, phase and period, RESAMPLE, deadlines, graphs in graphs, over three ensembles."""
    graph = compile_source(text, "net.py", "net")

    def run(changed: TTGraph) -> History:
        return history_of(changed, 2 * UNTIL, ["a", "b", "c"], delay)

    history = run(graph)
    results = [sq.name for sq in graph.sqs if sq.trigger != "plan_b"]
    gaps = [(name, at) for name in results for at in range(20, 45) if not _holds(nearest(history, name, at), at)]
    if not gaps:
        return
    name, tick = data.draw(st.sampled_from(gaps))
    helps, _ = what_helps(history, name, tick, run)
    was = _away(nearest(history, name, tick), tick)
    for help in helps:
        changed = reduce(applied, help.changes, graph)
        oracle = Oracle(changed, hosts_of(changed), delay, 2 * UNTIL, 1_000_000, body)
        arc = f"{name}/{len(graph.sq(name).arcs) - 1}"
        sent = [(token.start, token.stop) for token in oracle.tokens if token.arc == arc]
        assert (help.start, help.stop) in sent
        assert min(_away(each, tick) for each in sent) < was

    if not helps:
        for changed in other_settings(graph):
            near = nearest(run(changed), name, tick)
            assert not _holds(near, tick), why_missing(history, name, tick, repr).text()


def other_settings(graph: TTGraph) -> Iterator[TTGraph]:
    """The graph with any one other width, phase or period of a stream, or deadline."""
    for index, sq in enumerate(graph.sqs):
        settings: list[dict[str, int]] = []
        if sq.trigger == "grid":
            settings += [{"width": width} for width in range(1, 31)]
            settings += [{"phase": phase} for phase in range(sq.period)]
            settings += [{"period": period, "phase": sq.phase % period} for period in range(1, 13)]
        elif sq.trigger == "deadline":
            settings += [{"offset": offset} for offset in range(1, 31)]
        for setting in settings:
            sqs = [*graph.sqs[:index], msgspec.structs.replace(sq, **setting), *graph.sqs[index + 1 :]]
            yield msgspec.structs.replace(graph, sqs=sqs)


def _away(interval: tuple[float, float], tick: int) -> float:
    return max(0, interval[0] - tick, tick - interval[1] + 1)


def _holds(interval: tuple[float, float], tick: int) -> bool:
    return interval[0] <= tick < interval[1]
