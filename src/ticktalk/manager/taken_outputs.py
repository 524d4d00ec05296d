"""Takes the numbered outputs of each ensemble in their order, each once, and says up to which one it has them for good.

The number up to which they are taken is a part of the manager's state, so a restarted manager goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence

from ticktalk.manager.driver import Driver, Send
from ticktalk.manager.state import ManagerState
from ticktalk.messages import NetMsg
from ticktalk.payloads import OutputsTaken, OutputToken, OutputTokens, Ping, Unreadable

AGAIN_AFTER = 2_000_000
"""Root ticks after which an ensemble is asked again for outputs that do not come; each time twice as many."""

AGAIN_AT_MOST = 60_000_000
"""The longest such time."""


class Taking:
    """Takes the outputs of all ensembles.

    Args:
        state: all that the manager knows.
        send: how ensembles are reached; a message leaves when what it tells of is written.
        driver: hosts the manager.
    """

    def __init__(self, state: ManagerState, send: Send, driver: Driver) -> None:
        self._state, self._send, self._driver = state, send, driver
        self._told: dict[str, int] = {}  # by ensemble, the number that it was told last
        self._lacks: set[str] = set()  # the ensembles of which some are missing
        self._asked: dict[str, tuple[int, int]] = {}  # by ensemble: when it was asked again, and when it will be
        self._heard: dict[str, tuple[int, int]] = {}  # by ensemble: numbers sent and taken at its last heartbeat

    def new(self, outputs: OutputTokens) -> Sequence[OutputToken | Unreadable]:
        """The outputs of a message that did not come before, if none before them is missing."""
        tokens, number = outputs.tokens, outputs.number
        if not number or not tokens:
            return tokens
        name = tokens[0].ensemble
        if name not in self._state.ensembles and name not in self._state.lost:
            return []
        taken = self._state.taken.get(name, 0)
        before = number - len(tokens)
        if before > taken:
            self._lacks.add(name)
            return []
        if number <= taken:
            return []
        self._state.taken[name] = number
        self._lacks.discard(name)
        self._asked.pop(name, None)
        return tokens[taken - before :]

    def ping(self, ping: Ping) -> None:
        """An ensemble says which outputs it has sent and still keeps: what it keeps no more cannot come."""
        if not ping.first:
            return
        taken = max(self._state.taken.get(ping.name, 0), ping.first - 1)
        self._state.taken[ping.name] = taken
        if self._heard.get(ping.name) == (ping.number, taken) and taken < ping.number:
            self._lacks.add(ping.name)
        self._heard[ping.name] = ping.number, taken

    def tell(self) -> None:
        """Tell each ensemble what has been taken since it was told last; called a few times a second."""
        now = self._driver.now()
        for name in list(self._state.ensembles):
            taken = self._state.taken.get(name, 0)
            again = name in self._lacks and now >= self._asked.get(name, (0, 0))[1]
            if again:
                self._lacks.discard(name)
                before, due = self._asked.get(name, (now, now + AGAIN_AFTER // 2))
                self._asked[name] = now, now + min(AGAIN_AT_MOST, 2 * (due - before))
            if again or taken != self._told.get(name, 0):
                self._told[name] = taken
                self._send(name, NetMsg.OUTPUTS_TAKEN, OutputsTaken(taken, again))

    def forget(self, name: str) -> None:
        """An ensemble does not come back as it was: the next one of its name counts from the beginning."""
        self._state.taken.pop(name, None)
        self._state.logged.pop(name, None)
        self._told.pop(name, None)
        self._asked.pop(name, None)
        self._heard.pop(name, None)
        self._lacks.discard(name)
