"""The mapping of a run: `--deployment`, alone and beside the other options for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from ticktalk.cli.placement import over_joined
from ticktalk.cli.simulate import simulate
from ticktalk.errors import TTError, TTMappingError
from ticktalk.language.compiler import compile_program
from ticktalk.mapping.deployment_file import parse_deployment
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.mapping.mapper import TTMapper
from ticktalk.mapping.mapping_file import parse_mapping

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(simulate)

PROGRAM = """\
from ticktalk import SQify, GRAPHify, TTConstraint
@SQify
def look(x):
    component("camera")
    return x
@SQify
def fuse(x):
    return x
@GRAPHify
def main(trigger):
    return fuse(look(trigger))
"""
DEPLOYMENT = """\
ensembles:
  - {name: slow}
  - {name: edge, components: [camera]}
  - {name: rsu, speed: 4, memory: 10MB}
links:
  - default: {latency: 500us, bandwidth: 1MB/s}
  - {between: [edge, rsu], latency: 1ms}
costs:
  look: {time: 1ms, bytes: 250B}
  fuse: {time: 6ms, bytes: 0, memory: 6MB}
"""
BEST = {"look-1": "edge", "fuse-1": "rsu"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "prog.py").write_text(PROGRAM)
    (tmp_path / "d.yaml").write_text(DEPLOYMENT)
    return tmp_path


def simulated(folder: Path, *options: str) -> Result:
    camera = [] if any(option.startswith("--component") for option in options) else ["--component"]
    camera += ["edge.camera=builtins:list"] if camera else []
    files = [str(folder / "prog.py"), "--deployment", str(folder / "d.yaml"), "--log", str(folder / "log")]
    return CliRunner().invoke(app, [*files, *camera, *options])


def test_the_file_gives_the_ensembles_and_heft_the_mapping(folder: Path) -> None:
    result = simulated(folder)
    assert result.exit_code == 0, result.exception
    assert json.loads((folder / "log").read_text())["ensemble"] == "rsu"


def test_a_mapping_goes_before_heft(folder: Path) -> None:
    (folder / "m.json").write_text(json.dumps(BEST | {"fuse-1": "slow"}))
    assert simulated(folder, "--mapping", str(folder / "m.json")).exit_code == 0
    assert json.loads((folder / "log").read_text())["ensemble"] == "slow"


def test_the_ensemble_of_the_manager_hosts_only_if_it_is_named(folder: Path) -> None:
    (folder / "m.json").write_text(json.dumps(BEST | {"fuse-1": "runtime-manager"}))
    result = simulated(folder, "--mapping", str(folder / "m.json"))
    assert "mapped to 'runtime-manager', which is not in" in str(result.exception)
    (folder / "d.yaml").write_text(DEPLOYMENT.replace("slow", "runtime-manager"))
    assert simulated(folder, "--mapping", str(folder / "m.json")).exit_code == 0


def test_a_mapping_that_needs_too_much_memory_is_refused(folder: Path) -> None:
    (folder / "d.yaml").write_text(DEPLOYMENT.replace("10MB", "5MB"))
    (folder / "m.json").write_text(json.dumps(BEST))
    result = simulated(folder, "--mapping", str(folder / "m.json"))
    assert "m.json:1: error: 'rsu' has 5000000 bytes of memory, but its SQs need 6000000" in str(result.exception)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--ensemble", "a"], "the deployment file says which ensembles"),
        (["--network-delay", "0us"], "the links of the deployment"),
        (["--component", "edg.camera=builtins:list"], "there is no ensemble 'edg' in"),
    ],
)
def test_options_that_contradict_a_deployment_file_are_refused(folder: Path, options: list[str], said: str) -> None:
    result = simulated(folder, *options)
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())


def test_deploy_maps_over_the_ensembles_that_have_joined(folder: Path) -> None:
    graph = compile_program(str(folder / "prog.py"))
    deployment = parse_deployment(DEPLOYMENT, "d.yaml")
    slow, edge, rsu = EnsembleInfo("slow"), EnsembleInfo("edge", components=["camera"]), EnsembleInfo("rsu")
    other = EnsembleInfo("other", components=["camera"])
    assert over_joined(graph, deployment, None, [rsu, edge, other], "m:1") == BEST
    assert over_joined(graph, deployment, None, [slow, edge], "m:1") == {"look-1": "edge", "fuse-1": "edge"}
    with pytest.raises(TTMappingError, match=r"(?s)look-1.*these have not joined: edge \(start one with `ticktalk ens"):
        over_joined(graph, deployment, None, [slow, rsu, other], "m:1")
    with pytest.raises(TTMappingError, match="'edge' has no component 'camera'"):
        over_joined(graph, deployment, None, [slow, EnsembleInfo("edge"), rsu], "m:1")
    with pytest.raises(TTError, match="these have not joined: slow, edge, rsu"):
        over_joined(graph, deployment, None, [other], "m:1")
    made = parse_mapping(json.dumps(BEST), "m.json")
    assert over_joined(graph, deployment, made, [edge, rsu], "m:1") == BEST
    with pytest.raises(TTMappingError, match=r"m\.json:1: error: fuse-1: mapped to 'rsu', which has not joined"):
        over_joined(graph, deployment, made, [slow, edge], "m:1")


def test_a_mapping_to_an_ensemble_that_is_being_drained_is_no_mistyped_name(folder: Path) -> None:
    graph = compile_program(str(folder / "prog.py"))
    infos = [EnsembleInfo("edge-1", components=["camera"]), EnsembleInfo("edge-2", components=["camera"])]
    mapping = {"look-1": "edge-1", "fuse-1": "edge-2"}
    said = r"fuse-1: mapped to 'edge-2', which is being drained \(there are: edge-1\)$"
    with pytest.raises(TTMappingError, match=said):
        TTMapper(infos, drained=["edge-2"]).check(graph, mapping)


def test_simulated_times_equal_the_ones_that_map_predicts(folder: Path) -> None:
    from ticktalk.cli.map import map_command

    planner = typer.Typer(pretty_exceptions_enable=False)
    planner.command()(map_command)
    # The way to the manager is the default link's, so outputs come 500 us after their SQ's end.
    plan = CliRunner().invoke(planner, [str(folder / "prog.py"), "--deployment", str(folder / "d.yaml"), "--json"])
    predicted = json.loads(plan.stdout)
    assert predicted["latency"] == 1_000 + (1_000) + 1_500
    assert simulated(folder).exit_code == 0
    assert json.loads((folder / "log").read_text())["arrival"] == predicted["latency"] + 500
