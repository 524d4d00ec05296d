from ticktalk import SQify, STREAMify, GRAPHify, TTClock


@SQify
def f(x):
    import io, contextlib
    b = io.StringIO()
    with contextlib.redirect_stdout(b):
        print('x')
    return b.getvalue()

@GRAPHify
def main(a):
    return f(a)
