"""What holds for all tests: Hypothesis tries the same examples in each run.

`make fuzz` tries others, and prints what repeats a failure.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

FIXED = settings(derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
"""No example depends on chance, and no result on how busy the machine is."""

settings.register_profile("fixed", FIXED)
settings.register_profile("random", FIXED, derandomize=False, print_blob=True)
settings.load_profile("fixed")
