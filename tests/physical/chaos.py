"""Ensembles are killed, started again, drained and stood still at random while graphs run; then all must be well.

`make test` runs it for half a minute with two small graphs (`test_chaos.py`). `make soak` runs it for an hour with 40
SQs on eight ensembles (`soak.py`). The same seed asks for the same events at the same times; their effects depend on
the machine.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from systems import HEAD, LIMIT, NUMBERS, Process, System, begun, children, kill, until

from ticktalk.errors import TTRuntimeError
from ticktalk.physical.manager_node import in_loop

LEFT = (
    NUMBERS
    + """
@SQify
def total(x):
    global sq_state
    sq_state["seen"] = sq_state.get("seen", 0) + 1
    return [x, sq_state["seen"]]
@SQify
def both(x, y):
    return [x, y]
@SQify
def same(x):
    return x
@GRAPHify
def main(trigger):
    s = src(trigger, TTPeriod=100000)
    with TTConstraint(name=["b", "c"]):
        summed = total(s)
    with TTConstraint(name="a"):
        kept = same(s)
    return both(kept, summed)
"""
)
"""A diamond: two SQs that move freely, one that two may host, one that only `a` may."""

RIGHT = (
    HEAD
    + """
@STREAMify
def sample(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def smooth(x):
    global sq_state
    sq_state["seen"] = sq_state.get("seen", 0) + 1
    return [x, sq_state["seen"]]
@SQify
def show(x):
    return x
@GRAPHify
def main(trigger):
    with TTConstraint(components=["sensor"]):
        s = sample(trigger, TTPeriod=50000)
    shown = show(smooth(s))
    with TTConstraint(name="runtime-manager"):
        return show(shown)
"""
)
"""A line from the ensemble with the sensor to the manager's own ensemble."""


class World(NamedTuple):
    """The system to which things happen.

    Attributes:
        ensembles: by name, their components.
        programs: by name of the graph, its text. The first part of each output is the number of a stream's value.
        sinks: the SQs that give outputs, as (graph, SQ).
        pause: seconds between two faults, at least and at most.
    """

    ensembles: dict[str, list[str]]
    programs: dict[str, str]
    sinks: list[tuple[str, str]]
    pause: tuple[float, float] = (0.3, 2.5)


SMALL = World(
    {"a": [], "b": [], "c": ["sensor"], "d": ["sensor"]},
    {"left": LEFT, "right": RIGHT},
    [("left", "both-1"), ("right", "show-2")],
)


class Errors(logging.Handler):
    """The faults that the manager's own process logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))


class Chaos:
    """A system to which things happen.

    Args:
        seed: of the events.
        folder: for the views of ensembles.
        world: the system.
        look: called twenty times a second while things happen.
    """

    def __init__(
        self, seed: int, folder: Path, world: World = SMALL, look: Callable[[Chaos], None] = lambda chaos: None
    ) -> None:
        self._chance = random.Random(seed)
        self._folder = folder
        self._world = world
        self._look = look
        self._down: dict[str, float] = {}  # when it is to be started again
        self._still: dict[str, float] = {}  # when it is to go on
        self._drains: list[threading.Thread] = []
        self._drained: set[str] = set()
        self._ended: list[tuple[str, Process]] = []
        self._families: set[tuple[int, str]] = set()  # with when each began: numbers come again
        self._highest: Counter[tuple[str, str, str]] = Counter()
        self.happened: Counter[str] = Counter()
        self.latest = "no fault"  # the latest fault: its kind
        self.story: list[str] = []
        self.errors = Errors()
        self._began = time.monotonic()
        logging.getLogger("ticktalk").addHandler(self.errors)
        self.system = System()
        for name in world.ensembles:
            self._begin(name)
        assert self.system.manager.wait_for_ensembles(world.ensembles, LIMIT) == []
        for name, text in world.programs.items():
            self.system.manager.execute_graph(self.system.deploy(text, name))

    def run(self, seconds: float) -> None:
        """Let things happen for some time, then see that all is well."""
        self.flows()
        self.consistent()
        before = self._resources()
        end = time.monotonic() + seconds
        following = time.monotonic()
        told = time.monotonic() + 60
        while time.monotonic() < end:
            now = time.monotonic()
            for name in [name for name, at in self._down.items() if at <= now]:
                del self._down[name]
                self._begin(name)
            for name in [name for name, at in self._still.items() if at <= now]:
                self._go_on(name)
            if now >= following:
                self._something()
                following = now + self._chance.uniform(*self._world.pause)
            if now >= told:
                told += 60
                print(f"{seconds - (end - now):.0f} s: {dict(self.happened)}", file=sys.stderr, flush=True)
            self._counters_grow()
            self._no_errors()
            self._look(self)
            self.system.outputs[:-1000] = []
            time.sleep(0.05)
        self._calm()
        self.consistent()
        self.flows()
        self._nothing_is_lost_now()
        self._no_errors()
        self._nothing_is_kept_open(before)

    def end(self) -> None:
        """End the system; nothing of it is left."""
        logging.getLogger("ticktalk").removeHandler(self.errors)
        for name in list(self._still):
            self._go_on(name)
        for process in self.system.ensembles.values():
            self._families |= begun(process.family())
        self.system.end()
        until(lambda: not begun({pid for pid, _ in self._families}) & self._families, "no process is left")

    # Events.

    def _something(self) -> None:
        up = [name for name in self._world.ensembles if name not in self._down and name not in self._still]
        up = [name for name in up if name not in self._drained]
        what = self._chance.choice(["kill", "kill", "drain", "drain", "still", "still", "worker", "interrupt"])
        name = self._chance.choice(sorted(self._world.ensembles))
        long = self._chance.uniform(0.2, 4.0)
        if name not in up or len(up) < 2 or "joined" not in self.system.ensembles[name].said:
            return
        self.happened[what] += 1
        self.latest = what
        self._tell(f"{what} {name} ({long:.1f})")
        process = self.system.ensembles[name]
        if what == "still":
            self._still[name] = time.monotonic() + long
            process.popen.send_signal(signal.SIGSTOP)
        elif what == "worker":
            for worker in children(process.popen.pid):
                kill(worker)
        elif what == "drain":
            self._drained.add(name)
            thread = threading.Thread(target=self._drain, args=(name, process, long))
            self._drains.append(thread)
            thread.start()
        else:
            self._families |= begun(process.family())
            process.popen.send_signal(signal.SIGKILL if what == "kill" else signal.SIGINT)
            self._gone(name, process, long)

    def _drain(self, name: str, process: Process, long: float) -> None:
        family = begun(process.family())
        try:
            self.system.manager.drain(name)
        except TTRuntimeError as error:
            self._tell(f"{name} is not drained: {str(error).splitlines()[0]}")
        else:
            self._tell(f"{name} is drained")
            self._families |= family
            assert process.wait() == 0
            self._gone(name, process, long)
        self._drained.discard(name)

    def _gone(self, name: str, process: Process, long: float) -> None:
        self._ended.append((name, process))
        self._down[name] = time.monotonic() + long

    def _begin(self, name: str) -> None:
        options = [word for component in self._world.ensembles[name] for word in ("--component", component)]
        if sorted(self._world.ensembles).index(name) % 2:
            options += ["--workers", "2"]  # so that there are bodies whose worker can be killed, and others at home
        self.system.begin(name, *options, view=self._folder / f"{name}.json")
        self._tell(f"begin {name}")

    def _go_on(self, name: str) -> None:
        del self._still[name]
        self.system.ensembles[name].popen.send_signal(signal.SIGCONT)
        self._tell(f"go on {name}")

    def _calm(self) -> None:
        """Ensembles that are down start, those that stand still go on, drains end."""
        for thread in self._drains:
            thread.join(LIMIT)
            assert not thread.is_alive(), "a drain does not end"
        for name in list(self._still):
            self._go_on(name)
        for name in list(self._down):
            del self._down[name]
            self._begin(name)

    def _tell(self, text: str) -> None:
        self.story.append(f"{time.monotonic() - self._began:.1f}: {text}")

    # Checks.

    def consistent(self) -> None:
        """Every SQ lives on exactly one ensemble, where the manager says, and nothing is suspended."""
        last: list[Any] = []

        def well() -> bool:
            manager = self.system.manager
            gone = [name for name, process in self.system.ensembles.items() if process.popen.poll() is not None]
            last[:] = ["ended", gone] if gone else ["joined", manager.ensembles]
            if gone or set(manager.ensembles) != {*self._world.ensembles, "runtime-manager"}:
                return False
            mapping = {entry["name"]: entry["mapping"] for entry in manager.status()["graphs"]}
            found: dict[str, list[str]] = {}
            for name, here in self._views().items():
                for context, sqs in here.items():
                    graph = context.split()[0]
                    if sqs["suspended"]:
                        last[:] = ["suspended", name, sqs]
                        return False
                    for sq in sqs["runs"]:
                        found.setdefault(f"{graph} {sq}", []).append(name)
            wanted = {f"{graph} {sq}": [host] for graph, hosts in mapping.items() for sq, host in hosts.items()}
            last[:] = ["found and wanted", found, wanted]
            return found == wanted and all(hosts for hosts in mapping.values())

        try:
            until(well, "every SQ lives on one ensemble")
        except AssertionError:
            raise AssertionError(f"not consistent: {last}") from None

    def _views(self) -> dict[str, Any]:
        views = {name: process.view()["here"] for name, process in self.system.ensembles.items()}
        node = self.system.manager._handle.node

        def own() -> dict[str, Any]:
            return {
                f"{graph} {number}": {"runs": sorted(set(context.syncs) - context.held), "suspended": []}
                for (graph, number), context in node.host.contexts.items()
            }

        return {**views, "runtime-manager": in_loop(node, own)}

    def flows(self) -> None:
        """Outputs of every graph come."""
        seen = len(self.system.outputs)

        def come() -> bool:
            sinks = Counter((token.graph, token.sq) for token in list(self.system.outputs)[seen:])
            return all(sinks[sink] >= 10 for sink in self._world.sinks)

        until(come, "outputs of every graph come")

    def _nothing_is_lost_now(self) -> None:
        """While nothing happens, every value of a stream comes through, once."""
        seen, before = len(self.system.outputs), self.counts()
        until(lambda: len(self.system.outputs) > seen + 30 * len(self._world.sinks), "it runs on")
        for sink in self._world.sinks:
            values = [token.value for token in list(self.system.outputs)[seen:] if (token.graph, token.sq) == sink]
            numbers = [value[0] for value in values]
            assert len(numbers) > 5 and numbers == list(range(numbers[0], numbers[0] + len(numbers))), values
        changed = {key: count for key, count in self.counts().items() if count != before[key]}
        # A machine that is busy with others may have a stream start late.
        assert not [key for key in changed if key[2] not in ("late_starts", "skipped")], changed

    def counts(self) -> Counter[tuple[str, str, str]]:
        """By graph, SQ and kind, what was counted."""
        found: Counter[tuple[str, str, str]] = Counter()
        for graph in self._world.programs:
            for sq, kinds in self.system.manager.counters(graph).items():
                for kind, count in kinds.items():
                    found[graph, sq, kind] = count
        return found

    def _counters_grow(self) -> None:
        """Counts stay, whether their ensemble is gone or back."""
        counts = self.counts()
        for key, count in self._highest.items():
            assert counts[key] >= count, f"{key} was {count} and is {counts[key]}"
        self._highest = counts

    def _no_errors(self) -> None:
        assert not self.errors.said, self.errors.said
        assert not self.system.errors, self.system.errors
        for name, process in (*self._ended, *self.system.ensembles.items()):
            bad = [line for line in process.err if "Traceback" in line or "Error" in line or "error in the" in line]
            assert not bad, (name, process.said)

    def _resources(self) -> dict[str, Any]:
        """The sizes that may not grow: of the manager's process (this one), and of every ensemble."""
        graphs = list(self.system.manager.process.state.graphs.values())
        # Python lists a thread of Zenoh for good, once it has logged something, as "Dummy-".
        names = [thread.name for thread in threading.enumerate()]
        threads = [name for name in names if not (name.endswith("(_read)") or name.startswith("Dummy-"))]
        keep_time = [name for name in threads if name in ("ticktalk runtime-manager", "ticktalk time")]
        return {
            "descriptors": len(os.listdir("/proc/self/fd")) - 2 * len(self.system.ensembles),
            "threads": len(threads) - len(keep_time),
            "keep time": len(keep_time),
            "workers": [len(children(process.popen.pid)) for process in self.system.ensembles.values()],
            "ensembles": [process.view()["descriptors"] for process in self.system.ensembles.values()],
            "moves": sum((graph.move is not None) + len(graph.preparing) for graph in graphs),
        }

    def _nothing_is_kept_open(self, before: dict[str, Any]) -> None:
        now: dict[str, Any] = {}

        def few_more() -> bool:
            now.update(self._resources())
            return self._few_more(before, now)

        try:
            until(few_more, "nothing is kept open")
        except AssertionError:
            raise AssertionError(f"more is kept open than before: {before}; now: {now}") from None

    @staticmethod
    def _few_more(before: dict[str, Any], now: dict[str, Any]) -> bool:
        return (
            now["descriptors"] <= before["descriptors"] + 2
            and now["threads"] <= before["threads"]
            # The timekeeper, two threads that stand by, and the first one, which waits for the end once it was held up.
            and now["keep time"] <= 4
            and max(now["workers"]) <= 2
            and max(now["ensembles"]) <= max(before["ensembles"]) + 8
            and not now["moves"]
        )


def run(seconds: float, seed: int, world: World = SMALL, look: Callable[[Chaos], None] = lambda chaos: None) -> Chaos:
    """Chaos for some seconds; raises AssertionError when something is not as it must be."""
    with tempfile.TemporaryDirectory() as folder:
        chaos = Chaos(seed, Path(folder), world, look)
        try:
            chaos.run(seconds)
        except BaseException:
            print("\n".join([f"seed {seed}", *chaos.story, *chaos.system.events]), file=sys.stderr)
            for name, process in chaos.system.ensembles.items():
                print(f"--- {name}\n{process.said}", file=sys.stderr)
            raise
        finally:
            chaos.end()
    return chaos
