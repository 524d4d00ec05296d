"""Builds TickTalk, installs and runs it on each Python that is here, and looks for wheels on systems that are not.

`make wheels`, or `python tests/wheels.py [PYTHON ...]`: interpreters to try; default: those of the path and of pyenv.
Run by hand: it takes minutes, and the network.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

SYSTEMS = {
    "Linux x86-64": ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"],
    "Linux ARM64": ["manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"],
    "macOS ARM64": ["macosx_14_0_arm64", "macosx_11_0_arm64"],
    "Windows x86-64": ["win_amd64"],
}
"""The tags of wheels that these systems take."""

VERSIONS = ["3.11", "3.12", "3.13", "3.14"]


def done(*command: object, cwd: Path | None = None) -> str:
    """What a command prints.

    Raises:
        RuntimeError: it fails; the message ends with the last lines that it wrote.
    """
    found = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=cwd)
    if found.returncode:
        last = "\n".join((found.stdout + found.stderr).splitlines()[-5:])
        raise RuntimeError(f"{' '.join(map(str, command))}: status {found.returncode}\n{last}")
    return found.stdout


def readme_program() -> tuple[str, str]:
    """The name and the text of the README's program."""
    readme = (ROOT / "README.md").read_text("utf-8")
    title, program = re.findall(r'```python title="([\w.]+)"\n(.*?)```', readme, re.S)[0]
    return title, program


def interpreters() -> list[str]:
    """One interpreter of each version that is here."""
    found = []
    for version in VERSIONS:
        # What pyenv has on the path may only say that there is such a version.
        there = [*Path.home().glob(f".pyenv/versions/{version}.*/bin/python"), shutil.which(f"python{version}")]
        found += [str(path) for path in there if path][:1]
    return found


def tried(python: str, package: Path, folder: Path) -> str:
    """Install a package in a new environment; run the README's program, and the test of a new project."""
    done(python, "-m", "venv", folder)
    run = folder / "bin" / "python"
    done(run, "-m", "pip", "install", "--quiet", package, "pytest")
    version = done(folder / "bin" / "ticktalk", "--version").strip()
    title, program = readme_program()
    (folder / title).write_text(program, "utf-8")
    outputs = done(folder / "bin" / "ticktalk", "simulate", title, "--until", "2s", "--jsonl", cwd=folder)
    done(folder / "bin" / "ticktalk", "new", "first", cwd=folder)
    done(run, "-m", "pytest", "-q", cwd=folder / "first")
    return f"{version}: {outputs.count(chr(10))} outputs of {title}, and the test of a new project"


def wheels(package: Path, version: str, tags: list[str]) -> str:
    """Whether all that the base install needs has wheels; the environment's own markers are those of this system."""
    platforms = [part for tag in tags for part in ("--platform", tag)]
    try:
        done(
            sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--only-binary=:all:",
            "--python-version", version, *platforms, "--target", "unused", package,
        )  # fmt: skip
    except RuntimeError as error:
        return f"no: {str(error).splitlines()[-1]}"
    return "all"


def main() -> None:
    """Print both tables; 1 if anything fails."""
    failed = False
    with tempfile.TemporaryDirectory() as made:
        here = Path(made)
        done(sys.executable, "-m", "venv", here / "build")
        done(here / "build" / "bin" / "python", "-m", "pip", "install", "--quiet", "build")
        done(here / "build" / "bin" / "python", "-m", "build", "--outdir", here / "dist", ROOT)
        (wheel,), (source,) = (here / "dist").glob("*.whl"), (here / "dist").glob("*.tar.gz")
        for python in sys.argv[1:] or interpreters():
            for package in (wheel, source):
                kind = "wheel " if package is wheel else "source"
                name = done(python, "-c", "import platform; print(platform.python_version())").strip()
                try:
                    print(f"{name:8} {kind}  {tried(python, package, here / f'{name}-{kind.strip()}')}", flush=True)
                except RuntimeError as error:
                    failed = True
                    print(f"{name:8} {kind}  FAILED: {error}", flush=True)
        for system, tags in SYSTEMS.items():
            found = {version: wheels(wheel, version, tags) for version in VERSIONS}
            failed = failed or set(found.values()) != {"all"}
            print(f"{system:15} " + "  ".join(f"{version}: {text}" for version, text in found.items()), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
