"""One daemon per directory: the lock that decides it, and the pid file that only people read."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

LOCK_NAME = "bgtasksd.lock"
PID_NAME = "bgtasksd.pid"
PATIENCE = 0.5
"""Seconds a start tries: a client that tests the lock holds it for an instant."""


class LockHeld(Exception):
    """Another daemon runs in this directory."""


class Lock:
    """The lock of one directory, ours until `release`, or the end of the last process that kept the descriptor.

    Children close `fileno()` after the fork: a surviving worker that kept it would refuse the next start.
    """

    def __init__(self, directory: str | Path, descriptor: int) -> None:
        self.directory = Path(directory)
        self.path = self.directory / LOCK_NAME
        self._descriptor = descriptor
        self._pid_file_of: int | None = None

    @classmethod
    def acquire(cls, directory: str | Path, patience: float = PATIENCE) -> Lock:
        """Take the lock of `directory`. Raises LockHeld when another process has it, OSError when there can be none."""
        deadline = time.monotonic() + patience
        while True:
            descriptor = os.open(
                Path(directory) / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640
            )
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                if time.monotonic() > deadline:
                    raise LockHeld(str(directory)) from None
                time.sleep(0.01)
                continue
            lock = cls(directory, descriptor)
            if lock.is_in_place():
                return lock
            # removed, directory and all, between our open and our lock: what we hold locks nobody out
            os.close(descriptor)

    def take_again(self) -> None:
        """Lock what lies at our path now, made if it is missing. The descriptor keeps its number.

        Raises LockHeld when somebody else was faster, without waiting, and OSError; what we hold is kept then.
        """
        new = Lock.acquire(self.directory, patience=0)
        try:
            os.dup2(new.fileno(), self._descriptor, inheritable=False)
        finally:
            os.close(new.fileno())

    def fileno(self) -> int:
        return self._descriptor

    def is_in_place(self) -> bool:
        """Return whether the path still leads to the file we locked."""
        try:
            there = self.path.stat()
        except OSError:
            return False
        ours = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def write_pid_file(self, version: str) -> None:
        """Say in `bgtasksd.pid` who we are: `pid starttime boot_id version`.

        Raises OSError, on a full disk for one; then there is none, rather than one that names who was here before.
        """
        text = f"{os.getpid()} {start_ticks(os.getpid())} {boot_id()} {version}\n"
        new = self.directory / f"{PID_NAME}.{os.getpid()}"
        try:
            new.write_text(text)
            new.replace(self.directory / PID_NAME)
        except OSError:
            for untrue in (new, self.directory / PID_NAME):
                untrue.unlink(missing_ok=True)
            raise
        self._pid_file_of = os.getpid()

    def release(self) -> None:
        """Remove the pid file if we wrote it, and give the lock up. The lock file stays: unlinking it would race."""
        path = self.directory / PID_NAME
        if self._pid_file_of == os.getpid() and owner_pid(self.directory) == os.getpid():
            path.unlink(missing_ok=True)
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # also for a child that has not yet closed its copy
        os.close(self._descriptor)


def is_held(directory: str | Path) -> bool:
    """Return whether some process holds the lock of `directory`. Raises PermissionError when we may not know."""
    try:
        descriptor = os.open(Path(directory) / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def is_free_within(directory: str | Path, seconds: float | None) -> bool:
    """Return whether the lock is let go of within so many seconds, waiting for it; None: for ever."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while is_held(directory):
        if deadline is not None and time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def owner_pid(directory: str | Path) -> int | None:
    """Return the pid in the pid file, or None. It is for messages: nothing is decided by it."""
    try:
        return int((Path(directory) / PID_NAME).read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def start_ticks(pid: int) -> int:
    """Return the start time of a process in clock ticks since boot: with the pid and the boot id, its identity."""
    text = Path(f"/proc/{pid}/stat").read_text(errors="replace")  # the command's name need not be UTF-8
    return int(text[text.rindex(")") + 2 :].split()[19])


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
