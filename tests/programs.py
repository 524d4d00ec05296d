"""The SQs that the programs of many tests begin with."""

HEAD = """\
from ticktalk import *
@STREAMify
def count(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@STREAMify
def ones(trigger):
    return 1
@SQify
def same(x):
    return x
@SQify
def total(x):
    global sq_state
    sq_state["sum"] = sq_state.get("sum", 0) + x
    return sq_state["sum"]
@SQify
def late():
    return -1
"""
