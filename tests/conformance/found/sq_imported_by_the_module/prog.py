from parts import scale
from ticktalk import GRAPHify


@GRAPHify
def main(trigger):
    return scale(scale(trigger))
