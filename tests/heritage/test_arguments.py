"""COMPATIBILITY 1.6: the stored form of arguments, the hash, and what cannot be stored."""

from __future__ import annotations

import hashlib
import uuid
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from hypothesis import given
from hypothesis import strategies as st

from bgtasks.arguments import decode, encode, encode_call, hash_of
from bgtasks.exceptions import TaskArgumentError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def sell(order: Any, note: Any = None, **others: Any) -> None: ...


def test_the_stored_form_is_the_heritage_s() -> None:
    assert encode([1], {}) == "[[1], {}]"
    assert encode(["ä"], {"b": 1, "a": None}) == '[["\\u00e4"], {"a": null, "b": 1}]'


def test_the_hash_is_the_heritage_s() -> None:
    params = encode([1], {})
    assert hash_of("shop.tasks.sell", params) == hashlib.sha1(b"shop.tasks.sell[[1], {}]").hexdigest()
    assert len(hash_of("ä" * 255, params)) == 40


def test_what_makes_calls_equal() -> None:
    assert encode([], {"a": 1, "b": 2}) == encode([], {"b": 2, "a": 1})
    assert encode([(1, 2)], {}) == encode([[1, 2]], {})
    assert encode([1], {}) != encode([], {"order": 1})


def test_integer_keys_come_back_as_strings() -> None:
    assert decode(encode([{1: "a"}], {})) == ([{"1": "a"}], {})


@given(st.lists(JSON), st.dictionaries(st.text(), JSON))
def test_what_json_holds_comes_back_unchanged(args: list[Any], kwargs: dict[str, Any]) -> None:
    assert decode(encode(args, kwargs)) == (args, kwargs)


class Strange:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "kind", "remedy"),
    [
        (datetime(2030, 1, 1), "datetime.datetime", "isoformat"),  # noqa: DTZ001
        (date(2030, 1, 1), "datetime.date", "isoformat"),
        (uuid.uuid4(), "uuid.UUID", "str(value)"),
        (Decimal("1.5"), "decimal.Decimal", "str(value)"),
        ({1, 2}, "builtins.set", "sorted"),
        (b"x", "builtins.bytes", "decode"),
        (float("nan"), "builtins.float", "None"),
        (float("-inf"), "builtins.float", "None"),
        (User(pk=3, username="eve"), "User", "value.pk"),
        ({1: "a", "b": 2}, "builtins.dict", "not supported between"),
        ({(1, 2): "a"}, "builtins.dict", "keys must be"),
        (Strange(), "Strange", "a value"),
        pytest.param(10**5000, "builtins.int", "4300", id="huge"),
    ],
)
def test_what_json_cannot_hold_is_refused_naming_task_argument_type_and_remedy(
    value: Any, kind: str, remedy: str
) -> None:
    for args, kwargs, argument in (
        ((value,), {}, "order"),
        ((1,), {"note": value}, "note"),
        ((1, [value]), {}, "note"),
    ):
        with pytest.raises(TaskArgumentError) as caught:
            encode_call("shop.tasks.sell", sell, args, kwargs)
        assert isinstance(caught.value, TypeError)
        for named in ("shop.tasks.sell", f"argument '{argument}'", kind, remedy):
            assert named in str(caught.value)


def test_the_place_within_a_nested_argument_is_named() -> None:
    with pytest.raises(TaskArgumentError, match=r"argument 'order'.*at \['lines'\]\[1\]\['price'\]"):
        encode_call("t", sell, [{"lines": [{"price": 1}, {"price": Decimal(2)}]}], {})


def test_circular_and_bottomless_arguments_are_refused_not_crashed() -> None:
    circular: list[Any] = []
    circular.append(circular)
    bottomless: list[Any] = []
    for _ in range(100_000):
        bottomless = [bottomless]
    for value in (circular, bottomless):
        with pytest.raises(TaskArgumentError, match="argument 'order'"):
            encode_call("t", sell, [value], {})


def test_more_arguments_than_parameters_are_counted() -> None:
    with pytest.raises(TaskArgumentError, match="argument 'number 3'"):
        encode_call("t", sell, [1, 2, {3}], {})
