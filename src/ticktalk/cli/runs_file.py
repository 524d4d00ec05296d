"""The file of runs for `ticktalk simulate --runs`: settings of all, and those that vary. YAML:

    until: 20s                          # for all runs: options of `ticktalk simulate`, without dashes
    input: {x: 1}
    vary:                               # each combination is a run
      input.gain: [1, 2, 4]
      network-delay: [0ms, 5ms]
    runs:                               # further runs
      - {network-delay: 80ms, events: cut.yaml}

Files are looked for beside this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ticktalk.cli.sweep import FILES, MOST_RUNS, check_settings, combinations, literal, settings_of_run
from ticktalk.errors import TTError
from ticktalk.yaml_file import YamlFile, read_text


def read_runs(path: Path, fixed: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The runs of a file: what is special to each, and its settings whole.

    Args:
        path: the file.
        fixed: settings of the command line; those of the file come first.

    Raises:
        TTError: it cannot be read, or is not valid: a line for each mistake.
    """
    what = "file of runs"
    reader = YamlFile(str(path), what)
    root = reader.compose(read_text(path, what))
    if root is None:
        raise TTError(f"{path}: the {what} is empty: write `vary:` or `runs:`")
    shared: dict[str, Any] = {}
    vary: dict[str, list[Any]] = {}
    runs: list[dict[str, Any]] = []
    for key, name, node in reader.pairs(root, what):
        if name == "vary":
            vary = {
                each: [_value(reader, each, value, path) for value in reader.sequence(values, each)]
                for where, each, values in reader.pairs(node, "vary")
                if _known(reader, where, each)
            }
        elif name == "runs":
            runs = [_settings(reader, entry, path) for entry in reader.sequence(node, "runs")]
        elif _known(reader, key, name):
            shared[name] = _value(reader, name, node, path)
    reader.check()
    count = len(runs)
    if vary:
        many = 1
        for values in vary.values():
            many *= len(values)
        count += many
    if not 0 < count <= MOST_RUNS:
        raise TTError(f"{path}: {count} runs: write a list under `vary:` or `runs:`, for {MOST_RUNS} runs at most")
    own = [*(combinations(vary) if vary else []), *runs]
    shared = settings_of_run(fixed, shared)
    return own, [settings_of_run(shared, each) for each in own]


def _settings(reader: YamlFile, node: yaml.Node, path: Path) -> dict[str, Any]:
    return {
        name: _value(reader, name, value, path)
        for key, name, value in reader.pairs(node, "a run")
        if _known(reader, key, name)
    }


def _known(reader: YamlFile, key: yaml.Node, name: str) -> bool:
    try:
        check_settings([name])
    except TTError as error:
        reader.wrong(key, str(error))
        return False
    return True


def _value(reader: YamlFile, name: str, node: yaml.Node, path: Path) -> Any:
    """A setting's value: of inputs as YAML has it, of others as text, as on the command line."""
    if name == "input":
        return {each: _plain(reader, each, value) for _, each, value in reader.pairs(node, name)}
    if name.startswith("input."):
        return _plain(reader, name.removeprefix("input."), node)
    if isinstance(node, yaml.SequenceNode):
        return [reader.text(each, name) for each in node.value]
    text = reader.text(node, name)
    return str(path.parent / text) if name in FILES and text is not None else text


def _plain(reader: YamlFile, name: str, node: yaml.Node) -> Any:
    try:
        value = yaml.safe_load(yaml.serialize(node))
        literal(name, value)
        return value
    except yaml.YAMLError as error:
        reader.wrong(node, f"not a value: {error}")
    except TTError as error:
        reader.wrong(node, str(error))
    return None
