"""The dashboard in a real browser: a running system of three ensembles, and a graph of 2,000 SQs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import simpy
from systems import Process, until

from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.language.compiler import compile_source
from ticktalk.web.server import Dashboard

sync_api = pytest.importorskip("playwright.sync_api")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

ENSEMBLES = ("car-a", "car-b", "rsu")

PROGRAM = """
import time
from ticktalk import *

@STREAMify
def camera(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@STREAMify
def radar(trigger):
    return 0.5

@SQify
def think(n):
    if n % 10 == 5:
        time.sleep(0.15)
    return n

@SQify
def nothing():
    return -1

@SQify
def fuse(a, b):
    if a % 10 == 3:
        raise ValueError("<img src=http://elsewhere.example/x>")
    return a + b

@GRAPHify
def main(trigger):
    with TTClock.root() as clock:
        with TTConstraint(name="car-a"):
            tag, a = camera(trigger, TTClock=clock, TTPeriod=100000, TTPhase=0, TTDataIntervalWidth=50000)
            thought = think(a)
            due = READ_TTCLOCK(tag) + 60000
            checked = TTFinishByOtherwise(thought, TTTimeDeadline=due, TTPlanB=nothing(), TTWillContinue=True)
        with TTConstraint(name="car-b"):
            b = radar(trigger, TTClock=clock, TTPeriod=100000, TTPhase=0, TTDataIntervalWidth=50000)
        with TTConstraint(name="rsu"):
            fused = fuse(a, b)
        return checked, fused
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        # As root, as in a container, Chromium has no sandbox of its own.
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=flags)
        yield chromium
        chromium.close()


class Page:
    """A page, and all that it complained of or asked other servers for."""

    def __init__(self, browser: Any, address: str, width: int = 1600, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.faults: list[str] = []
        own = re.match(r"http://([^/]+)/", address)
        assert own is not None

        def asked(request: Any) -> None:
            if not request.url.startswith((f"http://{own[1]}/", "data:")):
                self.faults.append(f"asks for {request.url}")

        self.page.on("request", asked)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        self.page.goto(address)

    def number(self, selector: str) -> float:
        found = re.search(r"-?\d+(\.\d+)?", self.page.locator(selector).first.text_content() or "")
        return float(found[0]) if found else 0.0

    def answer(self, yes: bool = True) -> None:
        self.page.click("#ask-yes" if yes else "#ask-no")


@pytest.fixture
def system(tmp_path: Path) -> Iterator[tuple[str, dict[str, Process]]]:
    """A manager with a dashboard, three ensembles, and the program as a file: the address, and the processes."""
    (tmp_path / "town.py").write_text(PROGRAM)
    manager = Process("manager", "--rx-port", "0", "--web", "0", cwd=tmp_path)
    ensembles: dict[str, Process] = {}
    try:
        address = until(lambda: re.search(r"dashboard is at (\S+)", manager.said), "the dashboard has an address")[1]
        listens = until(lambda: re.search(r"listens at (\S+)", manager.said), "the manager listens")[1]
        for name in ENSEMBLES:
            ensembles[name] = Process("ensemble", name, "--manager", listens, cwd=tmp_path)
        until(lambda: all("joined" in ensemble.said for ensemble in ensembles.values()), "all join")
        yield address, ensembles
    finally:
        for process in (*ensembles.values(), manager):
            process.end()


def test_a_running_system_is_seen_and_changed(browser: Any, system: Any, tmp_path: Path) -> None:
    address, ensembles = system
    shown = Page(browser, address)
    page = shown.page
    page.wait_for_selector('[data-ensemble="rsu"]')
    page.click("#deploy")
    page.set_input_files("#ask input[type=file]", str(tmp_path / "town.py"))
    shown.answer()
    page.wait_for_selector("text=town is ready")
    page.wait_for_selector('#canvas .sq[data-sq="fuse-1"]')
    assert sorted(frame.get_attribute("data-host") for frame in page.locator("#canvas .host").all()) == list(ENSEMBLES)
    page.click("#start")
    shown.answer()
    page.wait_for_selector("text=town starts")

    # Numbers that move, errors, deadlines that are missed, streams.
    first = until(lambda: shown.number("#summary"), "outputs are counted")
    until(lambda: shown.number("#summary") > first, "the count grows")
    page.wait_for_selector("#canvas .sq.failing[data-sq=fuse-1]")
    page.wait_for_selector("#canvas .sq.missed")
    page.wait_for_selector("#canvas .arc.flows[data-from=camera-1][data-to=fuse-1]")
    rate = page.locator('#canvas .sq[data-sq="radar-1"] text.rate')
    until(lambda: re.fullmatch(r"\d+\.\d tokens/s", rate.text_content() or ""), "the rate of a stream is shown")
    page.wait_for_selector("#errors details")
    assert "<img src=http://elsewhere.example/x>" in page.locator("#errors summary").first.text_content()
    page.wait_for_selector("#streams figure")
    assert re.match(
        r"town/\S+: \d+ outputs, the latest", page.locator("#streams canvas").first.get_attribute("aria-label")
    )
    page.click('#canvas .sq[data-sq="camera-1"]')
    page.wait_for_selector("#chosen-facts >> text=car-a")

    # A stream is changed, and what is not possible is said.
    page.click("#set")
    page.fill("#ask-fields input", "250ms")
    shown.answer()
    page.wait_for_selector("text=camera-1: period=250ms")
    page.click("#set")
    page.fill("#ask-fields input", "3")
    page.press("#ask-fields input", "Enter")
    page.wait_for_selector("#told.wrong >> text='3' is no duration")

    # The time slider shows how it was, and the present again.
    page.evaluate("document.getElementById('time').value = 1; document.getElementById('time').oninput()")
    page.wait_for_selector("text=(past)")
    past = shown.number("#summary")
    page.click("#now")
    until(lambda: shown.number("#summary") > past, "the present is shown again")

    # An ensemble that is killed turns red.
    for pid in ensembles["car-b"].family():
        os.kill(pid, signal.SIGKILL)
    page.wait_for_selector('.ensemble.gone[data-ensemble="car-b"]')

    # Another one is drained, and the graph ends.
    page.click('[data-ensemble="rsu"] button')
    shown.answer(yes=False)
    page.click("#stop")
    shown.answer()
    page.wait_for_selector("text=town is stopped")
    page.wait_for_selector("text=no graph is deployed")
    page.click('[data-ensemble="rsu"] button')
    shown.answer()
    page.wait_for_selector("text=rsu is drained")
    refused = [fault for fault in shown.faults if "400 (Bad Request)" in fault]
    assert len(refused) == 1 and shown.faults == refused, "the browser notes the period that was refused, and no more"


def many(count: int) -> str:
    lines = [
        "from ticktalk import *",
        "@STREAMify\ndef sample(trigger):\n    return 1",
        "@SQify\ndef add(x):\n    return x + 1",
        "@GRAPHify\ndef main(trigger):\n    with TTClock.root() as clock:",
        "        x0 = sample(trigger, TTClock=clock, TTPeriod=1000000)",
    ]
    # Lines of twenty SQs that begin at the stream: a graph as wide as it is high.
    for index in range(1, count):
        before = 0 if index % 20 == 1 else index - 1
        lines.append(f"        x{index} = add(x{before})")
    return "\n".join([*lines, f"        return x{count - 1}"])


@contextmanager
def dashboard_of(count: int) -> Iterator[str]:
    """The dashboard of a simulation with so many SQs: its address."""
    graph = compile_source(many(count), "many.py", "many")
    env = simpy.Environment()
    with TTRuntimeManagerSim(None, [], env) as manager:
        pages = Dashboard(manager.process.state, None, {}, 0)
        manager.instantiate_and_map_graph(graph)
        manager.execute_graph(graph)
        for second in (1, 2):
            env.run(until=second * 1_000_000)
            pages.look(manager.status())
        try:
            yield pages.address
        finally:
            pages.close()


@pytest.fixture(scope="module")
def simulated() -> Iterator[str]:
    """The dashboard of a simulation with 2,000 SQs: its address."""
    with dashboard_of(2_000) as address:
        yield address


def test_a_click_whose_pointer_slips_a_little_chooses_the_sq(browser: Any) -> None:
    with dashboard_of(20) as address:
        page = Page(browser, address).page
        until(lambda: page.locator("#canvas .sq").count() == 20, "all are drawn")
        box = page.locator("#canvas .sq .box").nth(5).bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 1, y + 1)
        page.mouse.up()
        until(lambda: page.locator("#canvas .sq.chosen").count() == 1, "it is chosen")


STEPS = """([x, y]) => {
    const observer = new MutationObserver(() => {});
    observer.observe(document, { subtree: true, attributes: true, childList: true, characterData: true });
    for (let n = 1; n <= 50; n++) dispatchEvent(new PointerEvent("pointermove", { clientX: x - n, clientY: y - n }));
    return [...new Set(observer.takeRecords().map((each) => each.target.id || each.target.tagName))].sort();
}"""
"""Steps of a drag with nothing between them; gives the elements that they touch."""


def cost_of_a_drag(shown: Page, steps: int = 50) -> list[str]:
    """The elements that a drag touches; the browser lays nothing out, and looks for no SQ under the pointer."""
    page = shown.page
    frame = page.locator("#picture").bounding_box()
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    page.mouse.move(x, y)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def layouts() -> float:
        (found,) = [each for each in session.send("Performance.getMetrics")["metrics"] if each["name"] == "LayoutCount"]
        return float(found["value"])

    page.mouse.down()
    touched: list[str] = page.evaluate(STEPS, [x, y])
    before = layouts()
    for step in range(1, steps + 1):
        page.mouse.move(x - step, y - step)
    assert layouts() - before <= steps / 2, "a look at the system may come meanwhile"
    under = f"document.elementFromPoint({x - steps}, {y - steps}).id"
    assert page.evaluate(under) == "picture", "what lies above is found at once, and no SQ is looked at"
    page.mouse.up()
    # With a transparency of its own, each of thousands of arcs would be a layer at each step.
    assert page.evaluate("getComputedStyle(document.querySelector('#canvas .arc')).opacity") == "1"
    session.detach()
    return touched


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1600, "light")])
def test_two_thousand_sqs_are_drawn_and_move_with_the_pointer(
    browser: Any, simulated: str, width: int, scheme: str
) -> None:
    shown = Page(browser, simulated, width, scheme)
    page = shown.page
    until(lambda: page.locator("#canvas .sq").count() == 2_000, "all are drawn")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out sideways"
    assert cost_of_a_drag(shown) == ["canvas", "picture"], "no other element is touched"
    before = page.evaluate("document.getElementById('canvas').style.transform")
    frame = page.locator("#picture").bounding_box()
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y - 40, steps=5)
    page.mouse.up()
    moved = page.evaluate("document.getElementById('canvas').style.transform")
    page.mouse.wheel(0, -300)
    until(lambda: page.evaluate("document.getElementById('canvas').style.transform") != moved, "the wheel zooms")
    assert moved != before
    # A drag that begins at a text selects none: to look for the text between two points takes long.
    text = page.locator("#canvas .sq text").first.bounding_box()
    page.mouse.move(text["x"] + 2, text["y"] + text["height"] / 2)
    page.mouse.down()
    page.mouse.move(x, y, steps=5)
    page.mouse.up()
    assert page.evaluate("getSelection().toString()") == ""
    # Shown whole, it is laid out as small as it is seen, so that what the browser paints and moves is no larger.
    page.click("#fit")
    size = "JSON.stringify(document.querySelector('#canvas svg').getBoundingClientRect())"
    laid = "getComputedStyle(document.querySelector('#canvas svg')).height"
    until(lambda: float(page.evaluate(laid)[:-2]) < frame["height"] + 1, "it is laid out anew")
    assert json.loads(page.evaluate(size))["height"] < frame["height"] + 1
    assert page.evaluate("getComputedStyle(document.querySelector('#canvas text')).display") == "none"
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 300) == (scheme == "dark")
    assert page.locator("#start").is_hidden(), "a simulation takes no requests"
    assert page.locator("#sqs tr").count() == 500, "the picture has its text, as far as anybody would read"
    assert shown.faults == []
    shown.context.close()


def test_a_page_shows_each_graph_takes_each_click_and_no_output_twice(browser: Any) -> None:
    program = (
        "from ticktalk import *\n@STREAMify\ndef sample(trigger):\n    return 1\n"
        "@GRAPHify\ndef main(trigger):\n    return sample(trigger, TTPeriod=1000, TTPhase=0)\n"
    )
    env = simpy.Environment()
    with TTRuntimeManagerSim(None, [TTEnsemble(None, "edge")], env) as manager:
        pages = Dashboard(manager.process.state, None, {"drain": lambda asked: "no"}, 0)
        manager.on_output(pages.output, notes=True)
        for name in ("narrow", "wide"):
            manager.instantiate_and_map_graph(compile_source(program, f"{name}.py", name))
            manager.execute_graph(name)
        env.run(until=20_000)
        pages.look(manager.status())
        try:
            shown = Page(browser, pages.address)
            page = shown.page
            page.wait_for_selector("#streams figure")
            counts = "[...points.values()].map((row) => row.length).join()"
            before = page.evaluate(counts)
            page.evaluate("connect()")  # as after a pause in which nobody answered
            page.wait_for_timeout(300)
            assert page.evaluate(counts) == before

            # Eight states have a level each. Of more it is only shown when they came.
            ys = page.evaluate(
                "() => [8, 9].map((many) => { const ys = [], drawn = { scale() {}, fillRect: (x, y) => ys.push(y) };"
                " plot({ clientWidth: 300, clientHeight: 72, getContext: () => drawn },"
                " [...Array(many).keys()].map((n) => [n, null, `state ${n}`])); return ys; })"
            )
            assert ys[0] == sorted(set(ys[0])) and len(ys[0]) == 8
            assert len(set(ys[1])) == 1

            page.evaluate("for (let n = 2; n < 40; n++) points.set(`wide/sample-${n}`, [[1, 1, '1']])")
            for name, streams in (("wide", 24), ("narrow", 1)):
                page.select_option("#graphs", name)
                assert page.locator("#streams figure:not([hidden])").count() == streams

            x, y, width, height = page.locator('[data-ensemble="edge"] button').bounding_box().values()
            page.mouse.move(x + width / 2, y + height / 2)
            page.mouse.down()
            pages.look(manager.status())
            until(lambda: page.evaluate("looks.length") == 2, "another look is shown")
            page.mouse.up()
            page.wait_for_selector("#ask[open] >> text=Drain edge?")
            assert shown.faults == []
            shown.context.close()
        finally:
            pages.close()
