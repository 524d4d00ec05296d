"""A runtime manager and an ensemble in real time, by messages.

Prints:
[1, -2, 3, -4, 5]
5 lines in the log
"""

import threading
from ticktalkpython.Compiler import TTCompile
from ticktalkpython.Ensemble import TTEnsemble
from ticktalkpython.IPC import Message, Recipient, RuntimeMsg
from ticktalkpython.RuntimeManager import TTRuntimeManagerPhysical


def main():
    manager = TTRuntimeManagerPhysical("physical.log", "127.0.0.1", 0, 0)
    ensemble = TTEnsemble("ens1.log", "ens1")
    device = threading.Thread(target=ensemble.run_phy, args=(manager.address,))
    device.start()
    assert manager.wait_for_ensembles(["ens1"], 60) == []
    values, complete = [], threading.Event()

    def hear(token):
        values.append(token.value)
        if len(values) == 5:
            complete.set()

    manager.on_output(hear)
    graph = TTCompile("program.py")
    manager.send_to_runtime(Message(RuntimeMsg.InstantiateAndMapGraph, graph, Recipient.ProcessRuntimeManager))
    manager.send_to_runtime(
        Message(RuntimeMsg.ExecuteGraphOnInputs, (graph, {"trigger": 1}), Recipient.ProcessRuntimeManager)
    )
    complete.wait(60)
    manager.stop(ensembles=True)
    device.join()
    print(values)
    print(len(open("physical.log").readlines()), "lines in the log")


if __name__ == "__main__":
    main()
