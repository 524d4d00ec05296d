"""Harmless bodies: those that may run in the process that keeps time.

Their source is harmless (`bodies/metered.py`), and their global names hold Python's own functions and modules, or short
plain values. They are looked for where the program runs, because only there it is known what its names hold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any

from ticktalk.bodies.meter import is_short
from ticktalk.bodies.metered import free_names, metered
from ticktalk.bodies.names import Held, held_by
from ticktalk.bodies.source import NotPlainError
from ticktalk.engine.bodies import GraphCode
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.assignment import may_be_at_home
from ticktalk.physical.workers.protocol import Harmless
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
                except NotPlainError:
                    alike[key] = None
            if its := alike[key]:
                found[sq.name] = its
    return found


def held_at_home(names: Iterable[str], namespace: Mapping[str, Any]) -> Held:
    """The values of the global names of a harmless body (`held_by`): a deque may be made, too."""
    deques = {name for name in names if namespace.get(name) is deque}
    held = held_by(set(names) - deques, namespace, is_short)
    return held._replace(means=held.means | dict.fromkeys(deques, "deque"))


def _harmless(code: GraphCode, sq: TTSQ) -> Harmless:
    function = code.graph.functions[sq.function]
    if function.components:
        raise NotPlainError
    names = free_names(function.source)
    if not function.module:  # what takes long follows only for a body that may be harmless
        held_at_home(names, code.module.__dict__)
    body, namespace = code.body(sq)
    if not isinstance(body, FunctionType) or not code.is_plain(sq, body, imported=True):
        raise NotPlainError
    means, constants = held_at_home(names, namespace)
    metered(function.source, tuple(sorted(means.items())))
    defaults, by_name = [*(body.__defaults__ or ())], body.__kwdefaults__ or {}
    if not all(map(is_short, [*defaults, *by_name.values()])):
        raise NotPlainError
    return Harmless(means, encode_value(constants), encode_value(defaults), encode_value(by_name))
