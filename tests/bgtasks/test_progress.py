"""Progress as text and in words, and what is no progress."""

from __future__ import annotations

import fractions
import json
from typing import Any

import pytest

from bgtasks import Progress, TaskContext, background, current_context
from bgtasks.execution import execute
from bgtasks.progress import progress_in, read_progress, stored_form
from bgtasks.queue.types import Result
from tests.bgtasks.claims_for_tests import claim_for


@background(name="progress.telling", takes_context=True, max_attempts=1)
def telling(context: TaskContext, *steps: Any) -> None:
    for step in steps:
        context.progress(*step)
    if not steps:
        raise ValueError("nothing to do")


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ((0, 10, ""), "0 of 10 (0 %)"),
        ((999, 1000, "almost"), "999 of 1,000 (99 %), almost"),
        ((1000, 1000, ""), "1,000 of 1,000 (100 %)"),
        ((2.5, 10, ""), "2.5 of 10 (25 %)"),
        ((12, 10, ""), "12 of 10 (120 %)"),
        ((12_345, None, "rows"), "12,345, rows"),
        ((0, 0, ""), "0 of 0"),
        ((fractions.Fraction(1, 2), 1, ""), "0.5 of 1 (50 %)"),
    ],
)
def test_in_words(told: tuple[Any, Any, str], words: str) -> None:
    assert read_progress(*told).in_words() == words


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ((-1, None, ""), r"done=-1: it must be from 0 to 1,000,000,000,000,000"),
        ((float("nan"), None, ""), r"done=nan: it must be from 0"),
        ((1, float("inf"), ""), r"total=inf: it must be from 0"),
        ((10**400, None, ""), r"done=1000.*: it must be from 0"),
        (("5", None, ""), r"done='5': it must be a number"),
        ((True, None, ""), r"done=True: it must be a number"),
        ((1, "all", ""), r"total='all': it must be a number"),
        ((1, None, None), r"message=None: it must be a string"),
        ((1, None, "x" * 201), r"the message has 201 characters, at most 200 are kept"),
        ((1, None, "a\x00b"), r"NUL and halves of surrogate pairs cannot be stored"),
        ((1, None, "\ud800"), r"NUL and halves of surrogate pairs cannot be stored"),
    ],
)
def test_what_is_no_progress_is_refused_by_name_inside_and_outside_of_a_task(told: Any, what: str) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"^progress\(\): .*{what}"):
        current_context().progress(*told)


@pytest.mark.parametrize("told", [(1, 3, "eins"), (0.25, 1, ""), (5, None, "\U0001f40d" * 200), (1, 2, "\x1f" * 200)])
def test_what_is_kept_is_read_back_and_fits_into_the_page_of_a_worker(told: Any) -> None:
    text = stored_form(read_progress(*told))
    assert progress_in(text) == Progress(*told)
    assert len(text.encode()) < 1500


@pytest.mark.parametrize(
    "text", [None, "", "not JSON", "[]", "17", '{"done": 1}', '{"done": -1, "total": 2, "message": ""}']
)
def test_a_text_of_somebody_else_is_no_progress(text: str | None) -> None:
    assert progress_in(text) is None


def test_the_last_one_stands_in_the_outcome_and_each_is_told() -> None:
    heard: list[str] = []
    outcome = execute(
        claim_for("progress.telling", [1, 3], [2, 3, "more"]), tell=lambda claim, text: heard.append(text)
    )
    assert [json.loads(each)["done"] for each in heard] == [1, 2]
    assert outcome.progress == heard[-1]
    assert not outcome.can_wait


def test_a_bad_one_fails_the_attempt_and_leaves_the_one_before() -> None:
    outcome = execute(claim_for("progress.telling", [1, 3], [-2]))
    assert outcome.result is Result.FAILED
    assert outcome.progress == '{"done": 1, "total": 3, "message": ""}'


def test_who_tells_nothing_has_none() -> None:
    assert execute(claim_for("progress.telling")).progress is None
    current_context().progress(5)
    assert current_context().told is None
