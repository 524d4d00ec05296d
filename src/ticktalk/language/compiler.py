"""The compiler: one Python file with function templates and a graph becomes a `TTGraph`.

The file is parsed, never imported or run. The graph's body is evaluated once on its syntax tree: expressions of
constants are computed, every other expression becomes an SQ. Read on in this order:

    scope.py         the meaning of module-level names; `function_templates.py`: TickTalk's names, decorated functions
    graph_body.py    the statements of the graph; `graphs_in_graphs.py`: calls of other graphs
    expressions.py   names, attributes and calls; `displays.py`, `operators.py`: the other expressions
    instances.py     calls that make SQs; `constructs.py`, `builtin_calls.py`: the other calls
    evaluation.py    the base of all these; `call_arguments.py`: the base of calls; `folding.py`: constants
    graph_draft.py   the SQs and arcs of the graph while it is made
    modules.py       the modules that the program imports
    settled_names.py   constants that no code of import changes; `changes_at_import.py`: the look at that code
    arc_types.py     the types of values along the arcs; `annotations.py`, `value_types.py`: what annotations say
    travelling_sources.py   the sources that travel with the graph; `sibling_modules.py`: modules beside the program
"""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ticktalk.errors import Problem, TTError, TTSyntaxError, TTWarning
from ticktalk.graph.graph import TTClockSpec, TTGraph
from ticktalk.input_file import read_bytes
from ticktalk.language.annotations import Annotations
from ticktalk.language.arc_types import ArcTypes
from ticktalk.language.due_times import due_times, mentioning_firing
from ticktalk.language.evaluation import Reference
from ticktalk.language.function_templates import Function, Template
from ticktalk.language.graph_body import GraphBody
from ticktalk.language.imported_modules import ImportedModules
from ticktalk.language.modules import Modules
from ticktalk.language.scope import ModuleScope
from ticktalk.language.sibling_modules import sibling_modules
from ticktalk.language.travelling_sources import TravellingSources
from ticktalk.source_problems import Problems, did_you_mean


def compile_program(path: str | Path, graph: str | None = None) -> TTGraph:
    """Compile the program in the file `path`; the result is named after the file.

    Args:
        path: the file.
        graph: the name of its `@GRAPHify` function; by default the one that no other one calls.

    Raises:
        TTSyntaxError: the program is wrong; it lists every problem of the file.
        TTError: the file cannot be read.
    """
    file = Path(path)
    return compile_source(_read(file), str(path), file.stem, file.absolute().parent, graph)


TTCompile = compile_program
"""The documented name."""


def compile_source(text: str, file: str, name: str, directory: Path | None = None, graph: str | None = None) -> TTGraph:
    """Compile the text of a program.

    Args:
        text: the program.
        file: its file's name, as messages show it.
        name: the graph's name; characters that no name may hold become `_`.
        directory: where modules beside the program lie; None for no such modules.
        graph: as `compile_program`.

    Raises:
        TTSyntaxError: the program is wrong; it lists every problem.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    problems = Problems(file, text)
    try:
        return _compile(text, Path(file).name, name, directory, graph, problems)
    except (RecursionError, MemoryError):
        problems.report_at(1, 1, "the program is nested too deeply", "bind parts of its expressions to names")
        raise TTSyntaxError(problems.found) from None


def _compile(text: str, file: str, name: str, directory: Path | None, graph: str | None, problems: Problems) -> TTGraph:
    modules = Modules(directory, Path(file).stem, problems.file, problems.found)
    scope = modules.program(_parse(text, problems), problems)
    travelling = TravellingSources(text, scope, ImportedModules(modules.tree, Path(file).stem))
    travelling.add_components(scope.templates.values())
    main = _program_graph(scope, graph, problems)
    if main is None:
        raise TTSyntaxError([*problems.found, *_mistakes(scope, {})])
    body = GraphBody(main)
    body.run()
    with suppress(RecursionError):
        ArcTypes(main, body.draft, Annotations(modules.tree), body.files).check()
    used = body.draft.used
    problems.found += [*_mistakes(scope, used), *modules.mistakes(used.values())]
    functions, statements, nodes = travelling.travel(used.values(), modules.travel)
    elsewhere = [function.module for function in functions.values() if function.module]
    sources = sibling_modules(directory, Path(file).stem, nodes, elsewhere, problems)
    if not all(problem.harmless for problem in problems.found):
        raise TTSyntaxError(problems.found)
    for problem in problems.found:
        warnings.warn(str(problem), TTWarning, stacklevel=3)
    inputs, sqs = body.draft.finish()
    told = mentioning_firing(functions, statements, sources)
    due = due_times(body.draft.sqs) if told else {}
    for sq in sqs:
        if sq.body and sq.function in told:
            sq.told, sq.due = True, due[sq.name]
    clocks = [
        TTClockSpec(clock.name, clock.parent.name, clock.period, clock.epoch)
        for clock in body.draft.clocks.values()
        if clock.parent is not None
    ]
    return TTGraph(
        name=re.sub(r"[/\\]", "_", name) or "graph",
        file=file,
        inputs=inputs,
        sqs=sqs,
        clocks=clocks,
        functions=functions,
        statements=statements,
        modules=dict(sorted(sources.items())),
    )


def _program_graph(scope: ModuleScope, wanted: str | None, problems: Problems) -> Reference | None:
    """The graph called `wanted`, or else the one of the program that no other one calls; None after a problem."""
    if wanted is not None:
        found = scope.meanings.find(wanted)
        if isinstance(found, Reference) and found.kind == "graph":
            return found
        names = [node.name for node in scope.graphs]
        hint = did_you_mean(wanted, names) or (f"it has {', '.join(names)}" if names else "")
        problems.report_at(1, 1, f"the program has no graph `{wanted}`", hint)
        return None
    outer = [node for node in scope.graphs if not any(_mentions(other, node.name) for other in scope.graphs)]
    if len(outer) > 1:
        what = f"`{outer[1].name}` is a second graph; the first is `{outer[0].name}` in line {outer[0].lineno}"
        problems.report(outer[1], what, "call one of them in the other one, or say which with `--graph NAME`")
    elif not outer and scope.graphs:
        what = f"`{scope.graphs[0].name}` is called by another graph, as each graph of the program is"
        problems.report(scope.graphs[0], what, "say with `--graph NAME` which one is the program's")
    elif not outer and not scope.misplaced:
        instead = "write one function with @GRAPHify; its parameters are the graph's inputs"
        problems.report_at(1, 1, "the program has no graph", instead)
    if not outer:
        return None
    return Reference("graph", outer[0].name, node=outer[0], home=scope.home)


def _mentions(graph: Function, name: str) -> bool:
    """True if a graph calls another one of that name."""
    return graph.name != name and any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(graph))


def _mistakes(scope: ModuleScope, used: Mapping[str, Template]) -> list[Problem]:
    """The problems of the program's functions; `**kwargs` of one that no graph uses is only worth a warning."""
    mistakes = [
        mistake._replace(harmless=mistake.harmless or (template.key not in used and mistake.what.startswith("`**")))
        for template in scope.templates.values()
        for mistake in template.mistakes
    ]
    return list(dict.fromkeys(mistakes))  # two bodies may call the same function


def _read(path: Path) -> str:
    """The text of a Python file, decoded as Python does (UTF-8 unless it says otherwise)."""
    try:
        content = read_bytes(path)
    except OSError as error:
        reason = "it is a directory" if path.is_dir() else error.strerror or str(error)
        if isinstance(error, FileNotFoundError):
            reason = f"{reason}{_beside(path)}"
        raise TTError(f"{path}: the program cannot be read: {reason}") from None
    except ValueError as error:  # a null character in the path
        raise TTError(f"{str(path)!r}: the program cannot be read: {error}") from None
    if path.suffix == ".ipynb":
        raise TTError(f"{path}: the program is a notebook: save its cells as a Python file (File, Save as, .py)")
    try:
        # Python 3.14 refuses null characters here, and others where they read the program, which tells their place.
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content.replace(b"\0", b" ")).readline)
        return content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise TTError(
            f"{path}: the program is not text: {error}; save it as UTF-8, or name its encoding in the first line"
        ) from None


def _beside(path: Path) -> str:
    """A hint at the file that is meant in place of one that is not there; else where it was looked for."""
    if os.sep == "/" and "\\" in str(path):
        return f"; write {str(path).replace(chr(92), '/')}"
    with suppress(OSError):
        others = [each.name for each in path.parent.iterdir() if each.suffix in (".py", ".json")]
        if hint := did_you_mean(path.name, others):
            return f"; {hint}"
    return "" if path.is_absolute() else f" (looked for in {Path.cwd()})"


def _parse(text: str, problems: Problems) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
            # Python's compiler finds mistakes that its parser does not, such as two parameters of one name.
            compile(tree, problems.file.replace("\0", ""), "exec", dont_inherit=True)
            return tree
    except SyntaxError as error:
        line = min(error.lineno or 1, len(problems.lines))
        problems.report_at(line, max(error.offset or 1, 1), error.msg)
    except ValueError as error:
        problems.report_at(1, 1, str(error))
    raise TTSyntaxError(problems.found)
