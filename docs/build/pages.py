"""Runs what the documentation shows: the files of a page are written, its commands run, their output compared.

A page is Markdown. Its fenced blocks say what they are:

- ```` ```python title="crossing.py" ````, of any language: a file. A later block of the same title replaces it.
- ```` ```console ````: lines that begin with `$ ` are commands, the lines below them what the terminal shows. A line
  `...` stands for any lines, `…` within a line for any text. A command without lines below shows nothing, and ends with
  0. So does one whose lines are only `...`.
  `title="on NAME"` runs them on the host NAME of the page, a network namespace of its own.
- ```` ```pycon ````: a Python session, as `doctest` reads it.
- ```` ```python ```` without a title: a script that runs without an error.
- any other block is only shown; `tests/docs` lists those, with the reason.

The pages of one folder of `docs` share a folder of files, in the order of `mkdocs.yml`. So a tutorial goes on where its
page before has ended. A page with `<!-- alone -->` below its title has a folder of its own.
"""

from __future__ import annotations

import doctest
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from namespaces import add, remove

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^`\n]*)$")
TITLE = re.compile(r'title="(?P<title>[^"]*)"')
ON_HOST = re.compile(r"on (?P<host>[a-z0-9-]+)")

LIMIT = 60.0
"""Seconds that a command may take, or that a line of one that goes on may be awaited."""

GOES_ON = re.compile(r"^ticktalk (manager|ensemble)\b|--follow\b|&$")
"""Commands that do not end by themselves; they go on until the page ends."""

WIDTH = 80
"""Columns of the terminal."""

ENVIRONMENT = {"COLUMNS": str(WIDTH), "NO_COLOR": "1", "TERM": "dumb", "TZ": "UTC", "LANG": "C.UTF-8"}


@dataclass
class Block:
    """A fenced block of a page."""

    line: int
    """That of its first fence, from 1."""

    language: str
    title: str | None
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    @property
    def runs(self) -> bool:
        """Whether something is done with it, rather than only shown."""
        return self.language in ("console", "python", "pycon") or self.title is not None


@dataclass
class Command:
    """A command of a `console` block and what it must print."""

    line: int
    text: str
    wanted: list[str] = field(default_factory=list)


def pages() -> list[Path]:
    """The pages of the site, relative to `docs`, in the order of its navigation."""
    loader = type("Loader", (yaml.SafeLoader,), {})  # `!!python/name:` of extensions is not ours to load
    loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)  # type: ignore[attr-defined]
    site = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), loader)  # a subclass of the safe loader
    return [Path(name) for name in _leaves(site["nav"])]


def _leaves(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    else:
        for child in node.values() if isinstance(node, dict) else node:
            yield from _leaves(child)


def groups() -> dict[str, list[Path]]:
    """The pages that share a folder of files, by the name of that folder."""
    found: dict[str, list[Path]] = {}
    for page in pages():
        text = (DOCS / page).read_text("utf-8")
        alone = page.parent == Path() or "<!-- alone -->" in text
        found.setdefault(str(page.with_suffix("")) if alone else str(page.parent), []).append(page)
    return found


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, those within lists and admonitions included."""
    found: list[Block] = []
    open_block: Block | None = None
    indent = ""
    for number, line in enumerate(text.splitlines(), start=1):
        fence = FENCE.match(line)
        if fence and open_block is None:
            info = fence["info"].strip()
            title = TITLE.search(info)
            open_block = Block(number, info.split()[0] if info else "", title["title"] if title else None)
            indent = fence["indent"]
        elif fence and open_block is not None and not fence["info"].strip():
            found.append(open_block)
            open_block = None
        elif open_block is not None:
            open_block.lines.append(line.removeprefix(indent))
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a `console` block, in order."""
    found: list[Command] = []
    goes_on = False
    for offset, line in enumerate(block.lines, start=1):
        if goes_on:
            found[-1].text += " " + line.strip().removesuffix("\\").strip()
            goes_on = line.endswith("\\")
        elif line.startswith("$ "):
            goes_on = line.endswith("\\")
            found.append(Command(block.line + offset, line[2:].removesuffix("\\").strip()))
        elif found:
            found[-1].wanted.append(line)
    return found


def differs(wanted: list[str], got: list[str]) -> str | None:
    """What differs between the lines wanted and those that came, or `None`."""
    pattern = "".join(
        r"(?:[^\n]*\n)*?" if line.strip() == "..." else ".*".join(re.escape(part) for part in line.split("…")) + "\n"
        for line in wanted
    )
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in got)):
        return None
    return "wanted:\n" + "\n".join(wanted) + "\ngot:\n" + "\n".join(got)


class Runner:
    """Runs pages in one folder of files.

    Args:
        folder: a new one, where files are written and commands run; `examples` in it are those of the project.
        python: the interpreter of the environment that has `ticktalk`.
        hosts: whether commands of hosts are run; without, they are left out.
    """

    def __init__(self, folder: Path, python: str = sys.executable, hosts: bool = True) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "examples").symlink_to(ROOT / "examples")
        self._with_hosts = hosts
        self._tools = Path(python).parent
        self._running: list[subprocess.Popen[bytes]] = []
        self._hosts: dict[str, str] = {}
        self._keepers: dict[int, threading.Thread] = {}
        self._number = 0

    def run(self, page: Path) -> None:
        """Do what the page does.

        Raises:
            AssertionError: a block gave something else; it tells the page and line.
        """
        try:
            for block in blocks((DOCS / page).read_text("utf-8")):
                if block.language == "console":
                    host = ON_HOST.fullmatch(block.title or "")
                    if host and not self._with_hosts:
                        continue
                    for command in commands(block):
                        self._command(page, command, host["host"] if host else None)
                elif block.title is not None:
                    path = self.folder / block.title
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(block.text, "utf-8")
                elif block.language == "pycon":
                    self._session(page, block)
                elif block.language == "python":
                    self._script(page, block)
        finally:
            self.end()

    def end(self) -> None:
        """End the commands that go on, the last first, and remove the hosts."""
        while self._running:
            process = self._running.pop()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        if self._hosts:
            remove(self._hosts)
            self._hosts = {}

    def _command(self, page: Path, command: Command, host: str | None) -> None:
        place = f"{page}:{command.line}: $ {command.text}"
        output = self.folder.parent / f"{self.folder.name}.output-{self._number}"
        self._number += 1
        process = self._start(command.text.removesuffix("&"), output, host)
        if GOES_ON.search(command.text):
            self._running.append(process)
            self._await(place, command.wanted, output, process)
            return
        try:
            status = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"{place}\ndid not end within {LIMIT:g} s") from None
        self._keepers.pop(process.pid).join(LIMIT)
        got = _shown(output)
        if all(line.strip() == "..." for line in command.wanted):  # nothing shown says that it fails
            assert status == 0, f"{place}\nended with {status}:\n" + "\n".join(got)
        said = differs(_without_end(command.wanted), _without_end(got))
        assert said is None, f"{place}\n{said}"

    def _await(self, place: str, wanted: list[str], output: Path, process: subprocess.Popen[bytes]) -> None:
        """Wait until a command that goes on has printed what is wanted first."""
        end = time.monotonic() + LIMIT
        while (said := differs(_without_end([*wanted, "..."]), _shown(output))) is not None:
            assert process.poll() is None, f"{place}\nended with {process.returncode}\n{said}"
            assert time.monotonic() < end, f"{place}\nafter {LIMIT:g} s:\n{said}"
            time.sleep(0.05)

    def _start(self, text: str, output: Path, host: str | None) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **ENVIRONMENT, "PATH": f"{self._tools}:{os.environ['PATH']}"}
        environment["HOME"] = str(self.folder.parent)
        words = ["bash", "-c", text.strip()]
        if host is not None:
            if host not in self._hosts:
                self._hosts[host] = add(host, len(self._hosts))
            words = ["ip", "netns", "exec", self._hosts[host], *words]
        # A terminal, as a reader has one: what comes first is shown first.
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (50, WIDTH))
        output.write_bytes(b"")
        process = subprocess.Popen(
            words,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        keeper = threading.Thread(target=_keep, args=(ours, output), daemon=True)
        keeper.start()
        self._keepers[process.pid] = keeper
        return process

    def _session(self, page: Path, block: Block) -> None:
        session = "\n".join(block.lines)
        test = doctest.DocTestParser().get_doctest(session, {}, str(page), str(page), block.line)
        said: list[str] = []
        before, path = os.getcwd(), list(sys.path)
        os.chdir(self.folder)
        sys.path.insert(0, str(self.folder))
        try:
            doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(test, out=said.append)
        finally:
            os.chdir(before)
            sys.path[:] = path
        assert not said, f"{page}:{block.line}: the Python session differs\n" + "".join(said)

    def _script(self, page: Path, block: Block) -> None:
        done = subprocess.run(
            [str(self._tools / "python"), "-c", block.text],
            cwd=self.folder,
            env={**os.environ, **ENVIRONMENT},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert done.returncode == 0, f"{page}:{block.line}: the script failed\n{done.stdout}{done.stderr}"


def _keep(terminal: int, output: Path) -> None:
    """Write what comes to a terminal to a file, until nobody has it open any more."""
    with output.open("ab", buffering=0) as file:
        while True:
            try:
                shown = os.read(terminal, 65536)
            except OSError:  # so Linux says that the other end is closed
                break
            if not shown:
                break
            file.write(shown)
    os.close(terminal)


def _shown(output: Path) -> list[str]:
    """What a terminal shows of an output so far."""
    text = output.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")
    return [line.rsplit("\r", 1)[-1].rstrip() for line in text.split("\n")]


def _without_end(lines: list[str]) -> list[str]:
    """The lines without empty ones at their end."""
    count = len(lines)
    while count and not lines[count - 1].strip():
        count -= 1
    return [line.rstrip() for line in lines[:count]]
