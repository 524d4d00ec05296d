"""The instructions as importable names."""

import ast
import inspect
import logging

import pytest
import simpy

from ticktalk import instructions
from ticktalk.instructions import BY_NAME, INSTRUCTIONS, REQUIRED
from ticktalk.language.compiler import compile_source
from ticktalk.language.folding import OPERATORS
from ticktalk.runtime_manager import TTRuntimeManagerSim
from ticktalk.time import INFINITY, NEG_INFINITY, ROOT, TTTime, TTToken


def test_the_table_and_the_importable_functions_agree():
    assert set(instructions.__all__) == set(BY_NAME)
    for name, instruction in BY_NAME.items():
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
def test_instructions_on_values_compute_outside_a_graph(name, arguments, expected):
    assert getattr(instructions, name)(*arguments) == expected


def test_instructions_on_tokens_compute_on_tokens_outside_a_graph():
    a, b = TTToken(5, TTTime(ROOT, 0, 10)), TTToken(8, TTTime(ROOT, 20, 30))
    assert instructions.TTTIME_TO_VALUES(a) == TTToken((0, 10), a.time)
    assert instructions.VALUES_TO_TTTIME(a, b) == TTToken(None, TTTime(ROOT, 5, 8))
    assert instructions.COPY_TTTIME(a, b) == TTToken(5, b.time)
    assert instructions.ADD_TIME_DELAY(a, delay=-3) == TTToken(5, TTTime(ROOT, -3, 7))
    assert instructions.SET_TIMEOUT(a) == TTToken(5, TTTime(ROOT, 10, None))


@pytest.mark.parametrize("name", ["MERGE", "TIME_TOKEN", "READ_TTCLOCK", "RESAMPLE"])
def test_the_others_are_refused_outside_a_graph(name):
    with pytest.raises(TypeError, match=f"{name} means something in a @GRAPHify"):
        getattr(instructions, name)(1, 2) if name in ("MERGE", "RESAMPLE") else getattr(instructions, name)(1)


def test_syslog_logs_and_passes_on(caplog):
    with caplog.at_level(logging.INFO):
        assert instructions.SYSLOG(5) == 5
    assert "5" in caplog.text


def test_syslog_has_one_logger_in_a_graph_and_outside(caplog):
    program = "@GRAPHify\ndef main(trigger):\n    return SYSLOG(trigger)\n"
    environment = simpy.Environment()
    manager = TTRuntimeManagerSim(None, [], environment)
    with caplog.at_level(logging.INFO), manager:
        instructions.SYSLOG("outside")
        manager.instantiate_and_map_graph(compile_source(program, "program.py", "program"))
        manager.execute_graph("program", {"trigger": "inside"})
        environment.run(until=10)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("ticktalk.SYSLOG", "outside"),
        ("ticktalk.SYSLOG", "inside"),
    ]


def test_each_operator_of_python_is_one_instruction():
    operators = [*ast.operator.__subclasses__(), *ast.unaryop.__subclasses__(), *ast.cmpop.__subclasses__()]
    assert OPERATORS.keys() == set(operators) - {ast.MatMult}
    assert all(row is INSTRUCTIONS[row.name] and row.doc for row in OPERATORS.values())
