"""F11, F39, F40: workers that never come to anything, paced by progress and not by their exit code."""

from __future__ import annotations

import time

import pytest

from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def break_new_workers(daemon, statement: str) -> None:
    """Have every worker that boots from now on execute a statement while it imports its settings."""
    settings = daemon.directory / "project_under_test.py"
    settings.write_text(settings.read_text() + f"\nimport os, signal\n{statement}\n")


def spawns(daemon, slot: int = 1) -> int:
    return len(daemon.log_lines(rf"w{slot} .* died"))


@pytest.mark.parametrize(
    ("statement", "reason"),
    [("raise ImportError('broken')", "exit code 70"), ("os._exit(0)", "exit code 0")],
    ids=["f39_import_error", "f11_exit_0"],
)
def test_f39_f11_workers_that_die_in_boot_are_paced_and_open_the_breaker(make_daemon, statement, reason):
    daemon = make_daemon(workers=1, PRELOAD="none").start()
    break_new_workers(daemon, statement)
    begun = time.monotonic()
    daemon.end_worker(1)
    wait_until(lambda: daemon.status()["state"] == "failed", within=40)
    assert time.monotonic() - begun > 0.8 * (0.5 + 1 + 2 + 4)
    assert spawns(daemon) <= 8
    assert daemon.log_lines(rf"w1 .*died: {reason}")
    asked = daemon.command("status")
    assert asked.returncode == 1
    assert {"breaker_open", "slot_in_backoff"} <= {each["code"] for each in daemon.status()["problems"]}
    assert daemon.end() == 0


def test_f40_a_worker_that_always_dies_young_is_not_forgiven_by_its_respawn(make_daemon):
    daemon = make_daemon(workers=1, PRELOAD="none").start()
    break_new_workers(daemon, "signal.setitimer(signal.ITIMER_REAL, 1)")
    daemon.end_worker(1)
    begun = time.monotonic()
    wait_until(lambda: spawns(daemon) >= 4, within=60)
    assert time.monotonic() - begun > 0.8 * (0.5 + 1 + 2) + 3
    assert len(daemon.log_lines(r"w1 .*died: SIGALRM.*next in")) >= 3
    assert daemon.end() == 0
