"""The Python modules that a body needs: which imports count, and that no SQ goes where one is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ticktalk.errors import TTMappingError
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.needed_modules import needed_modules
from ticktalk.language.compiler import compile_program
from ticktalk.mapping.deployment_file import EnsembleSpec, parse_deployment
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.mapping.heft import heft
from ticktalk.mapping.mapper import TTMapper
from ticktalk.mapping.schedule import MappingProblem


def compiled(folder: Path, module: str, body: str = "return x", **beside: str) -> TTGraph:
    for name, source in beside.items():
        (folder / f"{name}.py").write_text(source)
    text = f"from ticktalk import *\n{module}\n@SQify\ndef f(x):\n    {body}\n@SQify\ndef g(x):\n    return x\n"
    (folder / "prog.py").write_text(text + "@GRAPHify\ndef main(trigger):\n    return g(f(trigger))\n")
    return compile_program(str(folder / "prog.py"))


@pytest.mark.parametrize(
    ("module", "body", "needs"),
    [
        ("import cv2", "return cv2.x", {"cv2"}),
        ("import cv2 as c, os.path", "return c.x, os", {"cv2"}),
        ("from a.b import c", "return c", {"a"}),
        ("import cv2\ndef helper(x):\n    return cv2.x", "return helper(x)", {"cv2"}),
        ("", "import cv2, json\n    return cv2", {"cv2"}),
        ("import cv2", "return x", set()),  # not used, so it does not travel
        ("try:\n    import cv2\nexcept ImportError:\n    cv2 = None", "return cv2", set()),
        ("import sys\nif sys.platform == 'x':\n    import cv2", "return cv2", set()),
        ("", "try:\n        import cv2\n    except ImportError:\n        pass\n    return x", set()),
        ("", "if x:\n        import cv2\n    return x", set()),
        ("", "if x:\n        return 1\n    import cv2\n    return cv2", set()),
        ("def helper():\n    import cv2", "helper()\n    return x", set()),
        ("import beside", "return beside.x", {"cv2"}),
        ("from beside import x as y", "return y", {"cv2"}),
        ("import lazy", "return lazy.x", set()),
        ("N = 1", "import prog\n    return prog.N", set()),
        ("import back\nN = 1", "return back.x", set()),
        ("import numpy", "import ticktalk\n    return numpy", {"numpy"}),
    ],
)
def test_only_imports_that_are_sure_to_run_count(tmp_path: Path, module: str, body: str, needs: set[str]) -> None:
    beside = {
        "beside": "import further\nx = 1\n",
        "further": "import cv2\nimport beside\n",
        "lazy": "def x():\n    import cv2\n",
        "back": "import prog\nx = 1\n",
    }
    graph = compiled(tmp_path, module, body, **beside)
    assert needed_modules(graph) == ({"f": needs} if needs else {})
    # The graph file says it, too: nothing else is looked at.
    assert needed_modules(TTGraph.from_json(graph.to_json())) == needed_modules(graph)


def test_no_sq_goes_where_a_module_is_missing(tmp_path: Path) -> None:
    graph = compiled(tmp_path, "import cv2, numpy", "return cv2, numpy")
    without, untold = EnsembleInfo("without", modules=["numpy"]), EnsembleInfo("untold")
    both = EnsembleInfo("both", modules=["cv2", "numpy"])
    assert TTMapper([without, both, untold]).map(graph) == {"f-1": "both", "g-1": "without"}
    assert TTMapper([without, untold]).map(graph)["f-1"] == "untold"
    with pytest.raises(TTMappingError) as error:
        TTMapper([without]).map(graph)
    assert "f-1 (line 11) wants the module 'cv2' and the module 'numpy'" in str(error.value)
    assert "'without' has no Python module 'cv2'" in str(error.value)
    with pytest.raises(TTMappingError, match="f-1: 'without' has no Python module 'cv2'"):
        TTMapper([without, both]).check(graph, {"f-1": "without", "g-1": "both"})


def test_heft_keeps_to_the_modules_of_the_deployment_file(tmp_path: Path) -> None:
    graph = compiled(tmp_path, "import cv2", "return cv2")
    text = "ensembles:\n- {name: fast, speed: 9, modules: [numpy]}\n- {name: bare, modules: []}\n"
    text += "- {name: slow, modules: [cv2]}\n"
    deployment = parse_deployment(text + "costs: {f: {time: 1ms}, g: {time: 9ms}}")
    assert deployment.ensembles[:2] == (
        EnsembleSpec("fast", speed=deployment.ensembles[0].speed, modules=("numpy",)),
        EnsembleSpec("bare", modules=()),
    )
    assert heft(MappingProblem(graph, deployment)).mapping == {"f-1": "slow", "g-1": "fast"}
    with pytest.raises(TTMappingError, match="'bare' has no Python module 'cv2'"):
        heft(MappingProblem(graph, deployment._replace(ensembles=deployment.ensembles[:2])))


def test_a_deadline_and_its_plan_b_go_where_both_can_be(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(
        "from ticktalk import *\nimport cv2\n@SQify\ndef f(x):\n    return x\n@SQify\ndef b():\n    return cv2.x\n"
        "@GRAPHify\ndef main(trigger):\n    with TTClock.root() as root:\n"
        "        late = READ_TTCLOCK(trigger, TTClock=root, delay=5)\n"
        "    return TTFinishByOtherwise(f(trigger), TTTimeDeadline=late, TTPlanB=b())\n"
    )
    graph = compile_program(str(tmp_path / "prog.py"))
    found = TTMapper([EnsembleInfo("without", modules=["os"]), EnsembleInfo("with", modules=["cv2"])]).map(graph)
    assert found["TTFinishByOtherwise-1"] == found["b-1"] == "with"
    assert found["f-1"] == "without"
