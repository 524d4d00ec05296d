"""Runs commands as `ticktalk` would, each in a process of its own, without loading everything anew each time.

Reads a line of JSON for each: `arguments`, `cwd`, `environment`, and the files `stdout` and `stderr`. It answers the
exit status.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

from ticktalk.cli import simulate  # noqa: F401 (a command is loaded when it is called, so each process would load it)
from ticktalk.cli.main import main

PATIENCE = 120
"""Seconds after which a command is ended: it hangs."""


def run(request: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for number, name in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(name, flags), number)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    signal.alarm(PATIENCE)
    sys.argv = ["ticktalk", *request["arguments"]]
    status = 70
    try:
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1 if end.code else 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    for line in sys.stdin:
        print(run(json.loads(line)), flush=True)
