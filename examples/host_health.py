"""How well is this machine? Two sensors at two rates, fused by time into one health score.

    sensor-fast   reads the cpu's use every 200 ms
    sensor-slow   reads memory, disk and network every second
    health        smooths, fuses, scores; and does not wait for a cpu sample that fails to come

The same graph runs in simulation, on recorded samples, and on real devices: what `component(...)` returns is the
only difference (see telemetry.py). All ticks are microseconds of the root clock.
"""

from ticktalk import (
    RESAMPLE,
    GRAPHify,
    SQify,
    STREAMify,
    TTClock,
    TTConstraint,
    TTEmpty,
    TTFinishByOtherwise,
    component,
    sq_state,
)

CPU_PERIOD = 200_000
SYSTEM_PERIOD = 1_000_000
PATIENCE = 100_000  # how long after its instant a cpu sample may come; less than CPU_PERIOD keeps them in order


@STREAMify
def read_cpu(trigger: int) -> float | TTEmpty:
    """CPU use in percent; nothing where the sensor has no sample."""
    percent: float | None = component("cpu_counters").read()
    return TTEmpty() if percent is None else percent


@STREAMify
def read_system(trigger: int) -> dict[str, float] | TTEmpty:
    """Memory in use in percent, and bytes counted since some beginning; nothing where there is no sample."""
    sample: dict[str, float] | None = component("system_counters").read()
    return TTEmpty() if sample is None else sample


@SQify
def rates(sample: dict[str, float]) -> dict[str, float]:
    """Counters become rates, in MB/s since the sample before; so a missing sample costs nothing but detail."""
    global sq_state
    before = sq_state.get("before", sample)
    sq_state["before"] = sample
    elapsed = sample["t_us"] - before["t_us"]  # bytes per microsecond are MB per second
    return {
        "memory": sample["memory_percent"],
        "disk": round((sample["disk_bytes"] - before["disk_bytes"]) / elapsed, 2) if elapsed else 0.0,
        "network": round((sample["network_bytes"] - before["network_bytes"]) / elapsed, 2) if elapsed else 0.0,
    }


@SQify
def no_sample() -> float | None:
    """Plan B: goes on in place of a cpu sample that did not come."""
    return None


@SQify
def smooth(percent: float | None, samples: int = 25) -> dict[str, float]:
    """The moving average of the last cpu samples. Without a new one it stays what it was, marked as an estimate."""
    global sq_state
    recent = sq_state.setdefault("recent", [])
    if percent is not None:
        recent.append(percent)
        del recent[:-samples]
    average = sum(recent) / len(recent) if recent else 0.0
    return {"cpu": round(average, 2), "estimated": percent is None}


@SQify
def fuse(cpu: dict[str, float], system: dict[str, float]) -> dict[str, float]:
    """What both sensors say of the same 200 ms."""
    return {**cpu, **system}


@SQify
def assess(now: dict[str, float]) -> dict[str, float]:
    """The health score: 100 is idle; a busy cpu costs up to 50, memory 30, disk and network 10 each."""
    load = 0.5 * now["cpu"] + 0.3 * now["memory"] + 0.1 * min(now["disk"], 100) + 0.1 * min(now["network"], 100)
    return {"score": round(100 - load, 1), **now}


@GRAPHify
def host_health(trigger: int) -> dict[str, float]:
    with TTClock.root() as clock:
        # A token's interval says when its value holds. As wide as the period, the intervals of a stream tile the
        # time line: every moment is covered once. (`trigger` holds for ever, so the streams do not end.)
        with TTConstraint(name="sensor-fast"):
            cpu_due, cpu = read_cpu(trigger, TTClock=clock, TTPeriod=CPU_PERIOD, TTDataIntervalWidth=CPU_PERIOD)

        with TTConstraint(name="sensor-slow"):
            counters = read_system(trigger, TTClock=clock, TTPeriod=SYSTEM_PERIOD, TTDataIntervalWidth=SYSTEM_PERIOD)
            system = rates(counters)

        with TTConstraint(name="health"):
            # `cpu_due` carries every instant at which a sample is due, whether it then comes or not. What has not
            # reached this ensemble PATIENCE later is replaced by plan B, with the interval that it would have had.
            cpu = TTFinishByOtherwise(cpu, TTTimeDeadline=cpu_due + PATIENCE, TTPlanB=no_sample(), TTWillContinue=True)
            cpu = smooth(cpu)

            # Ports consume the tokens that they fire on, so each system sample would meet one cpu sample of five.
            # Held on the cpu's grid, it has a token for each, also across samples that are missing. The price is
            # to wait for the next system sample, since only then is it known how long the last one held.
            system = RESAMPLE(system, TTClock=clock, TTPeriod=CPU_PERIOD, order=0)

            # Both are now centred on the same instants, CPU_PERIOD wide: each overlaps exactly one of the other.
            # (Only the cpu samples before the first system sample meet nothing. They are dropped, and counted.)
            return assess(fuse(cpu, system))
