"""All that an ensemble sends to the manager; outputs, and errors of firings, are kept until it has taken them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ticktalk.hosted.until_taken import UntilTaken
from ticktalk.messages import ROWS, Message, RuntimeMsg, message
from ticktalk.network_keys import Path
from ticktalk.payloads import OutputsTaken, OutputToken, OutputTokens
from ticktalk.physical.network.control_frames import control_frame
from ticktalk.physical.network.link import Link
from ticktalk.physical.output_batch import OutputBatch
from ticktalk.physical.spill import SpillFile
from ticktalk.physical.timekeeping.loop import Loop
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.values.codec import Encoded

KEPT = {RuntimeMsg.FIRING_ERROR, RuntimeMsg.WORKER_DIED}
"""Messages that are kept, as outputs are, until the manager has taken what came after them."""

OVERTAKES = {Path.HEARTBEATS, Path.RECORDS}
"""Paths on which a message may reach the manager before outputs that came before it."""


class ToManager:
    """One ensemble's way to the manager; owned by the timekeeper.

    Args:
        name: the ensemble's.
        manager: the manager's name.
        link: the ensemble's end of the network.
        loop: its timekeeper.
        overflow: told how many outputs and errors were left out.

    Attributes:
        kept: what the manager has not taken yet.
    """

    def __init__(self, name: str, manager: str, link: Link, loop: Loop, overflow: Callable[[int], None]) -> None:
        self._own, self._manager, self._link = name == manager, manager, link
        self._batch = OutputBatch(monotonic_us, loop.after, self._outputs)
        send = partial(link.send_frame, manager, RuntimeMsg.OUTPUT_TOKENS)
        self.kept = UntilTaken(send, SpillFile(name), overflow)

    def output(self, token: OutputToken) -> None:
        """Send an output, now or soon."""
        value = token.value
        self._batch.add(token, len(value.data) if value.__class__ is Encoded else 0)

    def send(self, message: Message) -> None:
        """Send a message, after the outputs that came before it."""
        if ROWS[message.msg_type].path not in OVERTAKES:
            self._batch.flush()
        if message.msg_type in KEPT and not self._own:
            self.kept.add(0, lambda number: control_frame(message))
        else:
            self._link.send(self._manager, message)

    def taken(self, taken: OutputsTaken) -> None:
        """The manager says how far it has them."""
        if taken.again:
            self.kept.again()
        self.kept.taken(taken.number)

    def _outputs(self, outputs: list[OutputToken]) -> None:
        def frame(number: int) -> bytes:
            return control_frame(message(RuntimeMsg.OUTPUT_TOKENS, OutputTokens(outputs, number)))

        self.kept.add(len(outputs), frame)
