"""Inputs are tokens, and the class of a process stands for its recipient.

Prints:
[1, -2, 3, -4, 5]
"""

import simpy
from ticktalkpython.Clock import TTClock
from ticktalkpython.Compiler import TTCompile
from ticktalkpython.Ensemble import TTEnsemble
from ticktalkpython.IPC import Message, RuntimeMsg
from ticktalkpython.RuntimeManager import TTRuntimeManagerProcess, TTRuntimeManagerSim
from ticktalkpython.Time import TTTime
from ticktalkpython.TTToken import TTToken

sim = simpy.Environment()
graph = TTCompile("program.py")
manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "ens1")], sim)
values = []
manager.on_output(lambda token: values.append(token.value))
manager.instantiate_and_map_graph(graph)
token = TTToken(1, TTTime.infinite(TTClock("root")))
manager.send_to_runtime(Message(RuntimeMsg.ExecuteGraphOnInputs, (graph, [token]), TTRuntimeManagerProcess))
sim.run()
print(values)
