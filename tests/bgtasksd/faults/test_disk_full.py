"""F44: a full disk under runtime directory, log and spool."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from pathlib import Path

import pytest

from bgtasks.models import CompletedTask
from bgtasksd.directory import SOCKET_NAME
from bgtasksd.lock import owner_pid
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

CLONE_NEWNS = 0x20000


@pytest.fixture
def small_disk(tmp_path):
    """A function that mounts a disk of 64 KiB, in a mount namespace of our own."""
    if ctypes.CDLL(None).unshare(CLONE_NEWNS) != 0:
        pytest.skip("no mount namespace is to be had: needs root")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    place = tmp_path / "small"
    place.mkdir()

    def mount(**options: object) -> Path:
        given = ",".join(f"{name}={value}" for name, value in {"size": "64k", "mode": "0700", **options}.items())
        subprocess.run(["mount", "-t", "tmpfs", "-o", given, "tmpfs", str(place)], check=True)
        return place

    yield mount
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(path: Path) -> Path:
    """Append to a file until the disk is full."""
    for size in (4096, 1):
        with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
            while file.write(b"\n" * size):
                pass
    return path


def test_f44_on_a_full_disk_supervision_goes_on_and_what_the_log_lost_is_counted(make_daemon, small_disk):
    daemon = make_daemon(workers=2)
    disk = small_disk()
    daemon.runtime, log = disk / "run", disk / "log"
    daemon.start("--log-file", str(log))
    filler = fill(disk / "filler")
    before = fill(log).read_text()
    for slot in (1, 2):
        daemon.end_worker(slot)
    (daemon.runtime / SOCKET_NAME).unlink()
    tasks.quick(1)
    wait_until(lambda: CompletedTask.objects.count() == 1, SLOW_MACHINE)
    wait_until(lambda: daemon.command("status").returncode == 0, SLOW_MACHINE, "healthy again")
    assert "SIGKILL" not in log.read_text().removeprefix(before)
    filler.unlink()
    os.kill(daemon.worker_pids()[0], signal.SIGKILL)
    wait_until(lambda: "SIGKILL: killed from outside" in log.read_text(), SLOW_MACHINE)
    assert "dropped: the file could not be written" in log.read_text()
    daemon.assert_converged()
    assert not daemon.log_lines("a callback of the supervisor failed")
    assert daemon.end() == 0


def test_f44_a_disk_that_takes_no_pid_file_takes_a_daemon_all_the_same(make_daemon, small_disk):
    daemon = make_daemon(workers=1)
    disk = small_disk()
    daemon.runtime = disk / "run"
    daemon.runtime.mkdir()
    filler = fill(disk / "filler")
    daemon.start()
    assert len(daemon.log_lines("No space left on device")) == 1
    filler.unlink()
    wait_until((daemon.runtime / "bgtasksd.pid").exists, SLOW_MACHINE, "made when there is room")
    daemon.assert_converged()


def test_f44_a_start_in_the_background_tells_its_pid_without_a_pid_file(make_daemon, small_disk):
    daemon = make_daemon(workers=1)
    disk = small_disk()
    daemon.runtime = disk / "run"
    daemon.runtime.mkdir()
    (daemon.runtime / "bgtasksd.pid").write_text("1 2 3 4\n")
    fill(disk / "filler")
    started = daemon.command("start", "--daemon", "--workers", "1", "--log-file", str(daemon.directory / "log"))
    assert f"pid {daemon.status()['pid']}, " in started.stdout
    assert owner_pid(daemon.runtime) != 1, "who was here before"
    assert daemon.command("stop").returncode == 0


def test_f44_where_not_even_a_lock_can_be_made_the_start_is_refused_with_the_reason(make_daemon, small_disk):
    daemon = make_daemon(workers=1)
    daemon.runtime = small_disk(nr_inodes=2) / "run"
    daemon.start(is_awaited=False)
    assert daemon.wait_for_end() == 78
    assert daemon.log_lines("run.*No space left on device")
    assert not daemon.log_lines("Traceback")
