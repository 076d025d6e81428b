"""How a process ended, in words: exit code, signal, and whether the kernel's out-of-memory killer did it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Exit:
    """What `waitid` said. All three unknown when somebody else has reaped the process."""

    code: int | None = None
    signal: int | None = None
    core: bool = False

    def __str__(self) -> str:
        if self.signal is not None:
            return f"{signal_name(self.signal)}{' (core dumped)' if self.core else ''}"
        return "exit status unknown" if self.code is None else f"exit code {self.code}"


def exit_of(code: int, status: int) -> Exit:
    """Return the Exit for the `si_code` and `si_status` of a wait."""
    if code == os.CLD_EXITED:
        return Exit(code=status)
    return Exit(signal=status, core=code == os.CLD_DUMPED)


def signal_name(number: int) -> str:
    """Return SIGKILL for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


OF_LATE = 2.0
"""Seconds for which a rise of the counter explains deaths: of several that were ended at once one is seen first."""


class OomCounter:
    """The cgroup's count of processes ended for want of memory; a rise explains a SIGKILL that was not ours."""

    def __init__(self, membership: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")) -> None:
        self._file = _counter_file(membership, mount)
        self._seen = self._read()
        self._unexplained = 0
        self._risen_at = 0.0

    def explains_a_kill(self) -> bool:
        """Tell whether the count has risen of late by a process that no other answer has accounted for."""
        before, self._seen = self._seen, self._read()
        if self._seen > before:
            self._unexplained, self._risen_at = self._seen - before, time.monotonic()
        if self._unexplained <= 0 or time.monotonic() - self._risen_at > OF_LATE:
            return False
        self._unexplained -= 1
        return True

    def _read(self) -> int:
        try:
            lines = self._file.read_text().splitlines() if self._file else []
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def _counter_file(membership: Path, mount: Path) -> Path | None:
    """Return `memory.events` (cgroup v2) or `memory.oom_control` (v1) of this process's group."""
    try:
        lines = membership.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    groups = {controllers: path.lstrip("/") for _, controllers, path in (line.split(":", 2) for line in lines)}
    candidates = []
    if "memory" in groups:
        candidates.append(mount / "memory" / groups["memory"] / "memory.oom_control")
    if "" in groups:
        candidates.append(mount / groups[""] / "memory.events")
    return next((file for file in candidates if file.exists()), None)
