"""The types of a graph's inputs as plain text, which goes with the graph; and whether a value fits one.

Only the plain types of Python are told. A manager need not know classes of the program or of a library.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from itertools import islice
from typing import Any

from ticktalk.language.value_types import (
    ANY,
    MOST_ITEMS,
    NONE,
    InstanceType,
    KnownValue,
    TupleOf,
    Type,
    UnionOf,
    fits,
    union,
)
from ticktalk.printable import bounded

_PLAIN: dict[str, type] = {
    cls.__name__: cls for cls in (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)
}
_SHOWN = 80
"""Characters of a value in a message."""


def input_type(type_: Type) -> str:
    """The text of a type, with `Any` in place of parts that are not plain; empty if nothing is left to check."""
    text = _text(type_)
    return "" if text == "Any" else text


def misfit(text: str, value: Any) -> str | None:
    """The fault of a value for an input of a type; None: it surely has none."""
    if not text or not _is_plain(value) or fits(KnownValue(value), _type(ast.parse(text, mode="eval").body)):
        return None
    return f"is {bounded(repr(value), _SHOWN)}, of type `{type(value).__name__}`, but the graph takes `{text}`"


def _text(type_: Type) -> str:
    match type_:
        case InstanceType(cls=cls, args=args) if _PLAIN.get(cls.__name__ if isinstance(cls, type) else "") is cls:
            inner = ", ".join(map(_text, args))
            return f"{_text(InstanceType(cls))}[{inner}{', ...' if cls is tuple else ''}]" if args else str(type_)
        case TupleOf(items=items):
            return f"tuple[{', '.join(map(_text, items)) or '()'}]"
        case UnionOf(members=[_, *_] as members):
            texts = dict.fromkeys(map(_text, members))
            return "Any" if "Any" in texts else " | ".join(texts)
        case KnownValue(value=None | bool() | int() | str() | bytes() as value):
            return f"Literal[{value!r}]" if type(value) in (*_PLAIN.values(), type(None)) else "Any"
    return "None" if type_ == NONE else "Any"


def _type(node: ast.expr) -> Type:
    """The type of which `input_type` made a text; of other texts, what can be understood of them."""
    match node:
        case ast.Constant(value=None):
            return NONE
        case ast.BinOp(left=left, right=right):
            return union([_type(left), _type(right)])
        case ast.Name(id=name) if name in _PLAIN:
            return InstanceType(_PLAIN[name])
        case ast.Subscript(value=ast.Name(id="Literal"), slice=value):
            return KnownValue(ast.literal_eval(value))
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=[item, ast.Constant(value=end)])) if (
            end is Ellipsis
        ):
            return InstanceType(tuple, (_type(item),))
        case ast.Subscript(value=ast.Name(id=name), slice=inside) if name in _PLAIN:
            items = tuple(map(_type, inside.elts if isinstance(inside, ast.Tuple) else [inside]))
            return TupleOf(items) if name == "tuple" else InstanceType(_PLAIN[name], items)
    return ANY


def _is_plain(value: Any) -> bool:
    """True if a value, and what is in it, is of plain types."""
    if value is not None and type(value) not in _PLAIN.values():
        return False
    parts: Iterable[Any] = ()
    if isinstance(value, dict):
        parts = [part for pair in islice(value.items(), MOST_ITEMS) for part in pair]
    elif isinstance(value, list | tuple | set | frozenset):
        parts = islice(value, MOST_ITEMS)
    return all(map(_is_plain, parts))
