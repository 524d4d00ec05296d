"""A shell completes commands and options, once `ticktalk --install-completion` was called in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from terminals import Terminal
from ticktalk.cli import main


def test_the_script_for_zsh_has_the_functions_that_are_added_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts are Typer's own business: another version of it may have others."""
    from typer import _completion_shared as shared

    monkeypatch.setattr(shared, "_completion_scripts", dict(shared._completion_scripts))
    main._complete_at_once_in_zsh()
    script = shared.get_completion_script(prog_name="ticktalk", complete_var="_TICKTALK_COMPLETE", shell="zsh")
    first, *lines, last = script.strip().splitlines()
    function = "_ticktalk_completion"
    assert first == "#compdef ticktalk"  # so zsh loads the file as `_ticktalk`
    assert last == f'[ "$funcstack[1]" = "_ticktalk" ] && {function} "$@"' and f"{function}() {{" in lines


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_from_the_first_tab_on(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    command = tmp_path / "bin" / "ticktalk"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m ticktalk.cli.entry "$@"\n')
    command.chmod(0o755)
    own = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / ".config"), "ZDOTDIR": str(tmp_path)}
    own["PATH"] = f"{command.parent}:/usr/local/bin:/usr/bin:/bin"
    # A shell that has another command to run stays the parent, by which its kind is known.
    words = [shell, "-c", "ticktalk --install-completion; true"]
    done = subprocess.run(words, env={**os.environ, **own}, capture_output=True, text=True, timeout=60)
    assert f"{shell} completion installed" in done.stdout, done
    terminal = Terminal(tmp_path, shell, "-i", environment=own)
    try:
        terminal.type("echo rea''dy\r")
        terminal.until(lambda: "ready" in terminal.lines[:-1] and terminal.last != "ready", "the next prompt")
        terminal.type("ticktalk simu\t")
        terminal.shows("ticktalk simulate")
        terminal.type("--netw\t")
        terminal.shows("ticktalk simulate --network-delay")
    finally:
        terminal.close()
