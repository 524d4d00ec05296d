import numpy as np
from ticktalk import GRAPHify, SQify, TTConstraint


@SQify
def sweep(x):
    return np.ma.masked_greater([2.0, 80.0, 4.0], 50.0)


@SQify
def summary(echoes):
    return [float(echoes.sum()), int(echoes.count()), echoes.mask.tolist(), type(echoes).__name__]


@GRAPHify
def main(trigger):
    with TTConstraint(name="boat"):
        echoes = sweep(trigger)
    with TTConstraint(name="shore"):
        return summary(echoes)
