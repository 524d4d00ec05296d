"""The programs in csp: a C++ engine that calls nodes written in Python.

A source is a Python node that csp's own timer, which is C++, wakes; in the programs whose name ends in `-alarms` one
that schedules its next alarm itself, which takes twice as long.
"""

import time
from datetime import datetime, timedelta

import csp
from csp import ts

from benchmarks.peers.ran import ran

START = datetime(2020, 1, 1)
MILLISECOND = timedelta(milliseconds=1)


@csp.node
def stopwatch(times: object):
    """Reads the clocks when the engine starts and when it stops, with everything built."""
    with csp.start():
        times.append((time.perf_counter(), time.process_time()))
    with csp.stop():
        times.append((time.perf_counter(), time.process_time()))


@csp.node
def source(timer: ts[bool], value: int) -> ts[int]:
    if csp.ticked(timer):
        ran()
        return value


@csp.node
def alarmed(period: timedelta, value: int) -> ts[int]:
    with csp.alarms():
        alarm = csp.alarm(bool)
    with csp.start():
        csp.schedule_alarm(alarm, period, True)
    if csp.ticked(alarm):
        ran()
        csp.schedule_alarm(alarm, period, True)
        return value


@csp.node
def fuse(a: ts[int], b: ts[int]) -> ts[int]:
    if csp.ticked(a) and csp.ticked(b):
        ran()
        return a + b


@csp.node
def stage(x: ts[int]) -> ts[int]:
    if csp.ticked(x):
        ran()
        return x + 1


@csp.node
def branch(x: ts[int], k: int) -> ts[int]:
    if csp.ticked(x):
        ran()
        return x + k


@csp.node
def fuse_all(xs: [ts[int]]) -> ts[int]:
    if csp.ticked(xs):
        ran()
        return sum(xs.tickedvalues())


@csp.node
def mean(x: ts[int]) -> ts[float]:
    with csp.state():
        s_count = 0
        s_total = 0
    if csp.ticked(x):
        ran()
        s_count += 1
        s_total += x
        return s_total / s_count


@csp.node
def sink(x: ts[int]):
    if csp.ticked(x):
        ran()


@csp.node
def sink_number(x: ts[float]):
    if csp.ticked(x):
        ran()


@csp.node
def sometimes(x: ts[int]) -> ts[int]:
    with csp.state():
        s_n = 0
    if csp.ticked(x):
        ran()
        s_n += 1
        if s_n % 10_000 == 0:
            return s_n


def timed(period: timedelta, value: int):
    return source(csp.timer(period), value)


def fusion(make):
    sink(fuse(make(MILLISECOND, 1), make(MILLISECOND, 2)))


def pipeline(make):
    x = make(MILLISECOND, 1)
    for _ in range(20):
        x = stage(x)
    sink(x)


def fan_out(make):
    x = make(MILLISECOND, 1)
    sink(fuse_all([branch(x, k) for k in range(50)]))


def average(make):
    sink_number(mean(make(MILLISECOND, 3)))


def sparse(make):
    for i in range(1000):
        sink(make(timedelta(microseconds=10_000 + 37 * i), 1))


def heard(make):
    csp.add_graph_output("heard", sometimes(fuse(make(MILLISECOND, 1), make(MILLISECOND, 2))))


def thirds(make):
    sink(fuse(make(MILLISECOND, 1), make(3 * MILLISECOND, 2)))


PROGRAMS = {
    "fusion": fusion,
    "heard": heard,
    "thirds": thirds,
    "pipeline": pipeline,
    "fan-out": fan_out,
    "average": average,
    "sparse": sparse,
}


def run(program: str, microseconds: int) -> tuple[float, float]:
    """Seconds by the wall clock and of processor time that so much simulated time takes."""
    times: list[tuple[float, float]] = []
    name = program.removesuffix("-alarms")

    def graph():
        stopwatch(times)
        PROGRAMS[name](timed if name == program else alarmed)

    built = csp.build_graph(csp.graph(graph), starttime=START, endtime=timedelta(microseconds=microseconds))
    csp.run(built, starttime=START, endtime=timedelta(microseconds=microseconds))
    (began, began_cpu), (ended, ended_cpu) = times
    return ended - began, ended_cpu - began_cpu
