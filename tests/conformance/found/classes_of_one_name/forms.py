from dataclasses import dataclass
from enum import Enum


class Mode(Enum):
    ON = 1
    OFF = 0


@dataclass
class Pair:
    only: int
