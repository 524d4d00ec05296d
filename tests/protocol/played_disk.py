"""What outlives a process of the manager: the parts of its state, and the log of outputs."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ticktalk.manager.saving import joined
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.physical.manager_node import ManagerNode
from ticktalk.records import TookOver

if TYPE_CHECKING:
    from played_system import Host, World

WRITES = 8_000
"""Microseconds that a write takes at most."""


class Disk:
    """The contents of a disk.

    Attributes:
        parts: of the manager's state, as `StateStore` keeps them.
        lines: of the log of outputs.
        size: their characters.
        written: called when parts have been written.
    """

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}
        self.lines: list[str] = []
        self.size = 0
        self.written: Callable[[], None] = lambda: None

    def append(self, lines: list[str]) -> None:
        """Append lines to the log."""
        self.lines += lines
        self.size += sum(map(len, lines))


class PlayedStore:
    """Stands in for `StateStore`: a write is on the disk a little later, and told later still."""

    failure = ""

    def __init__(self, world: World, host: Host) -> None:
        self._world, self._host, self._disk = world, host, world.disk
        self._free = 0
        self.kept = dict(self._disk.parts)
        self.known = joined(self.kept)
        self.post: Callable[[Callable[[], None]], None]

    def say_holder(self, address: str) -> None:
        """There is no lock."""

    def write(self, changes: Mapping[str, bytes | None], then: Callable[[], None]) -> None:
        """Write parts, all or none: none, if the process dies before."""
        world = self._world
        self._free = max(self._free, world.now) + world.choice.randrange(WRITES)
        world.at(self._free - world.now, self._host, self._written, changes)
        self._free += world.choice.randrange(WRITES // 4)
        world.at(self._free - world.now, self._host, self.post, then)

    def _written(self, changes: Mapping[str, bytes | None]) -> None:
        for key, content in changes.items():
            if content is None:
                self._disk.parts.pop(key, None)
            else:
                self._disk.parts[key] = content
        self._disk.written()


class PlayedManager(ManagerNode):
    """The manager's driver; its state is kept on the world's disk."""

    def __init__(self, world: World, host: Host, checkpoint: int, keeps: bool) -> None:
        super().__init__(checkpoint)
        self._world = world
        if keeps:
            store: Any = PlayedStore(world, host)
            self.store, self.known, self.keeps_state = store, store.known, True

    def took_over(self, note: TookOver) -> None:
        """See `Driver.took_over`; the world knows which states were left behind, too."""
        super().took_over(note)
        replacements = self.process.state.replacements.values()
        drop = [each.drop for each in replacements if each.contexts == note.contexts]
        self._world.took_over.append((note, drop[0] if drop else []))

    def if_ended(self, ensemble: EnsembleInfo, act: Callable[[str], None]) -> None:
        """See `Driver.if_ended`."""
        if self._world.network.refuses(self.node.name, ensemble.name):
            self.node.loop.post(self._now(partial(act, ensemble.address)))


class PlayedLog:
    """Stands in for `LogFile`."""

    name, failure, left_out = "", "", 0

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._waits: list[str] = []

    def write(self, text: str) -> None:
        """Append a line at the next flush."""
        self._waits.append(text)

    def flush(self) -> None:
        """Write all that waits."""
        self._disk.append(self._waits)
        self._waits = []

    def break_off(self, choice: random.Random) -> None:
        """The process ends: some of what waits is written."""
        self._disk.append(self._waits[: choice.randint(0, len(self._waits))])
        self._waits = []

    @property
    def size(self) -> int:
        """Characters that are written."""
        return self._disk.size

    def lines_from(self, offset: int) -> list[bytes]:
        """The lines behind so many characters."""
        found, at = [], self._disk.size
        for text in reversed(self._disk.lines):
            if at <= offset:
                break
            at -= len(text)
            found.append(text.encode())
        return found[::-1]
