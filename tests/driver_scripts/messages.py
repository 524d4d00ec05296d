"""Everything by messages to the runtime manager; its log is read in the same script.

Prints:
1 -2 3 -4 5
[200000, 430000, 600000, 830000, 1000000]
"""

import json
import simpy
from ticktalkpython.Compiler import TTCompile
from ticktalkpython.Ensemble import TTEnsemble
from ticktalkpython.IPC import Message, Recipient, RuntimeMsg
from ticktalkpython.RuntimeManager import TTRuntimeManagerSim

sim = simpy.Environment()
graph = TTCompile("program.py")
manager = TTRuntimeManagerSim("messages.log", [TTEnsemble("ens1.log", "ens1")], sim)
manager.send_to_runtime(Message(RuntimeMsg.InstantiateAndMapGraph, graph, Recipient.ProcessRuntimeManager))
manager.send_to_runtime(
    Message(RuntimeMsg.ExecuteGraphOnInputs, (graph, {"trigger": 1}), Recipient.ProcessRuntimeManager)
)
sim.run(until=3000000)
rows = [json.loads(line) for line in open("messages.log")]
print(*(row["value"] for row in rows))
print([row["arrival"] for row in rows])
