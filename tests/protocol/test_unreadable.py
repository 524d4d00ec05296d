"""An output that the manager cannot read is counted and told, and holds up none of those behind it."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from played_system import MS, S, World, played
from test_token_numbers import system

from ticktalk.payloads import OutputToken
from ticktalk.physical.network import control_frames


def test_outputs_behind_one_that_cannot_be_read_come(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = control_frames._output_out
    sent: list[int] = []

    def damaged(token: OutputToken) -> Any:
        """The third output has a text that is no field of a JSON line, as another version might send it."""
        if token.sq == "same-1":
            sent.append(int(token.start))
            if len(sent) == 3:
                return {**msgspec.structs.asdict(wire(token)), "shown": "\n"}
        return wire(token)

    monkeypatch.setattr(control_frames, "_output_out", damaged)
    with played(random.Random(1)):
        world = World(random.Random(1))
        starts = system(world, a="source sink other")
        world.run(world.now + 3 * S)
        told = [str(event) for _, event in world.told if "cannot be read" in str(event)]
        refused = world.driver.refused()
        world.run(world.now + 500 * MS)
    assert len(starts) > 28 and starts == [start for start in sent if start != sent[2]][: len(starts)]
    assert len(sent) - len(starts) <= 3, "all others come, and come at once"
    assert len(told) == 1 and "an output of 'a' cannot be read and is left out (status counts it): " in told[0]
    assert refused == {"invalid": 1}, "status shows it of the manager"
