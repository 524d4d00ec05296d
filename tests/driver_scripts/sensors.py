"""A process of the user shares the environment; a driver of a component looks at its time; a clock counts milliseconds.

Prints:
100000 100000 0
200000 200000 0
300000 300000 0
"""

import simpy
from ticktalkpython.Compiler import TTCompile
from ticktalkpython.Ensemble import TTEnsemble
from ticktalkpython.RuntimeManager import TTRuntimeManagerSim

PROGRAM = """
from ticktalkpython.SQ import *
from ticktalkpython.Component import component

@STREAMify
def camera(window):
    return component("camera").read()

@SQify
def pair(x, y):
    return x, y

@GRAPHify
def main(trigger):
    with TTClock("root") as root, TTClock("milliseconds", root, 1000, 0) as clock:
        begun = READ_TTCLOCK(trigger, TTClock=clock)
        window = VALUES_TO_TTTIME(READ_TTCLOCK(trigger), READ_TTCLOCK(trigger) + 300000)
        return pair(camera(window, TTClock=clock, TTPeriod=100), begun)
"""
with open("sensors_program.py", "w") as file:
    file.write(PROGRAM)


class Camera:
    def __init__(self, sim):
        self.sim = sim

    def read(self):
        return self.sim.now


sim = simpy.Environment()
ensemble = TTEnsemble(None, "pole", components={"camera": Camera(sim)})
manager = TTRuntimeManagerSim(None, [ensemble], sim)
manager.on_output(lambda token: print(sim.now, *token.value))
graph = TTCompile("sensors_program.py")
manager.instantiate_and_map_graph(graph)
manager.execute_graph(graph)


def user():
    yield sim.timeout(250000)
    assert sim.now == 250000


sim.process(user())
sim.run()
