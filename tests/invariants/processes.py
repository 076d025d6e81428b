"""I1 to I5, I7 and I8: the supervisor's process and children, its status, its log, and what it tells systemd."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bgtasksd.children.process import parent, run_state
from tests.daemon import Daemon

STATES = {"starting", "running", "degraded", "failed", "reloading", "draining", "stopping"}


def broken_in_supervisor(daemon: Daemon, pid: int) -> list[str]:
    """Return what is broken of I1 and I2 at this moment, faults or not."""
    if daemon.is_over or daemon.pid != pid:
        return [f"I1: supervisor {pid} is gone"]
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    return [] if threads == 1 else [f"I2: the supervisor has {threads} threads"]


def broken_in_status(daemon: Daemon, seen: dict[str, Any]) -> list[str]:
    """Return what of I5 is broken at any moment: a pid that is shown is a process of this daemon, or just ended."""
    found = [] if seen["state"] in STATES else [f"I5: state {seen['state']!r}"]
    if seen["pid"] != daemon.pid:
        found.append(f"I5: status of pid {seen['pid']}, the supervisor is {daemon.pid}")
    for worker in seen["workers"]:
        pid = worker["pid"]
        if pid is not None and run_state(pid) not in ("", "Z", "X") and parent(pid) not in (daemon.pid, None):
            found.append(f"I5: worker {pid} is a child of {parent(pid)}")
    return found


def deaths_in(log: str, pid: int) -> list[str]:
    """Return the lines that tell the end of a worker."""
    return [line for line in log.splitlines() if re.search(rf"\bpid {pid} (died|left): ", line)]


def broken_in_log(log: str, pid: int, reason: str) -> list[str]:
    """Return what is broken of I7 for a worker that was killed: one line, with slot, pid and reason."""
    lines = deaths_in(log, pid)
    if len(lines) != 1:
        return [f"I7: {len(lines)} lines for the end of pid {pid}: {lines}"]
    is_whole = re.search(rf"\bw\d+ +pid {pid} died: .*{reason}", lines[0])
    return [] if is_whole else [f"I7: not slot, pid and {reason!r} in: {lines[0]}"]


def broken_in_notices(
    notices: Sequence[tuple[float, str]], watchdog: float, excused: Sequence[float] = (), *, was_killed: bool = False
) -> list[str]:
    """Return what is broken of I8 in what one supervisor told systemd, as (monotonic, line), from its start on.

    `watchdog`: the seconds that WATCHDOG_USEC allows; `excused`: moments at which the supervisor was stood still;
    `was_killed`: it could not end what it had begun.
    """
    found, ready_at, pinged_at, is_reloading = [], None, None, False
    for at, line in notices:
        if line == "READY=1":
            ready_at, is_reloading = ready_at or at, False
        elif line.startswith(("RELOADING=", "STOPPING=")) and ready_at is None:
            found.append(f"I8: {line} before READY")
        elif line in ("RELOADING=1", "STOPPING=1"):
            is_reloading = line == "RELOADING=1"  # a stop wins over a reload, and says so
        elif line == "WATCHDOG=1":
            late = pinged_at is not None and at - pinged_at > watchdog
            if late and not any(pinged_at - 1 <= moment <= at for moment in excused):
                found.append(f"I8: {at - pinged_at:.1f} s between two WATCHDOG")
            pinged_at = at
    if is_reloading and not was_killed:
        found.append("I8: RELOADING was never followed by READY or STOPPING")
    return found
