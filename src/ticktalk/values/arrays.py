"""NumPy's arrays: their memory as one piece, and the rows of its other types."""

from __future__ import annotations

import functools
from typing import Any

import numpy
from numpy.lib import format as numpy_format

from ticktalk.values.kinds import Kind, NoCodecError

ARRAY = numpy.ndarray
RECORD = numpy.void


def header_of(value: Any) -> list[Any]:
    """The head before the memory of an array or a scalar: its dtype and shape.

    Raises:
        NoCodecError: it is an array of objects, or of a class that is not NumPy's own.
    """
    if isinstance(value, numpy.ndarray) and value.__class__ is not numpy.ndarray:
        kind = type(value)
        raise NoCodecError(
            f"a value of type {kind.__module__}.{kind.__qualname__}, a subclass of a NumPy array, has no codec:"
            " send numpy.asarray(value), or register a codec with ticktalk.register_codec"
        )
    return [_told(value.dtype, value.dtype.type), list(numpy.shape(value))]


@functools.lru_cache(1000)
def _told(dtype: Any, scalar: type) -> Any:
    """A dtype as data; `scalar`: the type of its items, as NumPy takes dtypes for equal that differ in this alone."""
    if not dtype.hasobject:
        told = numpy_format.dtype_to_descr(dtype) if dtype.names is not None else dtype.str
        told = {"record": told} if scalar is numpy.record else told
        try:
            if dtype_of(told) == dtype:
                return told
        except (TypeError, ValueError):
            pass
    raise NoCodecError(f"a NumPy array of dtype {dtype} has no codec: only numbers, text, times and records have")


def dtype_of(told: Any) -> Any:
    """The dtype that `header_of` told of."""
    if isinstance(told, dict):
        return numpy.dtype((numpy.record, dtype_of(told["record"])))
    return numpy.dtype(told) if isinstance(told, str) else numpy_format.descr_to_dtype(_as_descr(told))


def _as_descr(told: Any) -> Any:
    """A description of records, as NumPy wants it: tuples where MessagePack has lists."""
    if isinstance(told, str):
        return told
    return [
        (tuple(name) if isinstance(name, list) else name, _as_descr(kind), *(tuple(shape) for shape in rest))
        for name, kind, *rest in told
    ]


def memory_of(value: Any) -> Any:
    """The memory of an array or a scalar, in C order."""
    array = numpy.ascontiguousarray(value)
    if not (array.size and value.dtype.itemsize):
        return b""
    return array.reshape(-1).view(numpy.uint8).data


def array_of(told: Any, shape: Any, content: memoryview) -> Any:
    """The array of this header and memory, read-only and not copied."""
    dtype = dtype_of(told)
    if dtype.hasobject:
        raise ValueError("an array of objects")
    if dtype.itemsize:
        array = numpy.frombuffer(content, dtype=dtype).reshape(shape)
    elif len(content):
        raise ValueError("more content than an array of empty texts has")
    else:
        array = numpy.zeros(shape, dtype)
    array.flags.writeable = False
    return array.view()


def read_only(array: Any) -> Any:
    """The array without a writable way to its memory: as it is if it was handed on before, else one copy."""
    base = array.base
    if not array.flags.writeable and isinstance(base, numpy.ndarray) and not base.flags.writeable:
        return array
    array = numpy.array(array, copy=True, order="K", subok=False)
    array.flags.writeable = False
    return array.view()  # of memory that is read-only, so that the receiver cannot make it writable again


def _masked(value: Any) -> list[Any]:
    mask = numpy.ma.getmask(value)
    fill: Any = vars(value).get("_fill_value")  # None where it was never set
    plain = value.view(numpy.ndarray)
    return [plain, None if mask is numpy.ma.nomask else mask, fill, bool(value.hardmask)]


def _masked_again(parts: Any) -> Any:
    data, mask, fill, hard = parts
    made: Any = numpy.ma.MaskedArray(
        data, mask=numpy.ma.nomask if mask is None else mask, fill_value=fill, hard_mask=hard, copy=False
    )
    if fill is None:
        made._fill_value = None
    return made


KINDS = [
    Kind("numpy.ma.masked", type(numpy.ma.masked), lambda value: None, lambda parts: numpy.ma.masked, True),
    Kind("numpy.ma.MaskedArray", numpy.ma.MaskedArray, _masked, _masked_again),
    Kind("numpy.matrix", numpy.matrix, lambda value: value.view(numpy.ndarray), lambda parts: parts.view(numpy.matrix)),
    Kind(
        "numpy.recarray",
        numpy.recarray,
        lambda value: value.view(numpy.ndarray),
        lambda parts: parts.view(numpy.recarray),
    ),
]
