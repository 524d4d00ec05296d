"""Every documented import path, and the logger of the runtime manager.

Prints:
<Logger TTPython.RuntimeManager (DEBUG)>
6 True
TTTime(milliseconds, 1, 2)
"""

import ticktalkpython.SQ, ticktalkpython.Clock, ticktalkpython.Instructions, ticktalkpython.Time
import ticktalkpython.TTToken, ticktalkpython.Tag, ticktalkpython.Empty, ticktalkpython.Deadline, ticktalkpython.Query
import ticktalkpython.Component, ticktalkpython.Graph, ticktalkpython.Compiler, ticktalkpython.Mapper
import ticktalkpython.IPC, ticktalkpython.FiringRule, ticktalkpython.Ensemble, ticktalkpython.RuntimeManager
import ticktalkpython.NetworkManager, ticktalkpython.InputTokenProcess, ticktalkpython.ExecuteProcess
import ticktalkpython.SQSync, ticktalkpython.SQExecute, ticktalkpython.Constants, ticktalkpython.Error
import ticktalkpython.DebugLogger
from ticktalkpython.Clock import TTClock
from ticktalkpython.Instructions import ABS
from ticktalkpython.SQ import SQify
from ticktalkpython.Time import TTTime

print(ticktalkpython.RuntimeManager.logger)


@SQify
def twice(x):
    return 2 * x


print(twice(ABS(-3)), TTClock("root") == TTClock.root())
print(TTTime(TTClock("milliseconds", TTClock("root"), 1000, 0), 1, 2))
