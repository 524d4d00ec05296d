"""Runs commands as `ticktalk` would, each in a process of its own, without loading everything anew each time.

Reads `{"cwd": ..., "arguments": [...], "stdout": file, "stderr": file}` lines, answers the exit status of each.
"""

from __future__ import annotations

import json
import os
import sys

from ticktalk.cli import simulate  # noqa: F401 (a command is loaded when it is called, so each process would load it)
from ticktalk.cli.main import main


def run(request: dict) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for number, name in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(name, flags), number)
    os.chdir(request["cwd"])
    sys.argv = ["ticktalk", *request["arguments"]]
    status = 70
    try:
        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1 if end.code else 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


for line in sys.stdin:
    print(run(json.loads(line)), flush=True)
