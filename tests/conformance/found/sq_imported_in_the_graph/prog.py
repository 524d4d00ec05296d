from ticktalk import GRAPHify


@GRAPHify
def main(trigger):
    from parts import scale as grow

    return grow(trigger, by=5)
