from ticktalk import SQify, STREAMify, GRAPHify, TTClock

import functools
import threading
from typing import NamedTuple, Optional

LOCK = threading.Lock()

class Pt(NamedTuple):
    x: int
    y: int = 0

def deco(fn):
    @functools.wraps(fn)
    def inner(x):
        with LOCK:
            return fn(x) + OFFSET
    return inner

@deco
def helper(x):
    return x * 2

OFFSET = 1
HANDLERS = {"h": helper, "n": lambda x: -helper(x)}

@functools.lru_cache(maxsize=None)
def cached(x):
    return HANDLERS["h"](x) + HANDLERS["n"](x + 1)

@SQify
def f(x: Optional[int]) -> Pt:
    return Pt(cached(x))

@SQify
def g(p: Pt):
    return [p.x, p.y, type(p) is Pt]

@GRAPHify
def main(a):
    return g(f(a))
