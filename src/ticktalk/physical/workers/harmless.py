"""Harmless bodies: those that may run in the process that keeps time.

Their source is harmless (`rewriting.py`), and their global names hold Python's own functions and modules, or short
plain values. They are looked for where the program runs, because only there it is known what its names hold.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any, NamedTuple

from ticktalk.engine.bodies import GraphCode
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.assignment import may_be_at_home
from ticktalk.physical.workers.meter import KNOWN, MODULES, is_short
from ticktalk.physical.workers.protocol import Harmless
from ticktalk.physical.workers.rewriting import NotHarmlessError, free_names, metered
from ticktalk.time import TTEmpty
from ticktalk.values.codec import encode_value

LONGEST_CONSTANT = 400
"""Characters of a constant argument in the graph's text, at most: one that may change is made anew for each run."""


def harmless_in(code: GraphCode, sqs: Sequence[TTSQ]) -> dict[str, Harmless]:
    """By name, those of these SQs whose bodies are harmless as they stand in the program that runs here."""
    found, alike = {}, dict[str, Harmless | None]()
    for sq in sqs:
        if may_be_at_home(sq):
            key = f"{sq.function} {sq.parameters}"
            if any(len(repr(port.constant)) > LONGEST_CONSTANT for port in sq.ports):
                continue
            if key not in alike:
                try:
                    alike[key] = _harmless(code, sq)
                except NotHarmlessError:
                    alike[key] = None
            if its := alike[key]:
                found[sq.name] = its
    return found


def _harmless(code: GraphCode, sq: TTSQ) -> Harmless:
    function = code.graph.functions[sq.function]
    if function.module or function.components:
        raise NotHarmlessError
    names = free_names(function.source)
    held_by(names, code.module.__dict__)  # what takes long follows only for a body that may be harmless
    body, namespace = code.body(sq)
    if not isinstance(body, FunctionType) or not code.is_plain(sq, body):
        raise NotHarmlessError
    means, constants = held_by(names, namespace)
    metered(function.source, tuple(sorted(means.items())))
    defaults, by_name = [*(body.__defaults__ or ())], body.__kwdefaults__ or {}
    if not all(map(is_short, [*defaults, *by_name.values()])):
        raise NotHarmlessError
    return Harmless(means, encode_value(constants), encode_value(defaults), encode_value(by_name))


class Held(NamedTuple):
    """The functions, modules and values that the global names of a body hold.

    Attributes:
        means: by name, the function or module of Python (`len`, `math.sqrt`, `time`).
        constants: by name, the plain value.
    """

    means: dict[str, str]
    constants: dict[str, Any]


def held_by(names: Iterable[str], namespace: Mapping[str, Any]) -> Held:
    """The functions, modules and values that these names hold in a namespace.

    Raises:
        NotHarmlessError: one holds something else than Python's own, or a short plain value.
    """
    means, constants = {}, {}
    for name in names:
        value = namespace.get(name, getattr(builtins, name, NotHarmlessError))
        if is_short(value):
            constants[name] = value
        elif value is TTEmpty and name == "TTEmpty":
            means[name] = name
        else:
            means[name] = _name_of(value)
    return Held(means, constants)


def _name_of(value: Any) -> str:
    """The name of one of Python's functions or modules, as long as nobody has changed that."""
    for name, known in KNOWN.items():
        if value is known:
            return name
    for name, module in MODULES.items():
        own = {key: known for key, known in KNOWN.items() if key.startswith(f"{name}.")}
        if value is module and all(getattr(module, key[len(name) + 1 :], None) is each for key, each in own.items()):
            return name
    raise NotHarmlessError
