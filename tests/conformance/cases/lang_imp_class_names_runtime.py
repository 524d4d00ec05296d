from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    from ticktalkpython.Compiler import TTCompile
    from ticktalkpython.RuntimeManager import TTRuntimeManagerSim, TTRuntimeManagerPhysical
    from ticktalk import SQify, compile_program, TTGraph
    return TTRuntimeManagerSim.__name__, TTRuntimeManagerPhysical.__name__, TTGraph.__name__, callable(TTCompile)

@GRAPHify
def main(a):
    return f(a)
