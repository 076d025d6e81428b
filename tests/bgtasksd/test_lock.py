"""The lock decides, whatever files lie around; the pid file is only text."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bgtasksd.lock import LOCK_NAME, PID_NAME, Lock, LockHeld, boot_id, is_held, owner_pid, start_ticks
from tests.waiting import wait_until


def test_a_second_lock_is_refused_while_the_first_lives(tmp_path) -> None:
    lock = Lock.acquire(tmp_path)
    assert is_held(tmp_path)
    with pytest.raises(LockHeld):
        Lock.acquire(tmp_path, patience=0.05)
    lock.release()
    assert not is_held(tmp_path)
    Lock.acquire(tmp_path).release()


def test_the_lock_file_is_private_to_the_group_and_never_removed(tmp_path) -> None:
    Lock.acquire(tmp_path).release()
    assert (tmp_path / LOCK_NAME).stat().st_mode & 0o777 == 0o640
    inode = (tmp_path / LOCK_NAME).stat().st_ino
    Lock.acquire(tmp_path).release()
    assert (tmp_path / LOCK_NAME).stat().st_ino == inode


def test_sigkill_frees_the_lock(tmp_path) -> None:
    program = (
        "import sys, time; from bgtasksd.lock import Lock; lock = Lock.acquire(sys.argv[1]); print(); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-uc", program, str(tmp_path)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        assert is_held(tmp_path)
        owner.kill()
    assert not is_held(tmp_path)


def test_a_child_that_still_has_the_descriptor_does_not_keep_a_released_lock(tmp_path) -> None:
    lock = Lock.acquire(tmp_path)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    lock.release()
    assert not is_held(tmp_path)
    os.close(writer)
    os.close(reader)
    os.waitpid(child, 0)


def test_stale_files_do_not_matter(tmp_path) -> None:
    (tmp_path / LOCK_NAME).write_text("whatever")
    (tmp_path / PID_NAME).write_text("1 2 3 4\n")
    assert not is_held(tmp_path)
    Lock.acquire(tmp_path).release()
    assert owner_pid(tmp_path) == 1, "a pid file that is not ours stays"


def test_the_pid_file_says_who_and_goes_with_its_writer(tmp_path) -> None:
    lock = Lock.acquire(tmp_path)
    lock.write_pid_file("1.0")
    assert (tmp_path / PID_NAME).read_text() == f"{os.getpid()} {start_ticks(os.getpid())} {boot_id()} 1.0\n"
    lock.release()
    assert not (tmp_path / PID_NAME).exists()


@pytest.mark.parametrize("text", ["", "abc", "\n"])
def test_a_broken_pid_file_is_nobody(tmp_path, text) -> None:
    (tmp_path / PID_NAME).write_text(text)
    assert owner_pid(tmp_path) is None


def test_a_removed_directory_is_noticed(tmp_path) -> None:
    place = tmp_path / "run"
    place.mkdir()
    lock = Lock.acquire(place)
    assert lock.is_in_place()
    shutil.rmtree(place)
    assert not lock.is_in_place()
    place.mkdir()
    (place / LOCK_NAME).touch()
    assert not lock.is_in_place()
    lock.release()


def test_a_removed_lock_can_be_taken_again_on_the_same_descriptor_unless_somebody_was_faster(tmp_path) -> None:
    lock = Lock.acquire(tmp_path)
    lock.path.unlink()
    before, number = len(list(Path("/proc/self/fd").iterdir())), lock.fileno()
    other = Lock.acquire(tmp_path)
    with pytest.raises(LockHeld):
        lock.take_again()
    other.release()
    lock.take_again()
    assert lock.is_in_place()
    assert is_held(tmp_path)
    assert (lock.fileno(), len(list(Path("/proc/self/fd").iterdir()))) == (number, before)
    assert not os.get_inheritable(number)
    lock.release()
    assert not is_held(tmp_path)


def test_a_symbolic_link_is_not_followed(tmp_path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / LOCK_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        Lock.acquire(tmp_path)


def test_of_many_starts_at_once_exactly_one_wins_although_clients_test_the_lock(tmp_path) -> None:
    """Two descriptions of one file exclude each other inside one process as they do between two."""
    is_over = threading.Event()
    tester = threading.Thread(target=_test_all_the_time, args=(tmp_path, is_over))
    tester.start()
    for turn in range(60):
        place = tmp_path / str(turn % 4)
        place.mkdir(exist_ok=True)
        won = _race(place, starters=3)
        assert len(won) == 1, f"round {turn}"
        won[0].release()
    is_over.set()
    tester.join()


def _test_all_the_time(directory: Path, is_over: threading.Event) -> None:
    while not is_over.is_set():
        for turn in range(4):
            is_held(directory / str(turn))


def _race(directory: Path, starters: int) -> list[Lock]:
    won: list[Lock] = []
    ready = threading.Barrier(starters)

    def start() -> None:
        ready.wait()
        try:
            won.append(Lock.acquire(directory, patience=0.05))
        except LockHeld:
            return

    threads = [threading.Thread(target=start) for _ in range(starters)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


def test_a_start_waits_for_a_client_that_tests_the_lock(tmp_path) -> None:
    first = Lock.acquire(tmp_path)
    threading.Timer(0.1, first.release).start()
    Lock.acquire(tmp_path, patience=5).release()
    assert wait_until(lambda: not is_held(tmp_path))
