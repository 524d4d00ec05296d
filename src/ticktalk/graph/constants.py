"""Compile-time constants as JSON: exact, readable, and decoded without evaluating anything.

JSON's own scalars stand for themselves. Other types are an object with one key that names the type:
`{"tuple": [1, 2]}`, `{"int": "36893488147419103232"}`, `{"float": "inf"}`, `{"dict": [[1, "a"]]}`.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

_INT_LIMIT = 2**63


def encode_constant(value: Any) -> Any:
    """`value` as plain JSON data.

    Raises:
        TypeError: there is no encoding for the type.
    """
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        try:
            value.encode()
        except UnicodeEncodeError:  # half a surrogate pair is in it
            return {"text": value.encode("utf-8", "surrogatepass").hex()}
        return value
    if isinstance(value, int):  # also a duration that a program wrote
        return int(value) if -_INT_LIMIT <= value < _INT_LIMIT else {"int": hex(value)}
    if kind is Fraction:
        # A period that a program wrote (`durations.py`): a tick count, if it is whole.
        whole = value.denominator == 1
        return encode_constant(value.numerator) if whole else {"fraction": [value.numerator, value.denominator]}
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is complex:
        return {"complex": [encode_constant(value.real), encode_constant(value.imag)]}
    if kind is bytes:
        return {"bytes": value.hex()}
    if kind is list:
        return [encode_constant(item) for item in value]
    if kind in (tuple, set, frozenset):
        items = [encode_constant(item) for item in value]
        return {kind.__name__: sorted(items, key=repr) if kind is not tuple else items}
    if kind is dict:
        return {"dict": [[encode_constant(key), encode_constant(item)] for key, item in value.items()]}
    if kind is slice:
        return {"slice": [encode_constant(part) for part in (value.start, value.stop, value.step)]}
    if kind is range:
        return {"range": [value.start, value.stop, value.step]}
    if value is Ellipsis:
        return {"ellipsis": []}
    raise TypeError(f"a constant of type {kind.__name__} cannot be stored in a graph")


def decode_constant(data: Any) -> Any:
    """The value that `encode_constant` was given; mutable values are fresh at every call.

    Raises:
        ValueError: the data is no encoded constant.
    """
    if isinstance(data, list):
        return [decode_constant(item) for item in data]
    if not isinstance(data, dict):
        return data
    if len(data) == 1:
        ((kind, content),) = data.items()
        try:
            match kind:
                case "int":
                    return int(content, 16)
                case "float" if content in ("inf", "-inf", "nan"):
                    return float(content)
                case "fraction":
                    return Fraction(*content)
                case "complex":
                    return complex(decode_constant(content[0]), decode_constant(content[1]))
                case "text":
                    return bytes.fromhex(content).decode("utf-8", "surrogatepass")
                case "bytes":
                    return bytes.fromhex(content)
                case "tuple":
                    return tuple(decode_constant(content))
                case "set":
                    return set(decode_constant(content))
                case "frozenset":
                    return frozenset(decode_constant(content))
                case "dict":
                    return {decode_constant(key): decode_constant(item) for key, item in content}
                case "slice":
                    return slice(*decode_constant(content))
                case "range":
                    return range(*content)
                case "ellipsis":
                    return Ellipsis
        except (TypeError, ValueError, IndexError, ZeroDivisionError) as error:
            raise ValueError(f"{data!r} is not a constant: {error}") from None
    raise ValueError(f"{data!r} is not a constant")
