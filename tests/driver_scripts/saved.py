"""A compiled graph is saved, loaded and run.

Prints:
program 5
"""

import simpy
from ticktalkpython.Compiler import *
from ticktalkpython.Ensemble import *
from ticktalkpython.Graph import TTGraph
from ticktalkpython.RuntimeManager import *

TTCompile("program.py").save("program.json")
graph = TTGraph.load("program.json")
sim = simpy.Environment()
manager = TTRuntimeManagerSim("saved.log", [TTEnsemble("ens1.log", "ens1")], sim)
manager.instantiate_and_map_graph(graph)
manager.execute_graph(graph, {"trigger": 1})
sim.run(until=2000000)
print(graph.name, len(open("saved.log").readlines()))
