"""The names of a module that code reaches by way of the module itself.

The module's own code may say `sys.modules[__name__].LEVEL`. Its own code and that of other modules may say
`import prog; prog.LEVEL`, `from prog import LEVEL` or `getattr(prog, "LEVEL")`.
"""

from __future__ import annotations

import ast
import re
from typing import Any


class NamesOfModule:
    """Finds the names of the module `name` in code of `tree`; `own`: the tree is that module's."""

    def __init__(self, name: str, tree: ast.AST, own: bool = False) -> None:
        self._name = name
        self._own = own
        self._aliases: set[str] = set()
        by_name = False  # whether the tree has the module without a name for it
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self._aliases |= {alias.asname or name for alias in node.names if alias.name == name}
            elif isinstance(node, ast.Assign) and self._leads(node.value):
                self._aliases |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.Subscript | ast.Call):
                by_name = by_name or self._leads(node)
        self._is_there = by_name or bool(self._aliases)

    def read(self, node: ast.AST) -> set[str]:
        """The names that are read there; `*`: all names."""
        names = self._attributes(node, ast.Load)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call) and any(map(self._leads, inner.args)):
                names |= names_in_texts(inner)
            elif isinstance(inner, ast.ImportFrom) and inner.level == 0 and inner.module == self._name:
                names |= {alias.name for alias in inner.names}
        return names

    def bound(self, node: ast.AST) -> set[str]:
        """The names that are bound or deleted there: `this.LEVEL = 2`."""
        return self._attributes(node, ast.Store | ast.Del)

    def _attributes(self, node: ast.AST, context: Any) -> set[str]:
        if not self._is_there:
            return set()
        found = (inner for inner in ast.walk(node) if isinstance(inner, ast.Attribute))
        return {each.attr for each in found if isinstance(each.ctx, context) and self._leads(each.value)}

    def _leads(self, node: ast.expr) -> bool:
        """True if an expression is the module."""
        if isinstance(node, ast.Name):
            return node.id in self._aliases
        if isinstance(node, ast.Subscript):  # sys.modules[...]
            return self._is_name(node.slice)
        if not isinstance(node, ast.Call) or not node.args or not self._is_name(node.args[0]):
            return False
        return ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__")

    def _is_name(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return self._own and node.id == "__name__"
        return isinstance(node, ast.Constant) and node.value == self._name


def names_in_texts(node: ast.AST) -> set[str]:
    """The words of its texts, and the names of keyword arguments: `globals().update(T=1)`, `exec("T.append(1)")`."""
    words: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.keyword) and inner.arg is not None:
            words.add(inner.arg)
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            words.update(re.findall(r"\w+", inner.value))
    return words
