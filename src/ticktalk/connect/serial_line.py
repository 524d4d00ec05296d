"""A serial line (extra `serial`): the newest line of text that came, and lines that are sent."""

from __future__ import annotations

import serial

from ticktalk.time import TTEmpty

LONGEST = 4096
"""Bytes of a line; a longer one is cut."""


class SerialLine:
    """A device on a serial line that sends a line of text for each sample.

    Args:
        device: such as `/dev/ttyUSB0`.
        baudrate: bits a second.
    """

    def __init__(self, device: str, baudrate: int = 115_200) -> None:
        self._port = serial.Serial(device, baudrate, timeout=0, write_timeout=1)
        self._begun = b""

    def read(self) -> str | TTEmpty:
        """The newest whole line since the last, without its end; it does not wait for one."""
        waiting = self._begun + self._port.read(max(LONGEST, self._port.in_waiting))
        *lines, begun = waiting.split(b"\n")
        self._begun = begun[-LONGEST:]
        if not lines:
            return TTEmpty()
        newest: bytes = lines[-1][-LONGEST:]
        return newest.rstrip(b"\r").decode("utf-8", "replace")

    def write(self, line: str) -> None:
        """Send a line.

        Raises:
            OSError: the other end has taken nothing for a second.
        """
        self._port.write(line.encode() + b"\n")

    def close(self) -> None:
        """Close the line."""
        self._port.close()
