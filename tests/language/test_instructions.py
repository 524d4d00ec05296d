"""The instructions as importable names."""

import inspect
import logging

import pytest

from ticktalk.language import instructions
from ticktalk.language.instructions import INSTRUCTIONS, REQUIRED
from ticktalk.time import INFINITY, NEG_INFINITY, ROOT, TTTime, TTToken


def test_the_table_and_the_functions_agree():
    assert set(instructions.__all__) == set(INSTRUCTIONS)
    for name, instruction in INSTRUCTIONS.items():
        parameters = inspect.signature(getattr(instructions, name)).parameters
        assert set(parameters) == {*instruction.inputs, *instruction.settings}
        assert tuple(parameters)[: len(instruction.inputs)] == instruction.inputs
        for setting, default in instruction.settings.items():
            assert parameters[setting].default is (inspect.Parameter.empty if default is REQUIRED else default)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("NEG", (2,), -2), ("NOT", (2,), False), ("ABS", (-2,), 2), ("ADD", (1, 2), 3), ("SUB", (1, 2), -1),
        ("MULT", (3, 2), 6), ("DIV", (1, 2), 0.5), ("EQ", (1, 2), False), ("NEQ", (1, 2), True), ("LT", (1, 2), True),
        ("LTE", (2, 2), True), ("GT", (1, 2), False), ("GTE", (2, 2), True), ("MIN", (1, 2), 1), ("MAX", (1, 2), 2),
        ("SQRT", (9,), 3.0), ("TUPLE_2", (1, 2), (1, 2)), ("TUPLE_3", (1, 2, 3), (1, 2, 3)), ("CONST", (1, 7), 7),
        ("GET_INFINITY", (1,), INFINITY), ("GET_NEG_INFINITY", (1,), NEG_INFINITY),
    ],
)  # fmt: skip
def test_value_level_ones_compute(name, arguments, expected):
    assert getattr(instructions, name)(*arguments) == expected


def test_token_level_ones_compute_on_tokens():
    a, b = TTToken(5, TTTime(ROOT, 0, 10)), TTToken(8, TTTime(ROOT, 20, 30))
    assert instructions.TTTIME_TO_VALUES(a) == TTToken((0, 10), a.time)
    assert instructions.VALUES_TO_TTTIME(a, b) == TTToken(None, TTTime(ROOT, 5, 8))
    assert instructions.COPY_TTTIME(a, b) == TTToken(5, b.time)
    assert instructions.ADD_TIME_DELAY(a, delay=-3) == TTToken(5, TTTime(ROOT, -3, 7))
    assert instructions.SET_TIMEOUT(a) == TTToken(5, TTTime(ROOT, 10, None))


@pytest.mark.parametrize("name", ["MERGE", "TIME_TOKEN", "READ_TTCLOCK", "RESAMPLE"])
def test_the_others_mean_something_in_a_graph_only(name):
    with pytest.raises(TypeError, match=f"{name} means something in a @GRAPHify"):
        getattr(instructions, name)(1, 2) if name in ("MERGE", "RESAMPLE") else getattr(instructions, name)(1)


def test_syslog_logs_and_passes_on(caplog):
    with caplog.at_level(logging.INFO):
        assert instructions.SYSLOG(5) == 5
    assert "5" in caplog.text
