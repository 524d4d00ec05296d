"""The compiler: one Python file with function templates and a graph becomes a `TTGraph`.

The file is parsed, never imported or run. The graph's body is evaluated once on its syntax tree: expressions of
constants are computed, every other expression becomes an SQ. Read on in this order:

    scope.py         the meaning of module-level names; `templates.py`: TickTalk's names, decorated functions
    graph_body.py    the statements of the graph
    expressions.py   names, attributes and calls; `displays.py`, `operators.py`: the other expressions
    instances.py     calls that make SQs; `constructs.py`, `builtin_calls.py`: the other calls
    evaluation.py    the base of all these; `call_arguments.py`: the base of calls; `folding.py`: constants
    draft.py         the SQs and arcs of the graph while it is made
    travelling_sources.py   the sources that travel with the graph; `sibling_modules.py`: modules beside the program
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from pathlib import Path

from ticktalk.errors import TTError, TTSyntaxError
from ticktalk.graph.graph import TTClockSpec, TTGraph
from ticktalk.language.graph_body import GraphBody
from ticktalk.language.scope import ModuleScope
from ticktalk.language.sibling_modules import sibling_modules
from ticktalk.language.travelling_sources import TravellingSources
from ticktalk.source_problems import Problems


def compile_program(path: str | Path) -> TTGraph:
    """Compile the program in the file `path`; the graph is named after the file.

    Raises:
        TTSyntaxError: the program is wrong; it lists every problem of the file.
        TTError: the file cannot be read.
    """
    file = Path(path)
    return compile_source(_read(file), str(path), file.stem, file.absolute().parent)


TTCompile = compile_program
"""The documented name."""


def compile_source(text: str, file: str, name: str, directory: Path | None = None) -> TTGraph:
    """Compile the text of a program.

    Args:
        text: the program.
        file: its file's name, as messages show it.
        name: the graph's name; characters that no name may hold become `_`.
        directory: where modules beside the program lie; None for no such modules.

    Raises:
        TTSyntaxError: the program is wrong; it lists every problem.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    problems = Problems(file, text)
    try:
        return _compile(text, Path(file).name, name, directory, problems)
    except (RecursionError, MemoryError):
        problems.report_at(1, 1, "the program is nested too deeply", "bind parts of its expressions to names")
        raise TTSyntaxError(problems.found) from None


def _compile(text: str, file: str, name: str, directory: Path | None, problems: Problems) -> TTGraph:
    scope = ModuleScope(_parse(text, problems), problems)
    travelling = TravellingSources(text, scope)
    travelling.add_components(scope.templates.values())
    if scope.graph is None:
        instead = "write one function with @GRAPHify; its parameters are the graph's inputs"
        problems.report_at(1, 1, "the program has no graph", instead)
        raise TTSyntaxError(problems.found)
    body = GraphBody(scope.graph, scope, problems)
    body.run()
    functions, statements, nodes = travelling.travel(list(body.draft.used.values()))
    modules = {} if directory is None else sibling_modules(directory, Path(file).stem, nodes, problems)
    if problems.found:
        raise TTSyntaxError(problems.found)
    inputs, sqs = body.draft.finish()
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
        modules=dict(sorted(modules.items())),
    )


def _read(path: Path) -> str:
    """The text of a Python file, decoded as Python does (UTF-8 unless it says otherwise)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = "it is a directory" if path.is_dir() else error.strerror or str(error)
        raise TTError(f"{path}: the program cannot be read: {reason}") from None
    except ValueError as error:  # a null character in the path
        raise TTError(f"{str(path)!r}: the program cannot be read: {error}") from None
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise TTError(
            f"{path}: the program is not text: {error}; save it as UTF-8, or name its encoding in the first line"
        ) from None


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
