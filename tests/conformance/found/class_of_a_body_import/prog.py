from ticktalk import GRAPHify, SQify, TTConstraint


@SQify
def measure(x):
    from probe import Sample

    return Sample("oak", 2.5 * x)


@SQify
def describe(sample):
    return sample.text()


@GRAPHify
def main(trigger):
    with TTConstraint(name="tree"):
        sample = measure(trigger)
    with TTConstraint(name="hut"):
        return describe(sample)
