"""SimPy's kernel alone: one process that waits for one timeout after the other."""

import time

import simpy

from benchmarks.peers.ran import ran


def ticker(env: simpy.Environment, until: int):
    while env.now < until:
        yield env.timeout(1000)
        ran()


def run(program: str, microseconds: int) -> tuple[float, float]:
    """Seconds by the wall clock and of processor time for a timeout every millisecond of so much simulated time."""
    env = simpy.Environment()
    env.process(ticker(env, microseconds))
    began, began_cpu = time.perf_counter(), time.process_time()
    env.run()
    return time.perf_counter() - began, time.process_time() - began_cpu
