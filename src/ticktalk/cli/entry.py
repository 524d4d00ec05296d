"""Where `ticktalk` begins: before anything is loaded, simulated runs get a fixed hash seed.

Python orders a set of strings anew in every process. A body that goes through one would then print other bytes each
time, which a simulated run must not.
"""

from __future__ import annotations

import os
import sys

SEED = "0"


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["simulate"] and os.environ.get("PYTHONHASHSEED") != SEED:
        os.environ["PYTHONHASHSEED"] = SEED
        # -P: what lies in the current directory must not stand in for modules of ours.
        command = [sys.executable, "-P", "-m", "ticktalk.cli.entry", *sys.argv[1:]]
        sys.stdout.flush()
        os.execv(sys.executable, command)
    if sys.argv[1:2] == ["ensemble"]:
        # On a small device, and fifty times on one machine, it counts what is loaded: no compiler, no simulator.
        from ticktalk.cli.ensemble_command import app
    else:
        from ticktalk.cli.main import app
    from ticktalk.cli.guard import run_guarded

    run_guarded(app)


if __name__ == "__main__":
    main()
