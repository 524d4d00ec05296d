from ticktalk import SQify, STREAMify, GRAPHify, TTClock
from ticktalkpython.Time import TTTime
from ticktalkpython.TTToken import TTToken
from ticktalkpython.Clock import TTClock
from ticktalkpython.Tag import TTTag
from ticktalkpython.Empty import TTEmpty
from ticktalkpython.Graph import TTGraph
from ticktalkpython.Compiler import TTCompile
from ticktalkpython.Mapper import TTMapper
from ticktalkpython.Ensemble import TTEnsemble
from ticktalkpython.RuntimeManager import TTRuntimeManagerSim, TTRuntimeManagerPhysical
from ticktalkpython.IPC import Message

@SQify
def f(x):
    return [c.__name__ for c in (TTTime, TTToken, TTClock, TTTag, TTEmpty, TTGraph, TTMapper, TTEnsemble, TTRuntimeManagerSim, Message)]

@GRAPHify
def main(a):
    return f(a)
