"""F46: the runtime directory, or a part of it, goes away under a running daemon."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bgtasks.models import CompletedTask
from bgtasksd.directory import SOCKET_NAME
from bgtasksd.lock import LOCK_NAME, PID_NAME, Lock, is_held, owner_pid
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def is_whole(runtime: Path, pid: int) -> bool:
    return is_held(runtime) and (runtime / SOCKET_NAME).is_socket() and owner_pid(runtime) == pid


def remove(runtime: Path, name: str) -> None:
    if name == "directory":
        shutil.rmtree(runtime)
    else:
        (runtime / name).unlink()


def problems(daemon) -> set[str]:
    return {each["code"] for each in daemon.status()["problems"]}


def assert_all_is_as_before(daemon, workers: list[int]) -> None:
    wait_until(lambda: is_whole(daemon.runtime, daemon.pid), SLOW_MACHINE, f"made again; log:\n{daemon.log}")
    wait_until(lambda: daemon.command("status").returncode == 0, SLOW_MACHINE, "healthy through the path")
    second = daemon.command("start", "--workers", "1")
    assert second.returncode == 73, second.stderr
    assert f"pid {daemon.pid}" in second.stderr
    assert daemon.worker_pids() == workers
    daemon.assert_converged()


@pytest.mark.parametrize("gone", ["directory", SOCKET_NAME, LOCK_NAME, PID_NAME])
def test_f46_what_was_removed_from_the_runtime_directory_is_made_again(make_daemon, gone):
    daemon = make_daemon(workers=2).start()
    workers = daemon.worker_pids()
    tasks.nap(1.0)
    daemon.busy_worker("nap")
    remove(daemon.runtime, gone)
    code = daemon.command("status").returncode
    assert code != 0 or gone == PID_NAME or is_whole(daemon.runtime, daemon.pid)  # asked late: it was quicker
    assert_all_is_as_before(daemon, workers)
    assert len(daemon.log_lines("under the running daemon: made again")) == 1
    assert daemon.runtime.stat().st_mode & 0o777 == 0o700
    assert (daemon.runtime / SOCKET_NAME).stat().st_mode & 0o777 == 0o600
    wait_until(lambda: CompletedTask.objects.count() == 1, SLOW_MACHINE)
    assert CompletedTask.objects.get().attempts == 1
    assert daemon.command("stop").returncode == 0
    assert daemon.wait_for_end() == 0
    assert {entry.name for entry in daemon.runtime.iterdir()} <= {LOCK_NAME}


def test_f46_where_somebody_else_has_the_lock_by_then_it_stays_degraded_until_that_ends(make_daemon, tmp_path):
    daemon = make_daemon(workers=1).start()
    workers = daemon.worker_pids()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = Lock.acquire(elsewhere)
    other.write_pid_file("0")
    for name in (PID_NAME, LOCK_NAME):
        (elsewhere / name).replace(daemon.runtime / name)  # a rename leaves no moment without a lock
    assert "runtime_dir_lost" in problems(daemon)  # at once, not at the next look
    wait_until(lambda: daemon.log_lines(rf"another process \(pid {os.getpid()}\) has the lock"), SLOW_MACHINE)
    assert daemon.command("status").returncode == 1
    assert owner_pid(daemon.runtime) == os.getpid()
    assert daemon.worker_pids() == workers
    other.release()
    assert_all_is_as_before(daemon, workers)
    assert len(daemon.log_lines("has the lock")) == 1


def test_f46_what_cannot_be_made_again_is_said_once_and_tried_until_it_can(make_daemon):
    daemon = make_daemon(workers=1).start()
    workers = daemon.worker_pids()
    away = daemon.directory / "away"
    daemon.runtime.rename(away)
    daemon.runtime.touch()  # in the way, for root too
    wait_until(lambda: daemon.log_lines("not to be made again"), SLOW_MACHINE)
    assert daemon.command("status").returncode != 0
    daemon.runtime.unlink()
    assert_all_is_as_before(daemon, workers)
    assert len(daemon.log_lines("not to be made again")) == 1
