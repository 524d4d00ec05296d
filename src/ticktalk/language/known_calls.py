"""Functions and methods of Python and its libraries of which it is known whether they change what they are given."""

from __future__ import annotations

import sys

from ticktalk.language.function_templates import PACKAGES

GIVES_WHAT_IT_GETS = frozenset({"getattr", "iter", "max", "min", "next", "super", "type", "vars"})
"""Builtins whose result may be what they are given or a part of it; that of the others is new, or cannot be changed."""
GIVES_OF_LIBRARIES = frozenset({"ChainMap", "MappingProxyType", "cast", "choice", "nullcontext", "proxy", "reduce"})
CHANGES = frozenset({
    "__delitem__", "__iadd__", "__setattr__", "__setitem__", "add", "append", "appendleft", "clear",
    "difference_update", "discard", "extend", "extendleft", "insert", "intersection_update", "move_to_end", "pop",
    "popitem", "popleft", "remove", "reverse", "rotate", "setdefault", "sort", "subtract",
    "symmetric_difference_update", "update",
})  # fmt: skip
"""Methods of lists, dicts, sets and their like that change these."""
COPIES = frozenset({"copy", "difference", "intersection", "symmetric_difference", "union"})
READS = COPIES | frozenset({
    "add_argument", "choice", "choices", "count", "critical", "debug", "decode", "encode", "endswith", "error",
    "exception", "format", "format_map", "get", "hex", "index", "info", "isdisjoint", "issubset", "issuperset",
    "items", "join", "keys", "log", "lower", "lstrip", "partition", "replace", "rstrip", "sample", "split",
    "splitlines", "startswith", "strip", "title", "translate", "upper", "values", "warning", "write", "writelines",
    "zfill",
})  # fmt: skip
"""Methods that change neither their object nor their arguments."""
CHANGES_OF_LIBRARIES = frozenset({
    "delitem", "heapify", "heappop", "heappush", "heappushpop", "heapreplace", "iadd", "iand", "iconcat", "imul",
    "insort", "insort_left", "insort_right", "ior", "isub", "ixor", "setitem", "shuffle",
})  # fmt: skip
"""Functions of the standard library, and of NumPy, that change the list or dict that they are given."""
CHANGE_NOTHING = frozenset({*sys.stdlib_module_names, "numpy", "pandas", "scipy", *PACKAGES})
"""Libraries whose other functions change no list, dict or set that they are given."""


OF_METHODS = frozenset({"classmethod", "property", "setter", "staticmethod"})
CHANGE_NO_ARGUMENT = frozenset({
    "all", "any", "bool", "callable", "chr", "float", "hasattr", "hash", "id", "int", "isinstance", "issubclass",
    "len", "open", "ord", "print", "range", "repr", "round", "str",
})  # fmt: skip
"""Builtins that call no function among their arguments, and whose result holds nothing of these."""
