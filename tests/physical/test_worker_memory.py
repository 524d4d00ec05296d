"""A worker process that takes more memory than `--worker-memory` is replaced, and what it ran is named."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from systems import NUMBERS, System, until

from ticktalk import TTEnsemble, TTRuntimeManagerPhysical
from ticktalk.cli.arguments import size as size_of
from ticktalk.cli.arguments import worker_memory
from ticktalk.errors import TTRuntimeError
from ticktalk.physical.workers.memory import own_memory

EATS = (
    NUMBERS
    + """
import time
@SQify
def eats(x):
    held = []
    time.sleep(0.03)  # too slow to cross to its worker together with the stream
    while x == 12:
        held.append(bytearray(b"x") * 10_000_000)
        time.sleep(0.01)
    return x
@SQify
def beside(x):
    return x
@GRAPHify
def main(trigger):
    with TTConstraint(name="small"):
        eats(src(trigger, TTPeriod=50000))
    with TTConstraint(name="other"):
        beside(src(trigger, TTPeriod=50000))
"""
)


def test_a_worker_over_its_memory_is_replaced_and_the_firing_is_named() -> None:
    system = System(workers=0)
    try:
        system.begin("small", "--worker-memory", "150MB")
        system.begin("other")
        assert system.manager.wait_for_ensembles(["small", "other"], 30) == []
        graph = system.deploy(EATS, "eats")
        system.manager.execute_graph(graph)
        said = system.event("the worker process (main) of 'small' was ended, because it used")
        used = int(said.partition("it used ")[2].split()[0])
        assert 150 < used < 1500 and "(--worker-memory is 150 MB) while the firing" in said and "eats-1" in said

        def of(sq: str) -> list[int]:
            return [token.value for token in list(system.outputs) if token.sq == sq]

        before = len(of("eats-1"))
        until(lambda: len(of("eats-1")) >= before + 5, "it goes on in the new worker")
        assert of("beside-1") == list(range(1, len(of("beside-1")) + 1))
        assert "150 MB" in system.ensembles["small"].said
        deaths = system.manager.status()["worker_deaths"]
        assert list(deaths) == ["small"] and deaths["small"]["count"] >= 1
    finally:
        system.end()


# In a process of its own: one that has freed much finds room for more without growing.
GROWTH = """
import mmap, os
from ticktalk.physical.workers.memory import own_memory
before = own_memory(os.getpid())
with mmap.mmap(-1, 50_000_000) as shared:  # anonymous, and shared with children
    for at in range(0, 50_000_000, 4096):
        shared[at] = 1
    now = own_memory(os.getpid())
    own = bytearray(b"x") * 50_000_000
    then = own_memory(os.getpid())
print(now - before, then - now)
"""


def test_memory_that_processes_share_does_not_count() -> None:
    done = subprocess.run([sys.executable, "-c", GROWTH], capture_output=True, text=True, timeout=60, check=True)
    shared, own = map(int, done.stdout.split())
    assert shared < 10_000_000 and own > 25_000_000
    assert own_memory(2**22 + 1) == 0


@pytest.mark.parametrize("size", ["much", "1.5", "-3MB"])
def test_a_text_that_is_no_size_is_refused(size: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"--worker-memory '{size}': .* bytes|a size is a number and a unit"):
        size_of(size, "--worker-memory")


@pytest.mark.parametrize(
    ("size", "workers", "said"),
    [
        ("500", 1, r"500 bytes are too few: a worker process takes about 30 MB .*; give 50MB or more"),
        ("49MB", 1, r"49,000,000 bytes are too few"),
        ("500MB", 0, r"it is for worker processes, and with --workers 0 there are none"),
    ],
)
def test_a_limit_that_no_worker_can_have_is_refused_before_anything_starts(size: str, workers: int, said: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"--worker-memory {size}: {said}"):
        worker_memory(size, workers)
    assert worker_memory("0", 0) == 0 and worker_memory("50MB", 1) == 50_000_000
    limit = size_of(size, "--worker-memory")
    with pytest.raises(TTRuntimeError, match=said):
        TTEnsemble(None, "a").run_phy("127.0.0.1:1", workers=workers, worker_memory=limit)
    with pytest.raises(TTRuntimeError, match=said):
        TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=workers, worker_memory=limit)
