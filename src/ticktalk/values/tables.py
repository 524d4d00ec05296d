"""The rows of pandas: tables and series, column by column.

A column of numbers is its memory; one of Arrow a stream of Arrow; one of objects a list of its values. The table
made again is compared with the value before it is sent: one that cannot be kept whole is an error of its producer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pandas

from ticktalk.values.kinds import Kind, NoCodecError, ValueFormatError


def _array(value: Any) -> list[Any]:
    """The values of a column or an index: a form, and its parts."""
    dtype = value.dtype
    if isinstance(dtype, pandas.CategoricalDtype):
        values = value.array if hasattr(value, "array") else value
        return ["category", numpy.asarray(values.codes), _index(dtype.categories), bool(dtype.ordered)]
    if isinstance(dtype, pandas.DatetimeTZDtype):
        plain = value.tz_convert("UTC") if isinstance(value, pandas.Index) else value.dt.tz_convert("UTC")
        plain = plain.tz_localize(None) if isinstance(value, pandas.Index) else plain.dt.tz_localize(None)
        return ["zone", plain.to_numpy(), str(dtype.tz)]
    if isinstance(dtype, pandas.StringDtype):
        missing = value.isna()
        texts = [None if gone else text for gone, text in zip(missing, value, strict=True)]
        return ["text", texts, dtype.storage, dtype.na_value is pandas.NA]
    if isinstance(dtype, pandas.ArrowDtype):
        return ["arrow", _in_arrow(value)]
    if not isinstance(dtype, numpy.dtype):
        if hasattr(dtype, "numpy_dtype"):  # Int64, boolean: values, and which are missing
            missing = numpy.asarray(value.isna())
            plain = value.to_numpy(dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
            return ["missing", str(dtype), plain, missing]
        raise NoCodecError(f"a pandas column of dtype {dtype} has no codec")
    if dtype.hasobject:
        return ["objects", list(value)]
    return ["numbers", value.to_numpy()]


def _array_again(parts: Any) -> Any:
    form, *rest = parts
    if form == "category":
        codes, categories, ordered = rest
        return pandas.Categorical.from_codes(codes, _index_again(categories), ordered=ordered)
    if form == "zone":
        return pandas.DatetimeIndex(rest[0]).tz_localize("UTC").tz_convert(rest[1])
    if form == "text":
        texts, storage, has_na = rest
        missing = pandas.NA if has_na else numpy.nan
        try:
            dtype = pandas.StringDtype(storage, na_value=missing)
        except ImportError:  # no pyarrow here: then text is kept as Python's, under the same name
            dtype = pandas.StringDtype("python", na_value=missing)
        return pandas.array(texts, dtype=dtype)
    if form == "arrow":
        return _from_arrow(rest[0])
    if form == "missing":
        kind, plain, missing = rest
        made = pandas.array(numpy.array(plain), dtype=kind)
        made[numpy.asarray(missing)] = pandas.NA
        return made
    if form == "objects":
        made = numpy.empty(len(rest[0]), object)
        made[:] = rest[0]
        # An index stays one of objects. Of an array that has only texts, pandas would make texts.
        return pandas.Index(made, dtype=object, tupleize_cols=False)
    return numpy.array(rest[0])  # its receiver may change it


def _in_arrow(value: Any) -> bytes:
    """A column of Arrow's own, as a stream of Arrow."""
    import pyarrow

    table = pyarrow.table({"": pyarrow.chunked_array(pyarrow.array(value, from_pandas=True))})
    with pyarrow.BufferOutputStream() as stream, pyarrow.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    data: bytes = stream.getvalue().to_pybytes()
    return data


def _from_arrow(data: bytes) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise ValueFormatError("a column of Arrow needs pyarrow, which is not installed here") from None
    return pandas.arrays.ArrowExtensionArray(pyarrow.ipc.open_stream(data).read_all().column(0))


def _index(value: Any) -> list[Any]:
    if value.__class__ is pandas.RangeIndex:
        return ["range", value.start, value.stop, value.step, value.name]
    if value.__class__ is pandas.MultiIndex:
        codes = [numpy.asarray(each) for each in value.codes]
        return ["levels", [_index(level) for level in value.levels], codes, list(value.names)]
    freq = getattr(value, "freqstr", None)
    return ["index", _array(value), value.name, freq]


def _index_again(parts: Any) -> Any:
    form, *rest = parts
    if form == "range":
        return pandas.RangeIndex(*rest[:3], name=rest[3])
    if form == "levels":
        levels, codes, names = rest
        return pandas.MultiIndex(levels=[_index_again(level) for level in levels], codes=codes, names=names)
    array, name, freq = rest
    made = pandas.Index(_array_again(array), name=name, tupleize_cols=False)
    if freq is not None:
        made = type(made)(made, freq=freq)
    return made


def _series(value: Any) -> list[Any]:
    return [_array(value), _index(value.index), value.name, dict(value.attrs), *_flags(value)]


def _series_again(parts: Any) -> Any:
    array, index, name, attrs, *flags = parts
    return _with(pandas.Series(_array_again(array), index=_index_again(index), name=name), attrs, flags)


def _frame(value: Any) -> list[Any]:
    columns = [_array(value.iloc[:, place]) for place in range(value.shape[1])]
    return [columns, _index(value.columns), _index(value.index), dict(value.attrs), *_flags(value)]


def _frame_again(parts: Any) -> Any:
    columns, names, index, attrs, *flags = parts
    rows = _index_again(index)
    made = pandas.DataFrame({place: _array_again(column) for place, column in enumerate(columns)}, index=rows)
    made.columns = _index_again(names)
    return _with(made, attrs, flags)


def _flags(value: Any) -> list[bool]:
    return [] if value.flags.allows_duplicate_labels else [False]


def _with(made: Any, attrs: dict[str, Any], flags: list[bool]) -> Any:
    made.attrs.update(attrs)
    if flags:
        made.flags.allows_duplicate_labels = flags[0]
    return made


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, pandas.MultiIndex):
        levels = [each.levels for each in (one, other) if each.__class__ is pandas.MultiIndex]
        same = len(levels) == 2 and len(levels[0]) == len(levels[1]) and all(map(_alike, *levels))
        return same and list(one.names) == list(other.names) and one.equals(other)
    if isinstance(one, pandas.Index):
        same = one.__class__ is other.__class__ and list(one.names) == list(other.names)
        return same and one.dtype == other.dtype and one.equals(other)
    dtypes = one.dtypes.equals(other.dtypes) if isinstance(one, pandas.DataFrame) else one.dtype == other.dtype
    columns = not isinstance(one, pandas.DataFrame) or _alike(one.columns, other.columns)
    return bool(dtypes) and columns and one.equals(other) and _alike(one.index, other.index)


def _kept(parts_of: Callable[[Any], Any], make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`parts_of`, after a look whether a value can be made again from them."""

    def parts(value: Any) -> Any:
        try:
            found = parts_of(value)
            kept = _alike(value, make(found))
        except NoCodecError:
            raise
        except Exception:  # whatever pandas or Arrow say of types that they do not take
            kept = False
        if not kept:
            raise NoCodecError(f"a pandas {type(value).__name__} of these dtypes cannot be kept: {_dtypes(value)}")
        return found

    return parts


def _dtypes(value: Any) -> str:
    if isinstance(value, pandas.Index):
        return str(value.dtype)
    columns = value.dtypes if isinstance(value, pandas.DataFrame) else [value.dtype]
    return f"{', '.join(map(str, columns))}, with an index of {value.index.dtype}"


def _row(kind: Any, parts: Callable[[Any], Any], make: Callable[[Any], Any]) -> Kind:
    return Kind(f"pandas.{kind.__name__}", kind, _kept(parts, make), make)


KINDS = [
    _row(pandas.Series, _series, _series_again),
    _row(pandas.DataFrame, _frame, _frame_again),
    *(
        _row(kind, _index, _index_again)
        for kind in (
            pandas.Index,
            pandas.RangeIndex,
            pandas.MultiIndex,
            pandas.DatetimeIndex,
            pandas.TimedeltaIndex,
            pandas.CategoricalIndex,
        )
    ),
    Kind(
        "pandas.Timestamp",
        pandas.Timestamp,
        lambda value: [value.asm8, None if value.tz is None else str(value.tz), value.fold],
        lambda parts: (
            pandas.Timestamp(parts[0])
            if parts[1] is None
            else pandas.Timestamp(parts[0]).tz_localize("UTC").tz_convert(parts[1])
        ),
        True,
    ),
    Kind("pandas.Timedelta", pandas.Timedelta, lambda value: value.asm8, pandas.Timedelta, True),
    Kind("pandas.NaT", type(pandas.NaT), lambda value: None, lambda parts: pandas.NaT, True),
    Kind("pandas.NA", type(pandas.NA), lambda value: None, lambda parts: pandas.NA, True),
]
