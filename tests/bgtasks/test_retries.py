"""How long a failed task waits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bgtasks.retries import LONGEST_DELAY, delay_after, heritage_delay, read_backoff

ERROR = ValueError("as asked")


def test_the_default_is_the_heritage_formula() -> None:
    assert [heritage_delay(attempts) for attempts in (1, 2, 3, 4)] == [6, 21, 86, 261]
    assert delay_after(1, None, ERROR, None) == 6


def test_twenty_five_attempts_wait_twenty_days_in_all() -> None:
    assert 20.3 < sum(heritage_delay(attempts) for attempts in range(1, 25)) / 86400 < 20.5


def test_the_last_of_a_sequence_repeats() -> None:
    assert [delay_after(attempts, [1, timedelta(minutes=1)], ERROR, None) for attempts in (1, 2, 3, 9)] == [
        1,
        60,
        60,
        60,
    ]


def test_seconds_and_timedeltas_are_constant() -> None:
    assert delay_after(7, 2.5, ERROR, None) == 2.5
    assert delay_after(7, timedelta(seconds=3), ERROR, None) == 3


def test_a_function_sees_the_error_and_the_task_and_may_end_the_retries() -> None:
    seen: list[Any] = []

    def backoff(error: BaseException, task: Any) -> float | None:
        seen.append((error, task))
        return None

    assert delay_after(1, backoff, ERROR, "task") is None
    assert seen == [(ERROR, "task")]


def test_a_negative_delay_is_none_at_all() -> None:
    assert delay_after(1, -5, ERROR, None) == 0


@pytest.mark.parametrize("endless", [1e20, float("inf"), 10**400, timedelta.max])
def test_no_wait_is_longer_than_a_calendar(endless: Any) -> None:
    assert delay_after(1, endless, ERROR, None) == LONGEST_DELAY
    assert delay_after(10_000, None, ERROR, None) == LONGEST_DELAY


@pytest.mark.parametrize("wrong", ["5s", True, object(), [1, "2"], float("nan")])
def test_what_is_no_backoff_is_refused_and_named(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a backoff is seconds"):
        read_backoff(wrong)


def test_an_empty_sequence_is_no_backoff() -> None:
    with pytest.raises(ValueError, match="empty"):
        read_backoff([])


def test_a_function_that_answers_nonsense_is_an_error() -> None:
    with pytest.raises(TypeError, match="'soon'"):
        delay_after(1, lambda error, task: "soon", ERROR, None)  # type: ignore[arg-type,return-value]
