from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x: "SomeType", y: int = 2) -> "list[str]":
    """A docstring."""
    import collections
    from itertools import accumulate as acc

    def inner(v):
        nonlocal total
        total += v
        return (lambda w: w * y)(v)

    total = 0
    done = [inner(i) for i in range(x) if i % 2]
    try:
        done[99]
    except IndexError as error:
        name = type(error).__name__
    finally:
        total += 0.5
    c = collections.Counter("aab")
    while (n := len(done)) < 5:
        done.append(n)
    return [done, total, name, c["a"], list(acc([1, 2, 3])), f"{x:03d}", f.__name__]

@GRAPHify
def main(a):
    return f(a)
