from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
async def f(x):
    return x

@GRAPHify
def main(a):
    return f(a)
