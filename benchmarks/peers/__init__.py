"""The same programs, written for each system in its own way: what `benchmarks.simulated` runs side by side.

A line that is `ran()` counts the body that it stands in. It is there in the run that counts; in a run that is
timed it is `pass`.
"""
