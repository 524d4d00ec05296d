"""A library of SQs: what programs that measure something share. `climate.py` and `corridor.py` use it."""

from .filters import above, mean, smooth
from .sources import thermometer

__all__ = ["above", "mean", "smooth", "thermometer"]
