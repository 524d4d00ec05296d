from dataclasses import dataclass
from enum import Enum

import forms
from ticktalk import GRAPHify, SQify, TTConstraint


class Mode(Enum):
    OFF = "off"
    ON = "on"


@dataclass
class Pair:
    left: int
    right: int = 0


@SQify
def make(x):
    return [forms.Mode.ON, forms.Pair(8), Mode.ON, Pair(9)]


@SQify
def look(values):
    theirs, their_pair, ours, our_pair = values
    return [
        theirs is forms.Mode.ON and not isinstance(theirs, Mode),
        ours is Mode.ON,
        theirs.value,
        str(theirs.value),
        repr(their_pair),
        repr(our_pair),
    ]


@GRAPHify
def main(trigger):
    with TTConstraint(name="here"):
        values = make(trigger)
    with TTConstraint(name="there"):
        return look(values)
