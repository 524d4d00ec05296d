"""The list of ensembles is empty: one joins afterwards. A graph that is started before it is ready starts then.

Prints:
['ens1', 'runtime-manager']
[('ens1', 'ens1'), ('runtime-manager', 'runtime-manager')]
5 outputs, the first at 600000
"""

import simpy
from ticktalkpython.Compiler import TTCompile
from ticktalkpython.Ensemble import TTEnsemble
from ticktalkpython.IPC import Message, Recipient, RuntimeMsg
from ticktalkpython.RuntimeManager import TTRuntimeManagerSim

sim = simpy.Environment()
manager = TTRuntimeManagerSim(None, [], sim)
arrivals = []
manager.on_output(lambda token: arrivals.append(sim.now))


def later():
    yield sim.timeout(501000)
    ensemble = TTEnsemble(None, "ens1", sim=sim)
    print(manager.ensembles)
    print(sorted(ensemble.routing_table.items()))
    graph = TTCompile("program.py")
    for kind, payload in (
        (RuntimeMsg.InstantiateAndMapGraph, graph),
        (RuntimeMsg.ExecuteGraphOnInputs, (graph, {"trigger": 1})),
    ):
        manager.send_to_runtime(Message(kind, payload, Recipient.ProcessRuntimeManager))


sim.process(later())
sim.run(until=4000000)
print(len(arrivals), "outputs, the first at", arrivals[0])
