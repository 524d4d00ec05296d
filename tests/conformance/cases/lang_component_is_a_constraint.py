from ticktalk import SQify, STREAMify, GRAPHify, TTClock

from ticktalk import component

@SQify
def look(x):
    return component("camera").read() + x

@GRAPHify
def main(a):
    return look(a)
