from ticktalk import SQify, STREAMify, GRAPHify, TTClock

from dataclasses import dataclass, field

@dataclass
class Point:
    x: int
    tags: list = field(default_factory=list)

@SQify
def make(a):
    return Point(a)

@SQify
def vandal(p):
    p.x += 1
    p.tags.append("v")
    return [p.x, p.tags]

@SQify
def reader(p):
    return [p.x, p.tags, isinstance(p, Point), p == Point(7)]

@GRAPHify
def main(a):
    p = make(a)
    return vandal(p), reader(p)
