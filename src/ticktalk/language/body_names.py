"""The names that a body looks up in its module: one that nothing binds is an error of each firing that comes there.

It is warned of when the program is compiled, unless something may bind the name after all. So it is in the functions
and classes of the module that the body names, and in those that these name.
"""

from __future__ import annotations

import ast
import builtins
import dis
import types
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from ticktalk.language.annotation_names import may_be_bound
from ticktalk.language.bindings import bound_names
from ticktalk.language.function_templates import Function
from ticktalk.source_problems import Problems, did_you_mean

IN_BODIES = frozenset({"TTClock", "TTEmpty", "TTTime", "TTToken", "component", "firing", "sq_state"})
"""Names of TickTalk that a body has without an import."""

_BINDS_ELSEWHERE = frozenset(
    {"builtins", "__builtins__", "gettext", "modules", "__dict__", "f_globals", "global_enum", "_convert_"}
)
"""Names and attributes by which code binds names that no statement of the module binds."""


Definition = Function | ast.ClassDef
_LookUp = tuple[ast.Name, types.CodeType]
"""A name with its place, and the code that looks it up."""


class BodyNames:
    """Looks for missing names in the bodies of one module.

    Args:
        tree: the module.
        bound: the names that its statements bind, those of star imports left out.
    """

    def __init__(self, tree: ast.Module, bound: Collection[str]) -> None:
        self._tree, self._bound = tree, bound
        times = Counter(name for statement in tree.body for name in bound_names(statement))
        # What a decorator makes of a function may look names up elsewhere.
        self._helpers: dict[str, Definition] = {
            statement.name: statement
            for statement in tree.body
            if isinstance(statement, Definition) and times[statement.name] == 1
            if isinstance(statement, ast.ClassDef) or not statement.decorator_list
        }
        self._looked_up: dict[Definition, list[_LookUp]] = {}

    def warn(self, node: Function, problems: Problems) -> None:
        """Warn of the names that a body looks up in vain, itself or in what it calls; `problems`: of its file."""
        reached, waiting = {node.name}, list[Definition]([node])
        for definition in waiting:
            if definition not in self._looked_up:
                code = None if _catches_name_errors(definition) else _code(definition)
                self._looked_up[definition] = [] if code is None else list(_looked_up(code))
            looked_up = self._looked_up[definition]
            self._warn_of(looked_up, f"a firing of `{node.name}`" if definition is node else "", problems)
            bases = definition.bases if isinstance(definition, ast.ClassDef) else []
            for name in dict.fromkeys([*(place.id for place, _ in looked_up), *map(ast.unparse, bases)]):
                if name in self._helpers and name not in reached:
                    reached.add(name)
                    waiting.append(self._helpers[name])

    def _warn_of(self, looked_up: Sequence[_LookUp], run: str, problems: Problems) -> None:
        """Warn of those that nothing binds; `run`: what fails, if it is no call of the function that looks it up."""
        missing = {
            place.id: (place, code)
            for place, code in reversed(looked_up)
            if not (place.id in self._bound or place.id in IN_BODIES or hasattr(builtins, place.id))
            if not place.id.startswith("__")
        }
        if not missing or _binds_elsewhere(self._tree):
            return
        for name, (place, code) in reversed(missing.items()):
            if not may_be_bound(name, self._tree):
                what = f"`{name}` is not defined, so {run or f'a call of `{code.co_qualname}`'} that comes here fails"
                instead = did_you_mean(name, {*self._bound, *code.co_varnames})
                problems.report(place, what, instead or "import it, or define it at module level", harmless=True)


def _code(node: Definition) -> types.CodeType | None:
    """The code of a function or class; None if Python refuses it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module: types.CodeType = compile(ast.Module([node], []), "", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    inner = [part for part in module.co_consts if isinstance(part, types.CodeType)]
    return next((part for part in inner if part.co_name == node.name), None)


def _looked_up(code: types.CodeType) -> Iterator[_LookUp]:
    """The names that a piece of code, and the functions in it, look up in the module."""
    for step in dis.get_instructions(code):
        at = step.positions
        if step.opname == "LOAD_GLOBAL" and at is not None and at.lineno is not None and at.col_offset is not None:
            yield ast.Name(step.argval, ast.Load(), lineno=at.lineno, col_offset=at.col_offset), code
    for part in code.co_consts:
        if isinstance(part, types.CodeType) and part.co_name != "__annotate__":  # of annotations, from Python 3.14 on
            yield from _looked_up(part)


def _catches_name_errors(node: Definition) -> bool:
    """True if a function, or a method of a class, is prepared for names that are not there."""
    handlers = (inner.type for inner in ast.walk(node) if isinstance(inner, ast.ExceptHandler))
    caught = [ast.unparse(each) if each is not None else "NameError" for each in handlers]
    return any("NameError" in each for each in caught)


def _binds_elsewhere(tree: ast.Module) -> bool:
    """True if a module may bind names by other means than its statements."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name) if name in _BINDS_ELSEWHERE:
                return True
    return False
