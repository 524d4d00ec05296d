"""The state of an instance that goes on on another ensemble: saved, kept by the manager, restored.

Values are saved as MessagePack, as they cross between ensembles. A value without a codec is left out and named once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ticktalk.time import Tick
from ticktalk.values.codec import NoCodecError, encoded, type_name

SavedToken = tuple[Any, ...]
"""`(start, stop, value)`: root ticks, the value as MessagePack."""

Load = Callable[[bytes], Any]
"""Makes a value again from its saved form."""


def is_empty(state: Any) -> bool:
    """True if an `sq_state` is as at its begin; 0, None, an empty list and the like are states."""
    return state.__class__ is dict and not state


class Numbered:
    """The value of a token whose way is watched, with its number at its SQ (`engine/tap.py`)."""

    __slots__ = ("number", "value")

    def __init__(self, number: int, value: Any) -> None:
        self.number = number
        self.value = value


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
        if value.__class__ is Numbered:
            value = value.value
        data = self._encoded(value)
        if data is None:
            self.leave_out(where, value)
            return None
        return start, stop, data

    def leave_out(self, where: str, value: Any) -> None:
        """Remember that `value` is not saved."""
        self.left_out.append(f"{self.sq}: {where} ({type_name(value)})")

    def body(self, state: Any) -> bytes | None:
        """An `sq_state`, without the entries that have no codec; None: it is as at its begin."""
        if is_empty(state):
            return None
        data = self._encoded(state)
        if data is None and isinstance(state, dict):
            kept = {key: value for key, value in state.items() if self._encoded({key: value}) is not None}
            for key in [key for key in state if key not in kept]:
                self.leave_out(f"sq_state[{key!r}]", state[key])
            return bytes(encoded(kept))
        if data is None:
            self.leave_out("sq_state", state)
        return data

    def _encoded(self, value: Any) -> bytes | None:
        try:
            return bytes(encoded(value))
        except (NoCodecError, UnicodeEncodeError):
            return None
