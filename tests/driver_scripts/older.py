"""A program with the import paths of older releases, a clock alone, and deadlines as blocks.

Prints:
3
"""

import simpy
from ticktalkpython.Compiler import TTCompile
from ticktalkpython.IPC import Message, Recipient, RuntimeMsg
from ticktalkpython.RuntimeManager import TTRuntimeManagerSim

PROGRAM = """
from SQ import SQify, STREAMify, GRAPHify
from Clock import TTClock
from Instructions import *
from Deadline import *
from Empty import TTEmpty

@SQify
def same(x):
    return x

@GRAPHify
def main(x):
    with TTClock("root") as clock:
        with TTPlanB(same(0)):
            with TTDeadline(clock, 500):
                y = same(x)
    return TTSingleRunTimeout(same(y), TTTimeout=500)
"""
with open("older_program.py", "w") as file:
    file.write(PROGRAM)
sim = simpy.Environment()
manager = TTRuntimeManagerSim(None, [], sim)
manager.on_output(lambda token: print(token.value))
graph = TTCompile("older_program.py")
manager.send_to_runtime(Message(RuntimeMsg.InstantiateAndMapGraph, graph, Recipient.ProcessRuntimeManager))
manager.send_to_runtime(Message(RuntimeMsg.ExecuteGraphOnInputs, (graph, {"x": 3}), Recipient.ProcessRuntimeManager))
sim.run(until=10000)
