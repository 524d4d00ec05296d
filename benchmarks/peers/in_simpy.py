"""SimPy: its kernel alone, and lean models written by hand for it, with one callback an event and no stores."""

import time
from collections.abc import Callable

import simpy

from benchmarks.peers.ran import ran

BUILT_AFTER = 300_000
"""Microseconds of simulated time that come first, untimed, as on TickTalk: tokens are under way then."""

DELAY = 2000


def ticker(env: simpy.Environment):
    while True:
        yield env.timeout(1000)
        ran()


def rates(env: simpy.Environment) -> None:
    """One process that waits for one timeout after the other."""
    env.process(ticker(env))


def later(env: simpy.Environment, delay: int, call: Callable[[simpy.Event], None], value: object = None) -> None:
    env.timeout(delay, value).callbacks.append(call)


def hosts(env: simpy.Environment) -> None:
    """Two sources, whose samples take a while to where they are fused in order."""
    waiting: tuple[list[int], list[int]] = [], []

    def sample(place: int, value: int) -> Callable[[simpy.Event], None]:
        def arrived(event: simpy.Event) -> None:
            waiting[place].append(event.value)
            if waiting[0] and waiting[1]:
                sink(fuse(waiting[0].pop(), waiting[1].pop()))

        def source(event: simpy.Event) -> None:
            ran()
            later(env, DELAY, arrived, value)
            later(env, 1000, source)

        return source

    later(env, 1000, sample(0, 1))
    later(env, 1000, sample(1, 2))


def costs(env: simpy.Environment) -> None:
    """The same, where bodies take their time on a core of their ensemble."""
    one, two, three = (simpy.Resource(env) for _ in range(3))
    waiting: tuple[list[int], list[int]] = [], []

    def busy(core: simpy.Resource, length: int, body: Callable[[], int | None], done: Callable[[int], None]) -> None:
        request = core.request()

        def begin(event: simpy.Event) -> None:
            value = body()

            def end(event: simpy.Event) -> None:
                core.release(request)
                if value is not None:
                    done(value)

            later(env, length, end)

        request.callbacks.append(begin)

    def arrived(place: int) -> Callable[[simpy.Event], None]:
        def arrive(event: simpy.Event) -> None:
            waiting[place].append(event.value)
            if waiting[0] and waiting[1]:
                a, b = waiting[0].pop(), waiting[1].pop()
                busy(three, 400, lambda: fuse(a, b), fused)

        return arrive

    def fused(value: int) -> None:
        busy(three, 300, lambda: sink(value), fused)

    def sample(core: simpy.Resource, place: int, value: int) -> Callable[[simpy.Event], None]:
        arrive = arrived(place)

        def sent(value: int) -> None:
            later(env, DELAY, arrive, value)

        def source(event: simpy.Event) -> None:
            busy(core, 300, body, sent)
            later(env, 1000, source)

        def body() -> int:
            ran()
            return value

        return source

    later(env, 1000, sample(one, 0, 1))
    later(env, 1000, sample(two, 1, 2))


def deadlines(env: simpy.Environment) -> None:
    """Two sources of different rates; a guess takes the place of a sample that is not there 4 ms after its instant."""
    fast_ones: dict[int, int] = {}
    slow_ones: dict[int, int] = {}
    answered: set[int] = set()
    count = 0

    def fast_arrived(event: simpy.Event) -> None:
        instant, value = event.value
        if instant in slow_ones:
            sink(fuse(slow_ones.pop(instant), value))
        elif instant % 3000 == 0:
            fast_ones[instant] = value

    def slow_arrived(event: simpy.Event) -> None:
        instant, value = event.value
        answered.add(instant)
        if instant in fast_ones:
            sink(fuse(value, fast_ones.pop(instant)))
        else:
            slow_ones[instant] = value

    def due(event: simpy.Event) -> None:
        instant = event.value
        if instant in answered:
            answered.discard(instant)
        else:
            sink(fuse(guess(), fast_ones.pop(instant)))

    def fast(event: simpy.Event) -> None:
        ran()
        later(env, DELAY, fast_arrived, (env.now, 2))
        later(env, 1000, fast)

    def slow(event: simpy.Event) -> None:
        nonlocal count
        ran()
        count += 1
        if count % 50:
            later(env, DELAY, slow_arrived, (env.now, 1))
        later(env, 4000, due, env.now)
        later(env, 3000, slow)

    later(env, 1000, fast)
    later(env, 3000, slow)


def fuse(a: int, b: int) -> int:
    ran()
    return a + b


def guess() -> int:
    ran()
    return 0


def sink(x: int) -> None:
    ran()


MODELS = {"rates": rates, "hosts": hosts, "costs": costs, "deadlines": deadlines}


def run(program: str, microseconds: int) -> tuple[float, float]:
    """Seconds by the wall clock and of processor time that so much simulated time takes."""
    from benchmarks.peers import ran as counter

    env = simpy.Environment()
    MODELS[program](env)
    env.run(until=BUILT_AFTER + 1)
    counter.count = 0
    began, began_cpu = time.perf_counter(), time.process_time()
    env.run(until=BUILT_AFTER + microseconds + 1)
    return time.perf_counter() - began, time.process_time() - began_cpu
