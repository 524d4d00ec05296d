"""Outside a graph a decorated function is the plain function, so it can be unit-tested."""

import types

import pytest

from ticktalk.errors import TTError
from ticktalk.language import decorators as constructs
from ticktalk.language.decorators import GRAPHify, SQify, STREAMify


def module_of(text):
    module = types.ModuleType("program")
    exec("from ticktalk.language.decorators import SQify, STREAMify, GRAPHify\n" + text, module.__dict__)
    return module


COUNTER = '''
@{decorator}
def count(x):
    """Counts."""
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + x
    return later(sq_state["n"])
@SQify
def outer(x):
    global sq_state
    sq_state["seen"] = x
    count(x)
    return sq_state
@SQify
def again(x):
    global sq_state
    sq_state.setdefault("xs", []).append(x)
    return again(x - 1) if x else sq_state["xs"]
@SQify
def renew(x):
    global sq_state
    sq_state = dict(x=x)
@SQify
def fails(x):
    global sq_state
    sq_state["x"] = x
    raise ValueError(x)
def later(x): return x
'''


@pytest.mark.parametrize("decorator", ["SQify", "STREAMify"])
def test_a_stateful_function_has_a_state_of_its_own(decorator):
    module = module_of(COUNTER.format(decorator=decorator))
    assert module.count(2) == 2
    assert module.count(3) == 5
    assert module.count.sq_state == {"n": 5}
    module.count.sq_state = {"n": 100}
    assert module.count(1) == 101
    assert module.outer(1) == {"seen": 1}
    assert module.outer.sq_state == {"seen": 1} and module.count.sq_state == {"n": 102}
    assert module.again(2) == [2, 1, 0]
    module.renew(7)
    assert module.renew.sq_state == {"x": 7}
    with pytest.raises(ValueError):
        module.fails(3)
    assert module.fails.sq_state == {"x": 3}
    assert not hasattr(module, "sq_state")
    assert (module.count.__name__, module.count.__doc__) == ("count", "Counts.")


def test_the_names_of_the_module_stay_visible_and_can_be_replaced():
    module = module_of(COUNTER.format(decorator="SQify"))
    module.later = lambda x: -x
    module.sq_state = "the module's own"
    assert module.count(2) == -2
    assert module.sq_state == "the module's own"


def test_a_function_without_state_is_itself():
    def f(x, k=2):
        return x * k

    assert SQify(f) is f and STREAMify(f) is f
    assert f(2, k=5) == 10
    assert f.sq_state == {}


def test_a_graph_cannot_be_called():
    @GRAPHify
    def main(trigger):
        """Joins."""

    assert main.__doc__ == "Joins."
    with pytest.raises(TTError, match="ticktalk simulate"):
        main(1)


@pytest.mark.parametrize(
    "name", ["TTConstraint", "TTDeadline", "TTFinishByOtherwise", "TTPlanB", "TTQuery", "TTSingleRunTimeout"]
)
def test_constructs_are_refused_outside_a_graph(name):
    with pytest.raises(TypeError, match=f"{name} means something in a @GRAPHify"):
        getattr(constructs, name)(1, x=2)
