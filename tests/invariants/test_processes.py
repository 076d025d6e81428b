"""The checkers of I7 and I8 find what they are there for."""

from __future__ import annotations

import pytest

from tests.invariants.processes import broken_in_log, broken_in_notices

DEATH = "12:00:00  w3  pid 42 died: SIGKILL: killed from outside; task 7 shop.tasks.pay ran 0.3 s"


@pytest.mark.parametrize(
    ("log", "is_broken"),
    [
        (DEATH, False),
        (DEATH.replace("42", "421"), True),
        (f"{DEATH}\n{DEATH}", True),
        (DEATH.replace("killed from outside", "out of memory"), True),
        (DEATH.replace("w3  ", ""), True),
    ],
)
def test_i7_wants_one_line_with_slot_pid_and_reason(log, is_broken):
    assert bool(broken_in_log(log, 42, "killed from outside")) is is_broken


@pytest.mark.parametrize(
    ("lines", "excused", "text"),
    [
        ([(0, "EXTEND_TIMEOUT_USEC=1"), (1, "READY=1"), (2, "WATCHDOG=1"), (6, "WATCHDOG=1")], [], ""),
        ([(1, "READY=1"), (2, "WATCHDOG=1"), (9, "WATCHDOG=1")], [], "between two WATCHDOG"),
        ([(1, "READY=1"), (2, "WATCHDOG=1"), (9, "WATCHDOG=1")], [3], ""),
        ([(1, "RELOADING=1"), (2, "READY=1")], [], "before READY"),
        ([(1, "READY=1"), (2, "RELOADING=1")], [], "never followed"),
        ([(1, "READY=1"), (2, "RELOADING=1"), (3, "READY=1"), (4, "STOPPING=1")], [], ""),
        ([(1, "READY=1"), (2, "RELOADING=1"), (3, "STOPPING=1")], [], ""),
    ],
)
def test_i8_wants_ready_first_pings_in_time_and_an_end_to_every_reload(lines, excused, text):
    found = broken_in_notices(lines, 5, excused)
    assert found[0].find(text) > 0 if text else not found


def test_i8_asks_no_end_of_a_reload_of_a_supervisor_that_was_killed():
    assert not broken_in_notices([(1, "READY=1"), (2, "RELOADING=1")], 5, was_killed=True)
