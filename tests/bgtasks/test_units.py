"""Durations and sizes, read and written."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgtasks.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("2d", 172800),
        ("500ms", 0.5),
        ("1 h 30 min", 5400),
        (7, 7),
    ],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "value",
    ["", "soon", "5x", "-3", -1, True, None, float("nan"), float("inf"), "5m later", [], "36526d", "9" * 400, 10**400],
)
def test_what_is_no_duration_is_refused_and_named(value: object) -> None:
    with pytest.raises(ValueError, match="is not a duration") as caught:
        parse_duration(value)  # type: ignore[arg-type]
    assert repr(value) in str(caught.value)


def test_a_timedelta_is_a_duration() -> None:
    assert parse_duration(timedelta(minutes=2)) == 120


@pytest.mark.parametrize(("text", "size"), [("300M", 300 << 20), ("1.5G", 3 << 29), ("1024", 1024), ("64KiB", 65536)])
def test_sizes_are_binary(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("value", ["", "big", "-1", -1, True, None, "3X", 1.5, "9" * 400])
def test_what_is_no_size_is_refused_and_named(value: object) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0004, "0.4 ms"), (0.21, "0.21 s"), (6, "6 s"), (12.3, "12 s"), (240, "4 min"), (10260, "2 h 51 min"),
     (7200, "2 h"), (259200, "3 d")],
)  # fmt: skip
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(118 << 20, "118 MB"), (3 << 29, "1.5 GB"), (640 << 10, "640 KB")])
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(0, 10**9))
def test_a_whole_number_of_seconds_survives_the_round_trip(seconds: int) -> None:
    assert parse_duration(str(seconds)) == parse_duration(f"{seconds}s") == seconds


@given(st.text())
def test_no_text_breaks_the_readers(text: str) -> None:
    for read in (parse_duration, parse_size):
        with contextlib.suppress(ValueError):
            assert read(text) >= 0
