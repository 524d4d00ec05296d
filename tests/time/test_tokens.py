"""Tokens are immutable: a value, the interval in which it holds, and the port to which it belongs."""

from __future__ import annotations

import pickle

import pytest

from ticktalk import TTClock, TTEmpty, TTTag, TTTime, TTToken

ROOT = TTClock.root()
TIME = TTTime(ROOT, 10, 20)


@pytest.mark.parametrize("attribute", ["value", "time", "tag", "new"])
def test_a_token_cannot_be_changed(attribute: str) -> None:
    token = TTToken(1, TIME)
    with pytest.raises(AttributeError, match="cannot be changed"):
        setattr(token, attribute, 2)
    assert token == TTToken(1, TIME)
    assert not hasattr(token, "__dict__")


def test_a_token_holds_its_value_interval_and_tag() -> None:
    tag = TTTag(3, "fuse-1", 1, "rsu")
    token = TTToken([1], TIME, tag)
    assert (token.value, token.time, token.tag) == ([1], TIME, tag)
    assert (tag.u, tag.sq, tag.p, tag.e) == (3, "fuse-1", 1, "rsu")
    assert TTToken(1, TIME).tag == TTTag()


@pytest.mark.parametrize("time", [None, (10, 20), 10, ROOT])
def test_a_tokens_time_is_an_interval(time: object) -> None:
    with pytest.raises(TypeError, match="second argument is its interval"):
        TTToken(1, time)


def test_tokens_are_equal_if_value_interval_and_tag_are() -> None:
    token = TTToken({"a": 1}, TIME, TTTag(1))
    assert token == TTToken({"a": 1}, TTTime(ROOT, 10, 20), TTTag(1))
    assert token != TTToken({"a": 2}, TIME, TTTag(1))
    assert token != TTToken({"a": 1}, TTTime(ROOT, 10, 21), TTTag(1))
    assert token != TTToken({"a": 1}, TIME, TTTag(2))
    assert token != {"a": 1}
    assert pickle.loads(pickle.dumps(token)) == token


def test_a_token_is_not_hashable_as_its_value_may_not_be() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(TTToken(1, TIME))


def test_the_empty_result_has_a_readable_repr() -> None:
    assert repr(TTEmpty()) == "TTEmpty()"
    with pytest.raises(AttributeError):
        TTEmpty().value = 1
