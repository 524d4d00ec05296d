from ticktalk import SQify, STREAMify, GRAPHify, TTClock

try:
    import no_such_module_anywhere as fast
except ImportError:
    fast = None

@SQify
def f(x):
    return fast is None

@GRAPHify
def main(a):
    return f(a)
