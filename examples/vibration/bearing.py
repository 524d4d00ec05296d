"""A simulated bearing: a tone of 31 Hz, which becomes one of 47 Hz after three seconds, as a bearing wears out."""

import math


class Bearing:
    def at(self, instant: int) -> float:
        """The acceleration at an instant in microseconds."""
        seconds = instant / 1_000_000
        return math.sin(2 * math.pi * (31.0 if seconds < 3 else 47.0) * seconds)
