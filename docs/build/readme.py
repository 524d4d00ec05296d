"""Draws the pictures of the README from a real run: `python docs/build/readme.py` writes them to `docs/pictures`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from pages import DOCS, ROOT

PROGRAM = ROOT / "examples" / "crossing.py"


def pictures() -> dict[str, str]:
    """The pictures as SVG, by file name: tokens that meet on a time line, and the graph over its devices."""
    with tempfile.TemporaryDirectory() as folder:
        run, meet, graph = (Path(folder) / name for name in ("run.mcap", "meet.svg", "graph.svg"))
        _ticktalk("simulate", PROGRAM, "--until", "700ms", "--network-delay", "5ms", "--record", run)
        _ticktalk("explain", run, "warn-1@580ms", "-o", meet)
        _ticktalk("draw", PROGRAM, "-o", graph)
        return {"readme-meet.svg": meet.read_text("utf-8"), "readme-graph.svg": graph.read_text("utf-8")}


def _ticktalk(*words: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "ticktalk", *map(str, words)], check=True, capture_output=True, timeout=60)


if __name__ == "__main__":
    for name, svg in pictures().items():
        (DOCS / "pictures" / name).write_text(svg, "utf-8")
