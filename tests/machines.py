"""Tries TickTalk on machines that are not here: of another processor, or with another Python than the system has.

`make machines`, or `python tests/machines.py [NAME ...]`, as root. Each machine is a Debian in a folder of its own in
`build/machines`, which is kept: remove it to have it made anew. `debootstrap` makes it; `qemu-user-static` and
`binfmt-support` run what is of another processor. Run by hand: it takes half an hour, and the network.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

from wheels import ROOT, done, readme_program

FOLDER = ROOT / "build" / "machines"


class Machine(NamedTuple):
    """A Debian.

    Attributes:
        processor, release: as Debian names them.
        python: the interpreter.
        tests: those that run there.
    """

    processor: str
    release: str
    python: str
    tests: tuple[str, ...]


MACHINES = {
    "arm64": Machine(
        "arm64",
        "trixie",
        "python3",
        ("tests/time", "tests/engine/test_firing_tables.py", "tests/physical/test_room.py"),
    ),
    "python3.14": Machine(
        "amd64",
        "sid",
        "python3.14",
        ("tests/time", "tests/graph", "tests/language", "tests/engine", "tests/conformance", "tests/test_factories.py"),
    ),
}

NEEDS_MYPY = "tests/language/test_typed.py tests/language/test_types.py tests/language/test_types_of_graphs.py"

ENTER = """
mount --make-rprivate /
for place in proc dev sys; do mount --rbind /$place "$0/$place"; done
mkdir -p "$0/ticktalk" && mount --rbind "$1" "$0/ticktalk"
cp /etc/resolv.conf /etc/hosts "$0/etc/"
cp /etc/ssl/certs/ca-certificates.crt "$0/etc/ssl/certs/"
exec chroot "$0" /usr/bin/env -i HOME=/root LANG=C.UTF-8 PATH=/venv/bin:/usr/bin:/bin:/usr/sbin:/sbin \
    PYTHONPYCACHEPREFIX=/tmp/compiled sh -ec "$2"
"""
"""Runs a command in a Debian: its folder, the repository's, the command. Mounts end with it."""


def made(machine: Machine) -> Path:
    """The folder of a machine, which is made if it is not there."""
    folder = FOLDER / f"{machine.release}-{machine.processor}"
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        packages = f"{machine.python},{machine.python}-venv,ca-certificates"
        done("debootstrap", "--variant=minbase", f"--arch={machine.processor}", f"--include={packages}",
             machine.release, folder)  # fmt: skip
        (folder / "made").touch()
    return folder


def inside(folder: Path, command: str) -> str:
    """What a command prints that is run in a machine."""
    return done("unshare", "--mount", "sh", "-ec", ENTER, folder, ROOT, command)


def tools() -> str:
    """What the tests need, as pip takes it."""
    extra: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["test"]
    return " ".join(f"'{tool}'" for tool in extra if re.match("pytest|hypothesis|numpy", tool))


def tried(machine: Machine, wheel: Path) -> str:
    """Install a wheel; simulate the README's program, run it on devices, and run tests."""
    folder = made(machine)
    title, program = readme_program()
    shutil.copy(wheel, folder / "tmp")
    (folder / "tmp" / title).write_text(program, "utf-8")
    inside(folder, f"rm -rf /venv; {machine.python} -m venv /venv; pip install -q /tmp/{wheel.name} {tools()}")
    about = inside(folder, "python -c 'import platform; print(platform.python_version(), platform.machine())'").strip()
    said = [f"Python {' on '.join(about.split())}"]
    for kind, until in (("simulate", "2s"), ("run", "30s")):  # an emulated device needs a while to keep up
        outputs = inside(folder, f"cd /tmp; timeout 300 ticktalk {kind} {title} --until {until} --jsonl")
        said.append(f"{kind}: {outputs.count(chr(10))} outputs")
    ignored = " ".join(f"--ignore {file}" for file in NEEDS_MYPY.split())
    # The package is the installed one, not that of the repository.
    report = inside(folder, f"cd /ticktalk; pytest -p no:cacheprovider {ignored} {' '.join(machine.tests)}")
    said.append(next(line for line in reversed(report.splitlines()) if " passed" in line).strip("= "))
    return "; ".join(said)


def main() -> None:
    """Print what each machine has done; 1 if one fails."""
    if os.geteuid() or platform.system() != "Linux" or not shutil.which("debootstrap"):
        sys.exit("run this as root on a Debian: apt-get install debootstrap qemu-user-static binfmt-support")
    failed = False
    with tempfile.TemporaryDirectory() as here:
        done(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", here, ROOT)
        (wheel,) = Path(here).glob("*.whl")
        for name in sys.argv[1:] or MACHINES:
            began = time.monotonic()
            try:
                print(f"{name:10}  {tried(MACHINES[name], wheel)}; {time.monotonic() - began:.0f} s", flush=True)
            except RuntimeError as error:
                failed = True
                print(f"{name:10}  FAILED: {error}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
