"""F11, F39, F40: workers that never come to anything, paced by progress and not by their exit code."""

from __future__ import annotations

import time

import pytest

from tests.daemon import SLOW_MACHINE
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

FAIL_IN_TURNS = """
import os
with open(__file__ + ".boots", "a+") as boots:
    boots.write("x")
    boots.seek(0)
    if len(boots.read()) % 2:
        raise ImportError("broken")
    os._exit(0)
"""


def break_new_workers(daemon, code: str) -> None:
    """Have every worker that boots from now on execute this while it imports its settings."""
    daemon.add_setting(code)


def deaths(daemon) -> int:
    return len(daemon.log_lines(r"w\d .* died"))


def test_f39_f11_workers_that_die_in_boot_or_leave_with_0_are_paced_and_open_the_breaker(make_daemon):
    daemon = make_daemon(workers=2, PRELOAD="none").start()
    break_new_workers(daemon, FAIL_IN_TURNS)
    begun = time.monotonic()
    daemon.end_worker(1)
    daemon.end_worker(2)
    wait_until(lambda: daemon.status()["state"] == "failed", within=60)
    assert time.monotonic() - begun > 0.8 * (0.5 + 1 + 2 + 4)
    assert deaths(daemon) <= 2 * 8
    assert daemon.log_lines(r"died: exit code 70 while booting")
    assert daemon.log_lines(r"died: exit code 0 while booting")
    assert daemon.log_lines(r"ImportError: broken")
    assert daemon.command("status").returncode == 1
    assert {"breaker_open", "slot_in_backoff"} <= {each["code"] for each in daemon.status()["problems"]}
    assert daemon.end() == 0


def test_f40_a_worker_that_always_dies_young_is_not_forgiven_by_its_respawn(make_daemon):
    daemon = make_daemon(workers=1, PRELOAD="none").start()
    break_new_workers(daemon, "import signal; signal.setitimer(signal.ITIMER_REAL, 1)")
    daemon.end_worker(1)
    begun = time.monotonic()
    wait_until(lambda: len(daemon.log_lines(r"w1 .*died: SIGALRM.*next in")) >= 3, within=2 * SLOW_MACHINE)
    assert time.monotonic() - begun > 0.8 * (0.5 + 1 + 2) + 3 - 1
    assert daemon.end() == 0
