"""Who this process is, in words that another process of the same boot can check; and whether such a process is gone."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

LONGEST_NAME = 128
"""What the column `locked_by` holds."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process, unmistakably: a pid alone is used again, on another host it means nothing."""

    host: str
    boot_id: str
    """Empty where the system has none: then nothing is ever proven."""
    pid_namespace: str
    pid: int
    start_ticks: int
    """Field 22 of `/proc/<pid>/stat`: clock ticks since the boot."""


def this_process() -> Identity:
    """Return the identity of the calling process. Ask again after a fork."""
    pid = os.getpid()
    status = _read_status(pid)
    return Identity(
        host=socket.gethostname(),
        boot_id=_read("/proc/sys/kernel/random/boot_id"),
        pid_namespace=_pid_namespace(),
        pid=pid,
        start_ticks=status.start_ticks if status else 0,
    )


def is_gone(identity: Identity) -> bool:
    """Say whether a process is proven to have ended. What cannot be checked from here counts as living."""
    here = this_process()
    place = (identity.host, identity.boot_id, identity.pid_namespace)
    if not here.boot_id or place != (here.host, here.boot_id, here.pid_namespace):
        return False
    try:
        os.kill(identity.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it belongs to another user, and it lives
    status = _read_status(identity.pid)
    # A missing /proc/<pid> proves nothing: ProtectProc=invisible hides living processes of other users.
    return status is not None and (status.start_ticks != identity.start_ticks or status.is_zombie)


def worker_name(host: str, instance: str, slot: int | str) -> str:
    """Return a name that no other worker ever had: `host:instance:slot:nonce`."""
    rest = f":{instance}:{slot}:{secrets.token_hex(4)}"
    return host[: LONGEST_NAME - len(rest)] + rest


@dataclass(frozen=True, slots=True)
class _Status:
    start_ticks: int
    is_zombie: bool


def _read_status(pid: int) -> _Status | None:
    """Return what `/proc/<pid>/stat` says; None where it is not to be seen."""
    # The second field is the command's name in parentheses, which may hold spaces and parentheses itself.
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < 20:
        return None
    # A process whose first thread alone has ended is shown as a zombie too, but with more than one thread.
    return _Status(start_ticks=int(fields[19]), is_zombie=fields[0] in "ZX" and int(fields[17]) <= 1)


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
