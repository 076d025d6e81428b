"""One child process, held by a pidfd so that it can never be mistaken for another: signal it, look at it, reap it."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from bgtasksd.children.exits import Exit, exit_of


class Process:
    """A child of ours. Its pid cannot be reused before we reap it."""

    def __init__(self, pid: int, pidfd: int | None = None) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid) if pidfd is None else pidfd

    def fileno(self) -> int:
        """Return the pidfd: readable once the process has ended."""
        return self.pidfd

    def send_signal(self, number: signal.Signals) -> bool:
        """Send a signal; False when the process has ended already, which is normal."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def kill_group(self) -> None:
        """End what shares the process's group. Before the leader is reaped: until then the number is its own."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def has_ended(self) -> bool:
        """Tell whether the process is over, without reaping it."""
        with contextlib.suppress(ChildProcessError):
            return os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return True

    def reap(self) -> Exit | None:
        """Collect the ended process and say how it ended; None while it lives."""
        try:
            result = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return Exit()
        return None if result is None else exit_of(result.si_code, result.si_status)

    def stop(self, *, at_once: bool = False) -> None:
        """Ask the process to end, or kill it; for one that is held only for that."""
        self.send_signal(signal.SIGKILL if at_once else signal.SIGTERM)
        self.send_signal(signal.SIGCONT)
        self.close()

    def close(self) -> None:
        """Give the pidfd back."""
        os.close(self.pidfd)


def reap_strays(ours: set[int]) -> list[tuple[int, Exit]]:
    """Reap ended children that are not in `ours`, and return them; ours are left to their pidfd."""
    reaped = []
    for pid in children():
        if pid in ours:
            continue
        with contextlib.suppress(ChildProcessError):
            result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
            if result is not None:
                reaped.append((pid, exit_of(result.si_code, result.si_status)))
    return reaped


def children() -> list[int]:
    """Return the pids of our children, the adopted ones and the ended ones included."""
    me = os.getpid()
    try:
        return [int(pid) for pid in Path(f"/proc/{me}/task/{me}/children").read_text().split()]
    except OSError:
        return []


def _stat(pid: int) -> list[str]:
    """Return the fields of `/proc/<pid>/stat` after the command: the first one is field 3."""
    return _text(pid, "stat").rpartition(")")[2].split()


def _text(pid: int, name: str) -> str:
    """Return a file about a process. Raises OSError. Names need not be UTF-8: the kernel cuts them at 15 bytes."""
    return Path(f"/proc/{pid}/{name}").read_text(errors="replace")


def start_ticks(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot (field 22): no wall clock is involved."""
    try:
        return int(_stat(pid)[19])
    except (OSError, IndexError):
        return None


def parent(pid: int) -> int | None:
    """Return the pid of the process's parent."""
    try:
        return int(_stat(pid)[1])
    except (OSError, IndexError):
        return None


def run_state(pid: int) -> str:
    """Return R, S, D, T, Z … as the kernel shows it; empty when it cannot be seen."""
    try:
        return _stat(pid)[0]
    except (OSError, IndexError):
        return ""


def wait_channel(pid: int) -> str:
    """Return the kernel function the process waits in."""
    with contextlib.suppress(OSError):
        return _text(pid, "wchan") or "?"
    return "?"


def command(pid: int) -> str:
    """Return the command line, as far as it can be seen."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()[:200]
    return ""


def unshared_bytes(pid: int) -> int | None:
    """Return the memory the process shares with nobody (USS); None when it cannot be seen."""
    try:
        lines = _text(pid, "smaps_rollup").splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def boot_id() -> str:
    """Return what tells this boot of the machine from any other."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def handles(pid: int, number: signal.Signals) -> bool:
    """Tell whether a signal is on its way to a process, or its handler still runs: the kernel blocks it meanwhile."""
    try:
        lines = _text(pid, "status").split("\n")  # the name may hold what else ends a line
    except OSError:
        return False
    masks = dict(line.split(":\t") for line in lines if line.startswith(("ShdPnd", "SigBlk")))
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks.values())
