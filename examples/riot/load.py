"""A load generator: a line of three sensors in turn, with a gap and an outlier now and then; the same each time."""

import math


class Load:
    def line(self, instant: int) -> str:
        """The reading that arrives at an instant in microseconds."""
        n = instant // 10_000
        celsius = 20 + 5 * math.sin(n / 50) + n % 3
        if n % 17 == 0:
            return f"{'abc'[n % 3]},,{50 + n % 7}"
        if n % 23 == 0:
            celsius = 900.0
        return f"{'abc'[n % 3]},{celsius:.3f},{50 + n % 7}"
