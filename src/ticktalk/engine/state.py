"""The state of an instance that goes on on another ensemble: saved, kept by the manager, restored.

Values are saved as MessagePack, as they cross between ensembles. A value without a codec is left out and named once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ticktalk.engine.value_codec import NoCodecError, encoded, type_name
from ticktalk.time import Tick

SavedToken = tuple[Any, ...]
"""`(start, stop, value)`: root ticks, the value as MessagePack."""

Load = Callable[[bytes], Any]
"""Makes a value again from its saved form."""


class Saver:
    """Saves values; remembers those that it could not save.

    Args:
        everything: also the tokens that wait, for an instance that moves; else only the state between firings.
    """

    def __init__(self, everything: bool = False) -> None:
        self.everything = everything
        self.left_out: list[str] = []
        self.sq = ""

    def token(self, start: Tick, stop: Tick, value: Any, where: str) -> SavedToken | None:
        """A token that can be restored; None if its value has no codec."""
        try:
            return start, stop, bytes(encoded(value))
        except (NoCodecError, UnicodeEncodeError):
            self.leave_out(where, value)
            return None

    def leave_out(self, where: str, value: Any) -> None:
        """Remember that `value` is not saved."""
        self.left_out.append(f"{self.sq}: {where} ({type_name(value)})")

    def body(self, state: Any) -> bytes | None:
        """An `sq_state`, without the entries that have no codec; None when nothing is in it."""
        if not state:
            return None
        try:
            return bytes(encoded(state))
        except (NoCodecError, UnicodeEncodeError):
            pass
        if not isinstance(state, dict):
            self.leave_out("sq_state", state)
            return None
        kept = {}
        for key, value in state.items():
            try:
                encoded({key: value})
            except (NoCodecError, UnicodeEncodeError):
                self.leave_out(f"sq_state[{key!r}]", value)
            else:
                kept[key] = value
        return bytes(encoded(kept))
