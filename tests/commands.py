"""`ticktalk` as a command in a process of its own, for tests: a fork of one that has loaded everything.

That takes a tenth of the time. A test that sends signals, or looks at the process, starts it by itself.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple


class Done(NamedTuple):
    """How a command ended, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


def ticktalk(*arguments: str, cwd: Path | None = None, stdout: str | None = None, **environment: str) -> Done:
    """Run `ticktalk` with these arguments.

    Args:
        cwd: the current directory, if it is not that of the test.
        stdout: a file that gets the results, which are not read then.
        environment: variables beside those of the test.
    """
    with tempfile.TemporaryDirectory() as written:
        request = {
            "arguments": arguments,
            "cwd": str(cwd or Path.cwd()),
            "environment": {**os.environ, **environment},
            "stdout": stdout or f"{written}/stdout",
            "stderr": f"{written}/stderr",
        }
        server = _server()
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        told = "" if stdout else Path(written, "stdout").read_text("utf-8")
        return Done(status, told, Path(written, "stderr").read_text("utf-8"))


@functools.cache
def _server() -> subprocess.Popen[str]:
    command = [sys.executable, "-P", str(Path(__file__).with_name("command_server.py"))]
    # Simulated runs have this seed, too.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert server.stdin is not None
    atexit.register(server.stdin.close)
    return server
