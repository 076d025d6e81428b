"""Why a worker ended: every combination of facts has exactly one reason, and every reason is found."""

from __future__ import annotations

import itertools

import pytest

from bgtasks.queue.types import Ending
from bgtasksd.children.exits import Exit
from bgtasksd.supervisor.child import Cause
from bgtasksd.supervisor.verdicts import REASONS, RETIRED, verdict_on

PUBLISHED = {
    *("max_age", "max_memory", "max_tasks", "reload", "scale", "retired", "stopped"),
    *("time_limit", "memory_limit", "cancelled", "claim_lost", "stuck", "killed"),
    *("out_of_memory", "signal", "exit_code", "boot_failure", "damaged"),
}
"""As the documentation lists them."""
EXITS = [
    Exit(),
    Exit(code=0),
    Exit(code=3),
    Exit(code=70),
    Exit(code=71),
    Exit(signal=9),
    Exit(signal=11, core=True),
    Exit(signal=15),
]
COMBINATIONS = [
    dict(zip(("exit_", "bye", "cause", "has_booted", "was_killed", "oom"), each, strict=True))
    for each in itertools.product(
        EXITS, ["", *RETIRED, "stuck", "whatever"], [None, *Cause], [False, True], [False, True], [False, True]
    )
]
BECOMES = {
    **{reason: {Ending.CRASHED} for reason in PUBLISHED},
    **{reason: {Ending.LIMIT} for reason in ("time_limit", "memory_limit")},
    "killed": {Ending.OPERATOR},
    "stopped": {Ending.STOPPED},
    "cancelled": {Ending.CANCELLED},
    "claim_lost": {Ending.LEASE_LOST},
    "stuck": {Ending.CRASHED, Ending.STOPPED},
    **{reason: {Ending.STOPPED} for reason in RETIRED},
}
"""What that makes of a task it held; one that leaves by itself holds none."""


def test_the_reasons_are_those_that_are_published():
    assert REASONS == PUBLISHED


def test_every_combination_of_facts_has_one_reason_and_every_reason_is_found():
    verdicts = [verdict_on(**each) for each in COMBINATIONS]
    assert {each.label for each in verdicts} == PUBLISHED
    assert all(each.reason for each in verdicts)
    for each in verdicts:
        assert Ending(each.ending) in BECOMES[each.label], each


@pytest.mark.parametrize("cause", Cause)
def test_our_own_reason_counts_only_for_a_kill_of_ours(cause):
    facts = {"bye": "", "cause": cause, "has_booted": True, "oom": False}
    assert verdict_on(Exit(signal=9), was_killed=True, **facts).label == cause
    assert verdict_on(Exit(signal=9), was_killed=False, **facts).label == "signal"


def test_only_what_left_by_itself_or_was_to_end_is_planned():
    planned = {each.label for each in (verdict_on(**facts) for facts in COMBINATIONS) if each.is_planned}
    assert planned == {*RETIRED, "cancelled", "killed"} - {"damaged"}
