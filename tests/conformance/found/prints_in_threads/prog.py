from ticktalk import GRAPHify, SQify


@SQify
def speak(x):
    print("one", end=" ")
    print("line")
    return x


@GRAPHify
def main(trigger):
    return speak(trigger)
