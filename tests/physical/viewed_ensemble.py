"""`ticktalk ensemble` that also shows its SQs: on SIGUSR1 it writes them to `TICKTALK_VIEW`.

Its own view, asked in the timekeeper: by context the SQs with an instance here, and the suspended ones. Also the
numbers of file descriptors, and of values that others read in its memory.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from ticktalk.cli.entry import main
from ticktalk.ensemble import TTEnsemble
from ticktalk.physical.manager_node import in_loop

ensembles: list[TTEnsemble] = []


class Viewed(TTEnsemble):
    """Remembers that it was made."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        ensembles.append(self)


def view() -> dict[str, Any]:
    """The instances here now."""
    host = ensembles[0]._handle.node.host
    return {
        "here": {
            f"{graph} {number}": {"runs": sorted(set(context.syncs) - context.held), "suspended": sorted(context.held)}
            for (graph, number), context in host.contexts.items()
        },
        "graphs": sorted(host.prepared),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "handed": ensembles[0]._handle.node.sharing.handed,
    }


def tell(number: int, frame: Any) -> None:
    """Write the view; a file that is there is whole."""
    to = Path(os.environ["TICKTALK_VIEW"])
    written = to.with_suffix(".part")
    written.write_text(json.dumps(in_loop(ensembles[0]._handle.node, view)))
    written.rename(to)


if __name__ == "__main__":
    import ticktalk.cli.ensemble_command

    ticktalk.cli.ensemble_command.TTEnsemble = Viewed  # type: ignore[misc]
    signal.signal(signal.SIGUSR1, tell)
    main()
