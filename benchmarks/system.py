"""A manager in this process and ensembles in processes of their own, as `ticktalk run` starts them, on 127.0.0.1.

Stamps are of the host's monotonic clock, which all its processes share.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from benchmarks.measure import Failure
from ticktalk import TTGraph
from ticktalk.language.compiler import compile_source
from ticktalk.payloads import OutputToken
from ticktalk.physical.trust.authority import init_authority, issue
from ticktalk.runtime_manager import TTRuntimeManagerPhysical

JOIN_LIMIT = 60.0
"""Seconds."""


def program(text: str, name: str, **words: Any) -> TTGraph:
    """The graph of a program, its capital words replaced."""
    for word, value in words.items():
        text = text.replace(word, str(value))
    return compile_source(text, f"{name}.py", name)


Proofs = Literal["token", "keys", "none"]
"""What messages and tokens are proven by: the user's token, as on loopback; certificates, as on a network; nothing."""


class System:
    """A manager in this process and ensembles in processes of their own.

    Args:
        ensembles: name to options: none, or `--workers` and a number.
        proofs: what messages and tokens are proven by.
        log: the file in which outputs are logged.
    """

    def __init__(self, ensembles: dict[str, list[str]], proofs: Proofs = "token", log: str | None = None) -> None:
        self._proofs = proofs
        self.tokens: list[OutputToken] = []
        self.launched = time.monotonic()
        self.to_root_us = (time.time_ns() - time.monotonic_ns()) // 1000
        """Root ticks minus monotonic microseconds, as every ensemble of this host takes it when it starts."""
        self._open = ExitStack()
        try:
            options: dict[str, Any] = {"none": {"token": b""}, "keys": self._keys(ensembles)}.get(proofs, {})
            self.manager = self._open.enter_context(TTRuntimeManagerPhysical(log, "127.0.0.1", 0, 0, **options))
            self._processes = [self._launch(name, options) for name, options in ensembles.items()]
            self._open.callback(self._end_all)
            missing = self.manager.wait_for_ensembles(ensembles, JOIN_LIMIT)
            if missing:
                raise Failure(f"not joined within {JOIN_LIMIT:.0f} s: {', '.join(missing)}")
        except BaseException:
            self._open.close()
            raise
        self.joined = time.monotonic()
        self.manager.on_output(self._take)
        self.first_output = math.inf

    def _keys(self, names: Iterable[str]) -> dict[str, str]:
        """Keys for all, in a folder of their own; the manager's option for its bundle."""
        if self._proofs != "keys":
            return {}
        self._bundles = Path(self._open.enter_context(tempfile.TemporaryDirectory())) / "keys"
        bundle = init_authority(self._bundles)
        for name in names:
            issue(self._bundles, name, ["127.0.0.1"])
        return {"credentials": str(bundle)}

    def _launch(self, name: str, options: list[str]) -> subprocess.Popen[bytes]:
        proofs = str(self._bundles / f"{name}.json") if self._proofs == "keys" else self._proofs
        command = [sys.executable, "-m", "benchmarks.ensemble", name, self.manager.address, proofs, *options]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=2)
        self._open.callback(_end, process)
        return process

    def _end_all(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()

    def _take(self, token: OutputToken) -> None:
        if not self.tokens:
            self.first_output = time.monotonic()
        self.tokens.append(token)

    def run(self, graph: TTGraph, seconds: float | None = None, settle: float = 20.0) -> list[OutputToken]:
        """Start a graph, let its streams go on for `seconds`, and give its outputs once it is done."""
        self.tokens.clear()
        length = None if seconds is None else int(seconds * 1e6)
        context = self.manager.execute_graph(graph, length=length)
        if not self.manager.wait(graph, (seconds or 0) + settle):
            raise Failure(f"{graph.name} is not done: {self.manager.status()['graphs']}")
        time.sleep(0.2)  # the callbacks' thread comes after
        if self.manager.errors:
            raise Failure(str(self.manager.errors[0]))
        return [token for token in self.tokens if token.context == context]

    def instants(self, graph: TTGraph, stream: str) -> tuple[int, int]:
        """How many instants of a stream its body ran at in the latest start, and were skipped in all starts."""
        (state,) = [g for g in self.manager.status()["graphs"] if g["name"] == graph.name]
        return state["lateness_us"][stream]["firings"], state["counters"].get(stream, {}).get("skipped", 0)

    def close(self) -> None:
        """End every process."""
        self._open.close()

    def __enter__(self) -> System:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
