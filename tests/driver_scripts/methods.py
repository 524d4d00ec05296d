"""The graph is mapped by the method, and started by a message with a list of inputs.

Prints:
5 outputs
"""

import simpy
from ticktalkpython import Compiler, Ensemble, IPC, RuntimeManager

sim = simpy.Environment()
graph = Compiler.TTCompile("program.py")
ensembles = [Ensemble.TTEnsemble(None, "ens2"), Ensemble.TTEnsemble(None, "ens1", False)]
manager = RuntimeManager.TTRuntimeManagerSim("methods.log", ensembles, sim, "runtime-manager")
manager.instantiate_and_map_graph(graph)
manager.send_to_runtime(
    IPC.Message(IPC.RuntimeMsg.ExecuteGraphOnInputs, (graph, [1]), IPC.Recipient.ProcessRuntimeManager)
)
sim.run(until=2000000)
print(len(open("methods.log").readlines()), "outputs")
