"""The names in a program that are TickTalk's; function templates: its decorated functions, and their signatures."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from ticktalk.errors import Problem
from ticktalk.instructions import BY_NAME
from ticktalk.module_search import find_module
from ticktalk.source_problems import Problems

PACKAGES = ("ticktalk", "ticktalkpython")
OLDER = {
    "SQ", "Clock", "Instructions", "Time", "TTToken", "Tag", "Empty", "Deadline", "Query", "Component", "Graph",
    "Compiler", "Mapper", "IPC", "FiringRule", "Ensemble", "RuntimeManager", "NetworkManager", "Constants", "Error",
    "DebugLogger",
}  # fmt: skip
"""Modules of older releases, which lay beside the program: `from SQ import SQify`. Those of the user go first."""
DECORATORS = frozenset({"SQify", "STREAMify", "GRAPHify"})
CONSTRUCTS = {
    "TTClock", "TTConstraint", "TTQuery", "TTFinishByOtherwise", "TTPlanB", "TTDeadline", "TTSingleRunTimeout",
    "TTUnmatched",
}  # fmt: skip
KNOWN = DECORATORS | CONSTRUCTS | BY_NAME.keys() | {"component"}
"""Names that mean something of TickTalk where nothing else binds them."""


def is_ticktalk(module: str | None) -> bool:
    """True if the dotted name is that of a module of ours."""
    return module is not None and module.split(".")[0] in PACKAGES


def our_names(statement: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """The names that an import binds to objects of TickTalk, each with its dotted path."""
    bound: dict[str, str] = {}
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            if is_ticktalk(alias.name):
                top = alias.name.split(".")[0]
                bound[alias.asname or top] = alias.name if alias.asname else top
    elif statement.level == 0:
        if statement.module in ("ticktalk", "ticktalkpython.SQ") and statement.names[0].name == "*":
            bound["sq_state"] = "ticktalk.sq_state"
        for alias in statement.names:
            if alias.name != "*" and is_ticktalk(statement.module):
                bound[alias.asname or alias.name] = f"{statement.module}.{alias.name}"
    return bound


def missing_modules(statement: ast.Import | ast.ImportFrom) -> list[str]:
    """The modules of ours that an import names and that are not there: `ticktalk.Clocks`."""
    if isinstance(statement, ast.Import):
        names = [alias.name for alias in statement.names]
    else:
        names = [statement.module or ""] if statement.level == 0 else []
    return [name for name in names if is_ticktalk(name) and find_module(name) is None]


def refuse_missing_modules(statement: ast.Import | ast.ImportFrom, problems: Problems) -> None:
    """Report the import of a module of ours that is not there."""
    for name in missing_modules(statement):
        names = [alias.name for alias in statement.names if construct_at(alias.name)]
        instead = f"write `from ticktalk import {', '.join(names)}`" if names else "write `import ticktalk`"
        problems.report(statement, f"there is no module `{name}`", instead)


def imported_names(statement: ast.Import | ast.ImportFrom) -> list[str]:
    """All names that an import binds; of a star import, none."""
    if isinstance(statement, ast.Import):
        return [alias.asname or alias.name.split(".")[0] for alias in statement.names]
    return [alias.asname or alias.name for alias in statement.names if alias.name != "*"]


def module_of_call(node: ast.AST) -> str:
    """The module that a call of `import_module` or `__import__` names by a text, in full; "" of anything else."""
    if not isinstance(node, ast.Call) or not node.args:
        return ""
    called = getattr(node.func, "attr", getattr(node.func, "id", ""))
    named = getattr(node.args[0], "value", None) if called in ("import_module", "__import__") else None
    return named if isinstance(named, str) and not named.startswith(".") else ""


def construct_at(path: str) -> str | None:
    """The construct to which a dotted path of ours leads, or None: the path is that of a module."""
    last = path.rpartition(".")[2]
    return last if last in KNOWN else None


def construct_of(expression: ast.expr, imports: Mapping[str, str], bound: Collection[str]) -> str | None:
    """The construct that a name or attribute stands for (`SQify`, `TTClock`, ...), or None.

    Args:
        imports: names bound by imports of ours, with their paths.
        bound: names bound to anything; one of `KNOWN` that is not among them counts as ours.
    """
    last = ""
    while isinstance(expression, ast.Attribute):
        last = last or expression.attr
        expression = expression.value
    if not isinstance(expression, ast.Name):
        return None
    name = expression.id
    path = imports.get(name, name if name in KNOWN and name not in bound else None)
    return None if path is None else construct_at(last or path)


STREAM_KEYWORDS = (
    "TTClock", "TTPeriod", "TTPhase", "TTDataIntervalWidth", "TTDataValidityInterval", "TTFirstInstanceDelay",
    "TTStamp", "TTMissed",
)  # fmt: skip
"""Settings of a call of a `@STREAMify` function; defaults for them may stand in its signature."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a body: an input port, or (with a default) one that is fixed at compile time."""

    name: str
    default: ast.expr | None = None
    keyword_only: bool = False
    positional_only: bool = False
    annotation: ast.expr | None = None


@dataclass(slots=True)
class Template:
    """A `@SQify` or `@STREAMify` function."""

    name: str
    node: Function
    stream: bool
    parameters: list[Parameter] = field(default_factory=list)
    defaults: dict[str, ast.expr] = field(default_factory=dict)  # of a stream: `TTPeriod` and the like
    full_token: bool = False
    stateful: bool = False
    gives: bool = True  # a value: it has a `return` with one, or an annotation says what it gives
    components: list[str] = field(default_factory=list)  # literal names given to `component()` in the body
    component_parameters: list[str] = field(default_factory=list)  # its parameters that are given to `component()`
    module: str = ""  # the dotted name of the module that defines it; "" for the program itself
    file: str = ""  # in which it stands, as messages show it
    mistakes: list[Problem] = field(default_factory=list)  # in its signature and body; they matter once it is used

    @property
    def key(self) -> str:
        """Its name in a graph: functions of one name in two modules stay apart."""
        return f"{self.module}.{self.name}" if self.module else self.name


def read_template(
    node: Function, kind: str, imports: Mapping[str, str], bound: Collection[str], problems: Problems
) -> Template:
    """The template of a decorated function; its mistakes go to `problems`."""
    template = Template(node.name, node, kind == "STREAMify")
    check_body(node, f"@{kind}", problems)
    for parameter in parameters_of(node, f"@{kind}", problems):
        if parameter.name == "TTExecuteOnFullToken" and parameter.default is not None:
            if isinstance(parameter.default, ast.Constant) and isinstance(parameter.default.value, bool):
                template.full_token = parameter.default.value
            else:
                problems.report(parameter.default, "TTExecuteOnFullToken is either True or False", "write the literal")
        elif template.stream and parameter.default is not None and parameter.name in STREAM_KEYWORDS:
            template.defaults[parameter.name] = parameter.default
        else:
            template.parameters.append(parameter)
    template.stateful = _is_stateful(node, imports)
    _refuse_other_state(node, imports, problems)
    returns = [inner for inner in _own_nodes(node) if isinstance(inner, ast.Return | ast.Raise)]
    template.gives = node.returns is not None or any(not isinstance(each, ast.Return) or each.value for each in returns)
    template.components, template.component_parameters = components_in(node, imports, bound)
    return template


def _is_stateful(node: Function, imports: Mapping[str, str]) -> bool:
    """True if a body says `global sq_state`, or uses the `sq_state` that its module imports from TickTalk."""
    uses = [inner for inner in ast.walk(node) if isinstance(inner, ast.Name) and inner.id == "sq_state"]
    imported = imports.get("sq_state", "").endswith(".sq_state")
    if imported and uses and all(isinstance(use.ctx, ast.Load) for use in uses):
        return True
    return any(isinstance(inner, ast.Global) and "sq_state" in inner.names for inner in ast.walk(node))


def _refuse_other_state(node: Function, imports: Mapping[str, str], problems: Problems) -> None:
    """Refuse the `sq_state` of TickTalk under another name, such as `tt.sq_state`: it is nobody's state."""
    own = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
    own |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load)}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id not in own:
            path = f"{imports.get(inner.value.id)}.{inner.attr}"
        elif isinstance(inner, ast.Name) and inner.id not in {*own, "sq_state"}:
            path = imports.get(inner.id, "")
        else:
            continue
        if path in ("ticktalk.sq_state", "ticktalkpython.SQ.sq_state"):
            what = f"`{ast.unparse(inner)}` in the body of `{node.name}`: the state is known as `sq_state` only"
            problems.report(inner, what, "write `from ticktalk import sq_state`, and `sq_state` here")


def parameters_of(node: Function, kind: str, problems: Problems) -> list[Parameter]:
    """The parameters of a decorated function; `*args` and `**kwargs` are refused at the `def`."""
    arguments = node.args
    for variable, stars in ((arguments.vararg, "*"), (arguments.kwarg, "**")):
        if variable is not None:
            what = f"`{stars}{variable.arg}` in `{node.name}`: a {kind} function has a fixed number of inputs"
            problems.report(node, what, "name each input")
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    parameters = [
        Parameter(one.arg, default, positional_only=one in arguments.posonlyargs, annotation=one.annotation)
        for one, default in zip(positional, defaults, strict=True)
    ]
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        parameters.append(Parameter(one.arg, default, keyword_only=True, annotation=one.annotation))
    return parameters


def check_body(node: Function, kind: str, problems: Problems) -> None:
    """Refuse a coroutine or generator where a plain function is wanted."""
    if isinstance(node, ast.AsyncFunctionDef):
        what = f"`{node.name}` is an `async def`: a {kind} function runs to completion"
        problems.report(node, what, "write a plain `def`")
    for inner in _own_nodes(node) if kind != "@GRAPHify" else ():
        if isinstance(inner, ast.Yield | ast.YieldFrom):
            what = f"`yield` in `{node.name}`: a {kind} function returns one value for each firing"
            problems.report(inner, what, "write `return`; what lives on from firing to firing goes to `sq_state`")
            break


def stream_settings_in(node: Function, templates: Mapping[str, Template]) -> Iterator[tuple[ast.keyword, Template]]:
    """Settings of streams in a body's calls of its module's functions, which are plain functions there."""
    own = {inner.arg for inner in ast.walk(node) if isinstance(inner, ast.arg)}
    own |= {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load)}
    inside = [inner for inner in ast.walk(node) if inner is not node]  # functions, classes and imports have names, too
    own |= {getattr(inner, "asname", None) or getattr(inner, "name", None) or "" for inner in inside}
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id not in own:
            called = templates.get(call.func.id)
            if called is not None and called.stream and called.node.args.kwarg is None:
                taken = {each.arg for each in ast.walk(called.node.args) if isinstance(each, ast.arg)}
                yield from ((k, called) for k in call.keywords if k.arg in STREAM_KEYWORDS and k.arg not in taken)


def _own_nodes(node: Function) -> Iterator[ast.AST]:
    """The nodes of a function's body that are not in a function or class nested in it, in source order."""
    waiting: list[ast.AST] = list(reversed(node.body))
    while waiting:
        inner = waiting.pop()
        yield inner
        if not isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(reversed(list(ast.iter_child_nodes(inner))))


def components_in(node: ast.AST, imports: Mapping[str, str], bound: Collection[str]) -> tuple[list[str], list[str]]:
    """The literal names, and the parameters' names, that are given to `component()` in a function or statement."""
    parameters: set[str] = set()
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        parameters = {argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
    literal: list[str] = []
    by_parameter: list[str] = []
    local = dict(imports)
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import | ast.ImportFrom):
            local.update(our_names(inner))
    hidden = (parameters | set(bound)) - local.keys()
    for call in ast.walk(node):
        if not isinstance(call, ast.Call) or construct_of(call.func, local, hidden) != "component":
            continue
        given = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "name"), None)
        if isinstance(given, ast.Constant) and isinstance(given.value, str):
            if given.value not in literal:
                literal.append(given.value)
        elif isinstance(given, ast.Name) and given.id in parameters and given.id not in by_parameter:
            by_parameter.append(given.id)
    return literal, by_parameter
