"""An explanation names exactly the tokens that a brute-force oracle matched, whatever a program does with tokens."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from lineage_oracle import Oracle, Tok
from lineage_programs import body, programs
from test_explain import history_of

from ticktalk.engine.prepared_graph import wiring_of
from ticktalk.explain.history import History, Key
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


@settings(max_examples=60)
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


@settings(max_examples=30)
@given(programs(hosts=("", "['b', 'c']", "'c'")), st.sampled_from([1, 4]), st.integers(10, 60), st.sampled_from("ab"))
def test_what_plain_python_makes_of_the_named_tokens_is_sent_where_sqs_move(
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
