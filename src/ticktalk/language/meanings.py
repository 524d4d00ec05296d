"""The meaning of an expression of a graph body at compile time: a value, or something that can be called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ticktalk.language.draft import Arc, Branch, Constant
from ticktalk.language.templates import Template


@dataclass(slots=True, eq=False)
class Listing:
    """A compile-time list, or a tuple display that has not become an SQ (yet).

    Attributes:
        frozen: it is part of a constant, so a change of it would have no effect.
        arc: (tuple) the SQ it became, and the branch in which it did.
    """

    items: list[Value]
    is_tuple: bool = False
    frozen: bool = False
    arc: tuple[Arc, Branch | None] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A name that is no value: a function, instruction, construct, builtin, or a module of TickTalk."""

    kind: Literal["function", "instruction", "construct", "builtin", "module"]
    name: str
    template: Template | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Foreign:
    """A module-level name without a meaning in a graph: the reason, and the remedy."""

    what: str
    instead: str


class Unknown:
    """The value of an erroneous expression: its use causes no further problem."""

    __slots__ = ()


UNKNOWN = Unknown()

Value = Constant | Arc | Listing | Unknown
"""A value: an SQ or a computation can take it."""
Meaning = Value | Reference | Foreign
"""All that a name or an expression can mean."""
