"""The entry of `ticktalk`: before anything is loaded, simulated runs get a fixed hash seed.

Python orders a set of strings anew in every process. Without a fixed seed, a body that goes through such a set would
give other outputs in each simulated run.
"""

from __future__ import annotations

import os
import sys

SEED = "0"


def main() -> None:
    """Run the command line."""
    try:
        _run()
    except KeyboardInterrupt:  # while the command is loaded, or on Windows in the process that waits
        sys.exit(130)


def _run() -> None:
    if sys.argv[1:2] == ["simulate"] and os.environ.get("PYTHONHASHSEED") != SEED:
        os.environ["PYTHONHASHSEED"] = SEED
        # -P: modules in the current directory must not take the place of ours.
        command = [sys.executable, "-P", "-m", "ticktalk.cli.entry", *sys.argv[1:]]
        if sys.platform == "win32":
            import subprocess  # slow to load

            sys.exit(subprocess.call(command))  # a process that is replaced there ends at once, with 0
        os.execv(sys.executable, command)
    from ticktalk.cli.main import main as run_command

    run_command()


if __name__ == "__main__":
    main()
