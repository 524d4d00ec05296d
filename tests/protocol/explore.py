"""`make explore`: SEEDS runs of whole systems from SEED on, over all cores; a run that breaks an invariant is shrunk.

Each run is one `schedule.plan`. Hashes of Python are fixed, so that a seed is the same run everywhere.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))  # where `programs` is
COLLECTS = 10
"""Runs after which memory is collected."""

SHOWN = 5
"""Broken runs that are shrunk and shown."""


def explore(first: int, seeds: int) -> int:
    """Run seeds, and print a line of JSON for each that breaks an invariant, and now and then how many were run."""
    from schedule import plan
    from shrink import broken

    logging.disable(logging.CRITICAL)
    gc.freeze()
    gc.disable()  # a system is a net of circles: it is collected as a whole
    told = time.monotonic()
    for done, seed in enumerate(range(first, first + seeds), 1):
        made = plan(seed)
        which, what = broken(made)
        if which:
            print(json.dumps({"seed": seed, "which": which, "what": what}), flush=True)
        if done % COLLECTS == 0:
            gc.collect()
        if time.monotonic() - told > 1 or done == seeds:
            told = time.monotonic()
            print(json.dumps({"done": done}), flush=True)
    return 0


def show(seed: int) -> None:
    """Shrink a broken run, and print it."""
    from events import as_events, as_files
    from played_programs import source
    from schedule import plan
    from shrink import broken, shrink

    logging.disable(logging.CRITICAL)
    made = plan(seed)
    which, _ = broken(made)
    if not which:
        print(f"seed {seed}: nothing is broken")
        return
    least = shrink(made, which)
    print(f"\nseed {seed}: {broken(least)[1]}")
    print(f"ensembles {', '.join(least.names)}; streams of {least.length / 1e6:g} s; program {least.program}:")
    print("\n".join(f"    {line}" for line in source(least.program).splitlines() if line))
    print("commands:")
    print("\n".join(f"    {command}" for command in least.commands))
    print("as far as `ticktalk simulate` knows what is done:")
    print(as_events(least))
    print(as_files(least, Path(mkdtemp(prefix=f"ticktalk-seed-{seed}-"))))


def known() -> None:
    """Run the plans that broke an invariant once, and print those that do, or whose events are no file of events."""
    from events import as_files
    from known import KNOWN
    from played_network import MANAGER
    from shrink import broken

    from ticktalk.simulation.event_file import read_events

    logging.disable(logging.CRITICAL)
    for sentence, made in KNOWN.items():
        with TemporaryDirectory() as folder:
            as_files(made, Path(folder))
            read_events(Path(folder) / "events.yaml", made.names, MANAGER)
        _, what = broken(made)
        if what:
            print(json.dumps({"seed": sentence, "what": what}), flush=True)


def child(*arguments: str) -> subprocess.Popen[str]:
    """This file with these arguments, in a process of its own with fixed hashes."""
    around = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [sys.executable, str(HERE / "explore.py"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=around)


def over_cores(first: int, seeds: int, cores: int, progress: bool = False) -> list[dict[str, str]]:
    """The seeds that break an invariant: each with `seed`, `which` and `what`."""
    share = -(-seeds // cores)
    shares = [(first + at, min(share, seeds - at)) for at in range(0, seeds, share)]
    children = [child("--part", str(begin), str(count)) for begin, count in shares]
    found: list[dict[str, str]] = []
    done = dict.fromkeys(range(len(children)), 0)
    began = time.monotonic()
    with selectors.DefaultSelector() as ready:
        for number, process in enumerate(children):
            assert process.stdout is not None
            ready.register(process.stdout, selectors.EVENT_READ, number)
        while ready.get_map():
            for key, _ in ready.select():
                line = key.fileobj.readline()  # type: ignore[union-attr]
                if not line:
                    ready.unregister(key.fileobj)
                    continue
                told = json.loads(line)
                if "done" in told:
                    done[key.data] = told["done"]
                else:
                    found.append(told)
                if progress:
                    rate = sum(done.values()) / max(0.001, time.monotonic() - began)
                    text = f"{sum(done.values())} of {seeds} seeds, {rate:.1f} a second, {len(found)} broken"
                    print(f"\r{text}", end="", file=sys.stderr, flush=True)
    if progress:
        print(file=sys.stderr)
    for process in children:
        if process.wait():
            raise SystemExit(f"a part ended with status {process.returncode}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="?", type=int, default=100_000)
    parser.add_argument("first", nargs="?", type=int, default=0)
    parser.add_argument("--part", nargs=2, type=int)
    parser.add_argument("--known", action="store_true", help="run the plans that broke something once")
    parser.add_argument("--show", type=int, help="shrink and print one seed")
    given = parser.parse_args()
    if given.part:
        explore(*given.part)
    elif given.known:
        known()
    elif given.show is not None:
        show(given.show)
    else:
        found = over_cores(given.first, given.seeds, len(os.sched_getaffinity(0)), progress=True)
        for each in found:
            print(f"seed {each['seed']}: {each['what']}")
        for each in found[:SHOWN]:
            process = child("--show", str(each["seed"]))
            print(process.communicate()[0])
        raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
