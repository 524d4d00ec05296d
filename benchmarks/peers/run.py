"""One run of one program on one system, in a process of its own; what it took is printed as JSON.

`python -m benchmarks.peers.run SYSTEM PROGRAM MICROSECONDS [--count]`
"""

import gc
import importlib
import json
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from benchmarks.peers import ran


def without_counting(text: str) -> str:
    """A program whose bodies are not counted."""
    return "".join(
        line.replace("ran()", "pass") if line.strip() == "ran()" else line for line in text.splitlines(keepends=True)
    )


def peer(system: str, counted: bool, folder: str) -> ModuleType:
    """The module that runs programs on a system.

    Args:
        folder: for a module without counting; it must last, as csp reads the source of its nodes when it uses them.
    """
    if counted or system == "ticktalk":
        return importlib.import_module(f"benchmarks.peers.in_{system}")
    text = Path(__file__).with_name(f"in_{system}.py").read_text(encoding="utf-8")
    path = Path(folder, f"{system}_timed.py")
    path.write_text(without_counting(text), encoding="utf-8")
    sys.path.insert(0, folder)
    return importlib.import_module(path.stem)


def main(arguments: list[str]) -> None:
    """Run, print."""
    system, program, microseconds = arguments[:3]
    counted = "--count" in arguments
    with tempfile.TemporaryDirectory() as folder:
        module = peer(system, counted, folder)
        gc.collect()
        if system == "ticktalk":
            wall, processor = module.run(program, int(microseconds), counted)
        else:
            wall, processor = module.run(program, int(microseconds))
    print(json.dumps({"wall": wall, "processor": processor, "ran": ran.count}))


if __name__ == "__main__":
    main(sys.argv[1:])
