from ..add import plus_one


def ten(x):
    return 10 * plus_one(x - 1)
