from ticktalk import SQify, STREAMify, GRAPHify, TTClock

@GRAPHify
def main(a, b):
    return {"x": a, "y": {"z": b}, "w": 1}
