"""What makes commands short: settings from the environment or a file, completion by the shell, `ticktalk new`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from ticktalk.cli import settings
from ticktalk.cli.new import new

TICKTALK = [sys.executable, "-m", "ticktalk"]


def ask(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TICKTALK_")}
    environment |= {"HOME": str(folder / "home"), **variables}
    environment.pop("XDG_CONFIG_HOME", None)
    return subprocess.run([*TICKTALK, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def test_a_manager_is_found_by_the_first_that_names_one(tmp_path: Path) -> None:
    missing = ask(tmp_path, "status")
    assert missing.returncode == 2 and "--manager" in missing.stderr and "TICKTALK_MANAGER" in missing.stderr
    home = tmp_path / "home" / ".config" / "ticktalk"
    home.mkdir(parents=True)
    (home / "config.toml").write_text('manager = "127.0.0.1:6"\n')
    assert "no manager answers at 127.0.0.1:6" in ask(tmp_path, "status").stderr
    (tmp_path / "ticktalk.toml").write_text('manager = "127.0.0.1:7"\n')
    assert "no manager answers at 127.0.0.1:7" in ask(tmp_path, "status").stderr
    assert "no manager answers at 127.0.0.1:8" in ask(tmp_path, "status", TICKTALK_MANAGER="127.0.0.1:8").stderr
    told = ask(tmp_path, "status", "--manager", "127.0.0.1:9", TICKTALK_MANAGER="127.0.0.1:8").stderr
    assert "no manager answers at 127.0.0.1:9" in told


@pytest.mark.parametrize("file", ["keys/anna.json", "~nobody-of-this-name/anna.json"])
def test_credentials_are_looked_for_beside_the_file_that_names_them(file: str, tmp_path: Path) -> None:
    (tmp_path / "ticktalk.toml").write_text(f'manager = "127.0.0.1:7"\ncredentials = "{file}"\n')
    done = ask(tmp_path, "status")
    assert done.returncode == 1 and file in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('mager = "x"', "ticktalk.toml: there is no setting 'mager'; there are: manager, credentials"),
        ("manager = 5", "ticktalk.toml: manager is a text"),
        ("manager = ", "ticktalk.toml: the settings cannot be read"),
    ],
)
def test_wrong_settings_are_one_line(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "ticktalk.toml").write_text(text)
    done = ask(tmp_path, "--version")
    assert done.returncode == 1 and told in done.stderr and len(done.stderr.splitlines()) == 1


def test_settings_where_one_may_not_look_are_none(tmp_path: Path) -> None:
    def no(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path)
        patched.setattr(os, "stat", no)
        settings.read_settings()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [("ticktalk simu", "simulate"), ("ticktalk simulate --unt", "--until"), ("ticktalk keys iss", "issue")],
)
def test_a_shell_completes_commands_and_options(line: str, wanted: str, tmp_path: Path) -> None:
    at = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1), "_TICKTALK_COMPLETE": "complete_bash"}
    assert wanted in ask(tmp_path, **at).stdout.split()


def test_completion_is_installed_for_the_shell_at_hand(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    environment = {**os.environ, "HOME": str(tmp_path / "home")}
    command = f"{sys.executable} -m ticktalk --install-completion bash || true"
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60)
    assert "bash completion installed" in done.stdout, done
    assert "_TICKTALK_COMPLETE=complete_bash" in "".join(
        path.read_text() for path in (tmp_path / "home").rglob("*ticktalk*") if path.is_file()
    )


def test_a_new_project_passes_its_test_and_runs_as_its_readme_says(tmp_path: Path) -> None:
    made = ask(tmp_path, "new", "pump")
    assert made.returncode == 0 and "pump/README.md" in made.stdout
    folder = tmp_path / "pump"
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=folder, capture_output=True, timeout=60
    )
    assert tested.returncode == 0, tested.stdout
    lines = [line.split()[1:] for line in (folder / "README.md").read_text().splitlines() if "ticktalk" in line]
    for words in lines:
        done = ask(folder, *words)
        assert done.returncode == 0, (words, done.stderr)
        assert words[0] == "draw" or "20.25: fine" in done.stdout
    again = ask(tmp_path, "new", "pump")
    assert again.returncode == 1 and "there is something of that name already" in again.stderr
    assert ask(tmp_path, "new", "Pump station").returncode == 2


@pytest.mark.parametrize("name", ["class", "json", "mean", "drivers"])
def test_a_new_project_takes_no_name_that_its_program_or_python_has(name: str, tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="write another"), pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path)
        new(name)
    assert not (tmp_path / name).exists()
