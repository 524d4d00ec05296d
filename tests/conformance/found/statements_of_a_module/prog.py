from ticktalk import GRAPHify, SQify

ORDER = []
ORDER.extend("cab")
ORDER.sort()
SQUARES = {}
for number in range(3):
    SQUARES[number] = number * number
NESTED = {}
NESTED.setdefault("a", set()).add(7)
HANDLERS = {}


def handles(word):
    def register(function):
        HANDLERS[word] = function
        return function

    return register


@handles("double")
def _double(x):
    return 2 * x


@SQify
def look(x):
    return [ORDER, list(SQUARES.values()), sorted(NESTED["a"]), HANDLERS["double"](x)]


@GRAPHify
def main(trigger):
    return look(trigger)
