"""A participant that is let in and sends anything well formed breaks and holds up nothing (`fuzz_messages`)."""

from __future__ import annotations

import logging

import pytest
from fuzz_messages import Fuzz

from ticktalk.physical.network.control_frames import _CODECS


@pytest.mark.parametrize("seed", [1, 2])
def test_no_message_breaks_or_holds_up_a_receiver(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    fuzz = Fuzz(seed)
    try:
        with caplog.at_level(logging.CRITICAL + 1):  # the test counts refusals, not their texts
            fuzz.run(700)
    finally:
        fuzz.close()
    assert fuzz.refused()["invalid"] > 100, "every refusal is counted"
    assert len(fuzz.kinds) > 0.8 * len(_CODECS), "messages of every kind were sent"
