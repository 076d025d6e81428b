"""F23, F27: tasks that write over what is the worker's: its line to the supervisor, and the standard streams."""

from __future__ import annotations

from pathlib import Path

import pytest

from bgtasks.models import CompletedTask
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def test_f23_what_a_task_puts_over_the_line_to_the_supervisor_costs_that_worker_and_nothing_else(make_daemon):
    daemon = make_daemon(workers=2).start()
    for number, kind in enumerate(("nonsense", "a file", "nothing")):
        tasks.spoil_line(number, kind)
        spoiled = wait_until(lambda: daemon.ledger("spoiled")[number:], SLOW_MACHINE)[0]["pid"]  # noqa: B023
        wait_until(lambda: spoiled not in daemon.worker_pids(), SLOW_MACHINE, kind)  # noqa: B023
        assert len(daemon.log_lines(rf"pid {spoiled} (left|died): damaged")) == 1
        daemon.assert_converged()
    wait_until(lambda: CompletedTask.objects.count() == 3, SLOW_MACHINE)
    assert {(each.attempts, each.failed_at) for each in CompletedTask.objects.all()} == {(1, None)}
    assert not daemon.log_lines("a callback of the supervisor failed")


def test_f27_100_mb_without_a_newline_and_streams_taken_away_block_nobody_and_the_log_goes_on(make_daemon):
    daemon = make_daemon(workers=2)
    daemon.start()
    for number, kind in enumerate(("flood", "close", "replace")):
        tasks.spoil_output(number, kind)
    wait_until(lambda: CompletedTask.objects.count() == 3, 60)
    assert {each.attempts for each in CompletedTask.objects.all()} == {1}
    assert daemon.log_file.stat().st_size > 100 * 2**20
    for number in range(10):
        tasks.quick(10 + number)
    wait_until(lambda: CompletedTask.objects.count() == 13, SLOW_MACHINE)
    wait_until(lambda: log_after_the_flood(daemon).count(b"tasks.quick") == 10, SLOW_MACHINE)
    daemon.log_file.write_bytes(log_after_the_flood(daemon))
    daemon.assert_converged()


def log_after_the_flood(daemon) -> bytes:
    """Return the log without what the task has written there."""
    return daemon.log_file.read_bytes().replace(b"x" * 2**20, b"")


def test_a_project_that_gives_its_processes_a_name_the_kernel_cuts_inside_a_letter_works(make_daemon):
    daemon = make_daemon(workers=2)
    daemon.add_setting("import ctypes")
    daemon.add_setting("ctypes.CDLL(None).prctl(15, 'загрузка'.encode(), 0, 0, 0)")
    daemon.start()
    assert b"\xd0\n" in Path(f"/proc/{daemon.worker_pids()[0]}/comm").read_bytes()
    assert daemon.command("stacks").returncode == 0
    daemon.assert_converged()
