from ticktalk import SQify


@SQify
def scale(x, by=3):
    return by * x
