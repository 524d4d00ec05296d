from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@SQify
def f(x):
    import importlib
    n = 0
    for name in ['SQ', 'Clock', 'Instructions', 'Time', 'TTToken', 'Tag', 'Empty', 'Deadline', 'Query', 'Component', 'Graph', 'Compiler', 'Mapper', 'IPC', 'FiringRule', 'Ensemble', 'RuntimeManager', 'NetworkManager', 'InputTokenProcess', 'ExecuteProcess', 'SQSync', 'SQExecute', 'Constants', 'Error', 'DebugLogger']:
        importlib.import_module("ticktalkpython." + name)
        n += 1
    return n

@GRAPHify
def main(a):
    return f(a)
