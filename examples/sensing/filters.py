"""SQs that work on samples, and a graph of them."""

from collections import deque

from ticktalk import GRAPHify, SQify, sq_state


@SQify
def mean(samples: list[float]) -> float:
    """The mean of samples of one instant."""
    return round(sum(samples) / len(samples), 3)


@SQify
def window(sample: float, length: int = 4) -> list[float]:
    """The last samples."""
    global sq_state
    last = sq_state.setdefault("last", deque(maxlen=length))
    last.append(sample)
    return list(last)


@SQify
def above(sample: float, limit: float = 20.5) -> bool:
    """Whether a sample is above a limit."""
    return sample > limit


@GRAPHify
def smooth(sample: float, length: int = 4) -> float:
    """The mean of the last samples: a graph that other graphs use like an SQ."""
    return mean(window(sample, length=length))
