"""Function templates: the decorated functions of a program, and the meaning of their signatures."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from ticktalk.language.imports import construct_of, ticktalk_names
from ticktalk.source_problems import Problems

STREAM_KEYWORDS = (
    "TTClock",
    "TTPeriod",
    "TTPhase",
    "TTDataIntervalWidth",
    "TTDataValidityInterval",
    "TTFirstInstanceDelay",
    "TTStamp",
)
"""Settings of a call of a `@STREAMify` function; defaults for them may stand in its signature."""

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a body: an input port, or (with a default) one that is fixed at compile time."""

    name: str
    default: ast.expr | None = None
    keyword_only: bool = False
    positional_only: bool = False


@dataclass(slots=True)
class Template:
    """A `@SQify` or `@STREAMify` function.

    Attributes:
        defaults: of a stream: `TTPeriod` and the like that its signature gives.
        components: literal names given to `component()` in the body.
        component_parameters: its parameters that are given to `component()`.
        decorator: the decorator of ours, which does not travel.
    """

    name: str
    node: ast.FunctionDef
    decorator: ast.expr
    stream: bool
    parameters: list[Parameter] = field(default_factory=list)
    defaults: dict[str, ast.expr] = field(default_factory=dict)
    full_token: bool = False
    stateful: bool = False
    components: list[str] = field(default_factory=list)
    component_parameters: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The decorator, as the program has it."""
        return "@STREAMify" if self.stream else "@SQify"


def read_template(
    node: FunctionNode,
    decorator: ast.expr,
    kind: str,
    imports: Mapping[str, str],
    bound: Collection[str],
    problems: Problems,
) -> Template:
    """The template of a decorated function; its mistakes go to `problems`."""
    template = Template(node.name, node, decorator, kind == "STREAMify")  # type: ignore[arg-type]
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
    template.stateful = any(isinstance(n, ast.Global) and "sq_state" in n.names for n in ast.walk(node))
    template.components, template.component_parameters = components_in(node, imports, bound)
    return template


def parameters_of(node: FunctionNode, kind: str, problems: Problems) -> list[Parameter]:
    """The parameters of a decorated function; `*args` and `**kwargs` are refused at the `def`."""
    arguments = node.args
    for variable, stars in ((arguments.vararg, "*"), (arguments.kwarg, "**")):
        if variable is not None:
            problems.report(
                node,
                f"`{stars}{variable.arg}` in `{node.name}`: a {kind} function has a fixed number of inputs",
                "name each input",
            )
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults += arguments.defaults
    parameters = [
        Parameter(argument.arg, default, positional_only=index < len(arguments.posonlyargs))
        for index, (argument, default) in enumerate(zip(positional, defaults, strict=True))
    ]
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        parameters.append(Parameter(argument.arg, default, keyword_only=True))
    return parameters


def check_body(node: FunctionNode, kind: str, problems: Problems) -> None:
    """Refuse a coroutine or generator where a plain function is wanted."""
    if isinstance(node, ast.AsyncFunctionDef):
        problems.report(
            node, f"`{node.name}` is an `async def`: a {kind} function runs to completion", "write a plain `def`"
        )
    for inner in own_nodes(node) if kind != "@GRAPHify" else ():
        if isinstance(inner, (ast.Yield, ast.YieldFrom)):
            problems.report(
                inner,
                f"`yield` in `{node.name}`: a {kind} function returns one value for each firing",
                "write `return`; what lives on from firing to firing goes to `sq_state`",
            )
            break


def own_nodes(node: FunctionNode) -> Iterator[ast.AST]:
    """The nodes of a function's body that are not in a function or class nested in it."""
    waiting: list[ast.AST] = list(reversed(node.body))
    while waiting:
        inner = waiting.pop()
        yield inner
        if not isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            waiting.extend(reversed(list(ast.iter_child_nodes(inner))))


def components_in(node: ast.AST, imports: Mapping[str, str], bound: Collection[str]) -> tuple[list[str], list[str]]:
    """The literal names, and the parameters' names, that are given to `component()` in a function or statement."""
    parameters: set[str] = set()
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        parameters = {argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
    literal: list[str] = []
    by_parameter: list[str] = []
    local = dict(imports)
    calls: list[ast.Call] = []
    for inner in ast.walk(node):
        if isinstance(inner, (ast.Import, ast.ImportFrom)):
            local.update(ticktalk_names(inner))
        elif isinstance(inner, ast.Call):
            calls.append(inner)
    for call in calls:
        if construct_of(call.func, local, (parameters | set(bound)) - local.keys()) != "component":
            continue
        given = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "name"), None)
        if isinstance(given, ast.Constant) and isinstance(given.value, str):
            if given.value not in literal:
                literal.append(given.value)
        elif isinstance(given, ast.Name) and given.id in parameters and given.id not in by_parameter:
            by_parameter.append(given.id)
    return literal, by_parameter
