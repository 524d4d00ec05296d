"""A manager's process as its documentation describes it: a queue, callbacks, and the two run loops.

Prints:
nothing was sent for a message of another process
both loops have ended
"""

import queue
import threading
import simpy
from ticktalkpython.IPC import ExecuteMsg, Message, NetMsg, Recipient, RuntimeMsg, SyncMsg
from ticktalkpython.RuntimeManager import TTRuntimeManagerProcess

sent = []
inputs = queue.Queue()
process = TTRuntimeManagerProcess("processes.log", inputs, "runtime-manager")
process.setup_proc_intfc(sent.append)
process.handle_message(Message(SyncMsg.INPUT_TOKEN, None, Recipient.ProcessInputToken))
process.handle_message(Message(ExecuteMsg.INSTANTIATE, None, Recipient.ProcessExecute))
process.handle_message(Message(NetMsg.SEND, None, Recipient.ProcessNetwork))
if not sent:
    print("nothing was sent for a message of another process")
process.input_msg(Message(RuntimeMsg.LEAVE, "nobody", Recipient.ProcessRuntimeManager))
assert process.get_next_input().payload == "nobody"
loop = threading.Thread(target=process.run_phy)
loop.start()
process.stop()
loop.join()

sim = simpy.Environment()
simulated = TTRuntimeManagerProcess(None, queue.Queue())
simulated.setup_proc_intfc(sent.append, sim.process(simulated.run_sim(sim)))
sim.run(until=5)
simulated.input_msg(Message(RuntimeMsg.LEAVE, "nobody", TTRuntimeManagerProcess))
simulated.stop()
sim.run(until=6)
print("both loops have ended" if inputs.empty() and simulated.input_queue.empty() else "one goes on")
