import parts
from ticktalk import GRAPHify


@GRAPHify
def main(trigger):
    return parts.scale(trigger) + 1
