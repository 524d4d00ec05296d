"""The kinds of value that an expression of a graph body has at compile time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ticktalk.language.network import Arc, Branch, Constant
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
    """A name that is no value: something to call, or a module of ours."""

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

Data = Constant | Arc | Listing | Unknown
Value = Data | Reference | Foreign
