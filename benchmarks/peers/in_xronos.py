"""The programs in xronos: reactors in Python on a C++ core; its fast mode does not wait for the clock."""

import time
from datetime import timedelta

import xronos

from benchmarks.peers.ran import ran

MILLISECOND = timedelta(milliseconds=1)


class Stopwatch(xronos.Reactor):
    """Reads the clocks at startup and at shutdown, with everything assembled."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    def read(self):
        self.times.append((time.perf_counter(), time.process_time()))

    @xronos.reaction
    def begin(self, ctx):
        ctx.add_trigger(self.startup)
        return self.read

    @xronos.reaction
    def end(self, ctx):
        ctx.add_trigger(self.shutdown)
        return self.read


class Source(xronos.Reactor):
    timer = xronos.PeriodicTimerDeclaration(MILLISECOND)
    out = xronos.OutputPortDeclaration[int]()

    def __init__(self, period, value):
        super().__init__()
        self.timer.period = self.timer.offset = period
        self.value = value

    @xronos.reaction
    def on_timer(self, ctx):
        ctx.add_trigger(self.timer)
        out = ctx.add_effect(self.out)
        value = self.value

        def handler():
            ran()
            out.set(value)

        return handler


class Fuse(xronos.Reactor):
    a = xronos.InputPortDeclaration[int]()
    b = xronos.InputPortDeclaration[int]()
    out = xronos.OutputPortDeclaration[int]()

    @xronos.reaction
    def on_inputs(self, ctx):
        a = ctx.add_trigger(self.a)
        b = ctx.add_trigger(self.b)
        out = ctx.add_effect(self.out)

        def handler():
            ran()
            out.set(a.get() + b.get())

        return handler


class Branch(xronos.Reactor):
    x = xronos.InputPortDeclaration[int]()
    out = xronos.OutputPortDeclaration[int]()

    def __init__(self, k):
        super().__init__()
        self.k = k

    @xronos.reaction
    def on_input(self, ctx):
        x = ctx.add_trigger(self.x)
        out = ctx.add_effect(self.out)
        k = self.k

        def handler():
            ran()
            out.set(x.get() + k)

        return handler


class FuseAll(xronos.Reactor):
    out = xronos.OutputPortDeclaration[int]()
    for _k in range(50):
        vars()[f"x{_k}"] = xronos.InputPortDeclaration[int]()

    @xronos.reaction
    def on_inputs(self, ctx):
        xs = [ctx.add_trigger(getattr(self, f"x{k}")) for k in range(50)]
        out = ctx.add_effect(self.out)

        def handler():
            ran()
            out.set(sum([x.get() for x in xs]))

        return handler


class Mean(xronos.Reactor):
    x = xronos.InputPortDeclaration[int]()
    out = xronos.OutputPortDeclaration[float]()

    def __init__(self):
        super().__init__()
        self.count = 0
        self.total = 0

    @xronos.reaction
    def on_input(self, ctx):
        x = ctx.add_trigger(self.x)
        out = ctx.add_effect(self.out)

        def handler():
            ran()
            self.count += 1
            self.total += x.get()
            out.set(self.total / self.count)

        return handler


class Sink(xronos.Reactor):
    x = xronos.InputPortDeclaration[int]()

    @xronos.reaction
    def on_input(self, ctx):
        x = ctx.add_trigger(self.x)

        def handler():
            ran()
            x.get()

        return handler


def fusion(env):
    left = env.create_reactor("left", Source, MILLISECOND, 1)
    right = env.create_reactor("right", Source, MILLISECOND, 2)
    fuse = env.create_reactor("fuse", Fuse)
    sink = env.create_reactor("sink", Sink)
    env.connect(left.out, fuse.a)
    env.connect(right.out, fuse.b)
    env.connect(fuse.out, sink.x)


def pipeline(env):
    out = env.create_reactor("source", Source, MILLISECOND, 1).out
    for number in range(20):
        stage = env.create_reactor(f"stage{number}", Branch, 1)
        env.connect(out, stage.x)
        out = stage.out
    env.connect(out, env.create_reactor("sink", Sink).x)


def fan_out(env):
    source = env.create_reactor("source", Source, MILLISECOND, 1)
    fuse = env.create_reactor("fuse", FuseAll)
    for k in range(50):
        branch = env.create_reactor(f"branch{k}", Branch, k)
        env.connect(source.out, branch.x)
        env.connect(branch.out, getattr(fuse, f"x{k}"))
    env.connect(fuse.out, env.create_reactor("sink", Sink).x)


def average(env):
    source = env.create_reactor("source", Source, MILLISECOND, 3)
    mean = env.create_reactor("mean", Mean)
    env.connect(source.out, mean.x)
    env.connect(mean.out, env.create_reactor("sink", Sink).x)


def sparse(env):
    for i in range(1000):
        source = env.create_reactor(f"source{i}", Source, timedelta(microseconds=10_000 + 37 * i), 1)
        env.connect(source.out, env.create_reactor(f"sink{i}", Sink).x)


PROGRAMS = {"fusion": fusion, "pipeline": pipeline, "fan-out": fan_out, "average": average, "sparse": sparse}


def run(program: str, microseconds: int) -> tuple[float, float]:
    """Seconds by the wall clock and of processor time that so much simulated time takes."""
    times: list[tuple[float, float]] = []
    env = xronos.Environment(fast=True, timeout=timedelta(microseconds=microseconds))
    env.create_reactor("stopwatch", Stopwatch, times)
    PROGRAMS[program](env)
    env.execute()
    (began, began_cpu), (ended, ended_cpu) = times
    return ended - began, ended_cpu - began_cpu
