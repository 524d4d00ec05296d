"""Factories of components: what can be found by reading is what Python finds, and what they may ask for."""

from __future__ import annotations

import importlib
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from commands import ticktalk
from ticktalk.error_hints import EXTRAS
from ticktalk.errors import TTError
from ticktalk.factories import check_factory, make_driver

FILES = {
    "drv_plain.py": "import json as j\nfrom json import loads\nclass Camera:\n    class Front: pass\ndef make(): pass\n"
    "for turn in (1,): pass\ntry:\n    import nowhere\nexcept ImportError:\n    other = make\n",
    "drv_star.py": "from drv_plain import *\n",
    "drv_lazy.py": "def __getattr__(name):\n    if name == 'Late': return int\n    raise AttributeError(name)\n",
    "drv_text.py": "globals()['made'] = int\n",
    "drv_pack/__init__.py": "",
    "drv_pack/inner.py": "def make(): pass\n",
    "drv_space/deep/inner.py": "def make(): pass\n",
    "drv_broken.py": "def make(:\n",
    "drv_guarded.py": "ran = open('drv_guarded was run', 'w')\ndef make(): pass\n",
    "drv_args.py": "class All:\n    def __init__(self, component, ensemble, *, folder, level=3, env=None):\n"
    "        self.given = [component, ensemble, folder.name, level, env]\n"
    "class Own:\n    def __init__(self, component='front', folder='recordings'):\n"
    "        self.given = [component, folder]\n"
    "def wants_env(env): pass\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in [name for name in sys.modules if name.startswith("drv_")]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    return tmp_path


def in_python(factory: str) -> bool:
    """Whether Python finds it."""
    module, _, name = factory.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, SyntaxError):
        return False
    return True


@pytest.mark.parametrize(
    "factory",
    ["drv_plain:" + name for name in ("Camera", "Camera.Front", "make", "loads", "j", "turn", "other", "Camero", "x")]
    + ["drv_star:Camera", "drv_lazy:Late", "drv_text:made", "drv_pack.inner:make", "drv_pack.inner:mak", "drv_pack:inn"]
    + [
        "drv_space.deep.inner:make",
        "drv_space.deep.outer:make",
        "drv_broken:make",
        "drv_none:x",
        "json:loads",
        "sys:x_",
    ]
    + ["collections.abc:Mapping", "os.path:join", "itertools:chain", "drv_plain.inner:make"],
)
def test_names_found_by_reading_are_those_that_python_finds(folder: Path, factory: str) -> None:
    try:
        check_factory("edge", "camera", factory, str(folder))
        found = True
    except TTError as error:
        assert str(error).startswith(f"component 'camera' of ensemble 'edge' ({factory}): ")
        found = False
    assert found == in_python(factory) or factory == "sys:x_", "only what is surely absent is refused"


def test_nothing_is_run_by_reading(folder: Path) -> None:
    check_factory("edge", "camera", "drv_guarded:make", str(folder))
    assert not (folder / "drv_guarded was run").exists()


def test_a_factory_is_given_the_facts_that_it_asks_for(folder: Path) -> None:
    made = make_driver("edge", "camera", "drv_args:All", folder)
    assert made.given == ["camera", "edge", folder.name, 3, None]
    made = make_driver("edge", "camera", "drv_args:All", folder, env="simulation")
    assert made.given == ["camera", "edge", folder.name, 3, "simulation"]
    made = make_driver("edge", "camera", "drv_args:Own", folder, env="simulation")
    assert made.given == ["front", "recordings"], "a parameter with a default is the factory's own"
    with pytest.raises(TTError, match="asks for 'env': give the parameter a default"):
        make_driver("edge", "camera", "drv_args:wants_env", folder)


def test_the_same_factory_in_simulation_and_on_devices(folder: Path) -> None:
    program = "from ticktalk import *\n@SQify\ndef f(x): return component('camera').given\n"
    (folder / "prog.py").write_text(program + "@GRAPHify\ndef main(trigger): return f(trigger)\n")
    text = FILES["drv_args.py"].replace("level, env]", "level]")
    (folder / "drv_args.py").write_text(text)
    for command in ("simulate", "run"):
        options = ["--component", "runtime-manager.camera=drv_args:All"]
        done = ticktalk(command, "--jsonl", "prog.py", *options)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["value"] == ["camera", "runtime-manager", folder.name, 3]


@pytest.mark.parametrize(
    "command",
    [
        ["ensemble", "edge", "--manager", "127.0.0.1:9", "--component", "camera=drv_plain:Camra"],
        ["manager", "--rx-port", "0", "--component", "camera=drv_plain:Camra"],
    ],
)
def test_a_wrong_factory_is_named_at_the_start(folder: Path, command: list[str]) -> None:
    done = ticktalk(*command)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "(drv_plain:Camra): the module 'drv_plain' has no 'Camra'; did you mean `Camera`?" in done.stderr


def test_a_missing_library_is_told_with_the_extra_that_brings_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho", None)  # as if it were not installed
    (folder / "drv_mqtt.py").write_text("from ticktalk.connect.mqtt import Mqtt\n")
    monkeypatch.delitem(sys.modules, "ticktalk.connect.mqtt", raising=False)
    with pytest.raises(TTError, match=r"ModuleNotFoundError: .*; install it there: pip install 'ticktalk\[mqtt\]'"):
        make_driver("car", "out", "drv_mqtt:Mqtt", folder)


def test_the_extras_that_are_told_are_those_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    assert {*EXTRAS.values()} <= {*project["optional-dependencies"]}
