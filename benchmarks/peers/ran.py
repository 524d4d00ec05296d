"""Counts the bodies that ran, in the run that checks that every system does the same work."""

count = 0


def ran() -> None:
    """One body has begun."""
    global count
    count += 1
