"""What we tell systemd: READY, STATUS, WATCHDOG, STOPPING, more time. Silent where no systemd listens."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path

LONGEST_WATCHDOG_INTERVAL = 5.0
LASTING = ("READY=1", "STOPPING=1", "RELOADING=1", "MONOTONIC_USEC=")
"""What must be heard however late, each message by itself and in its order."""
MOST_UNHEARD = 10
_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class Notifier:
    """Sends the lines of sd_notify without ever blocking; without an address it does nothing."""

    def __init__(self, address: str = "", watchdog_interval: float | None = None) -> None:
        self.watchdog_interval = watchdog_interval
        """Seconds between two pings, None without a watchdog: the loop must turn at least that often."""
        self._waiting: tuple[Callable[[], None], int] | None = None
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._status = ""
        self._unheard: list[tuple[str, ...]] = []
        self._pinged_at = float("-inf")

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str] = os.environ) -> Notifier:
        """Read what systemd says and drop it from the environment: children must not notify."""
        given = {name: environ.pop(name, "") for name in _VARIABLES}
        interval = None
        if given["WATCHDOG_USEC"].isdigit() and given["WATCHDOG_PID"] in ("", str(os.getpid())):
            interval = min(int(given["WATCHDOG_USEC"]) / 3_000_000, LONGEST_WATCHDOG_INTERVAL)
        return cls(given["NOTIFY_SOCKET"], interval or None)

    def ready(self, status: str = "") -> None:
        """Every worker is up (or up again)."""
        self._send("READY=1", *self._new_status(status))
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting[0]()

    def reloading(self) -> None:
        """Options and code are read again; READY follows, whatever comes of it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def call_when_ready(self, call: Callable[[], None], descriptor: int) -> None:
        """Call `call` with the first READY; somebody waits at the other end of `descriptor`."""
        self._waiting = (call, descriptor)

    def fileno(self) -> int | None:
        """Return the descriptor that children close, while somebody waits for READY."""
        return None if self._waiting is None else self._waiting[1]

    def status(self, text: str) -> None:
        """Show `text` in `systemctl status`; sent only when it has changed."""
        self._send(*self._new_status(text))

    def stopping(self, status: str = "") -> None:
        self._send("STOPPING=1", *self._new_status(status))

    def extend(self, seconds: float) -> None:
        """Ask for `seconds` more, from now on, to start or to stop."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def watchdog(self) -> None:
        """Say that a turn of the loop is complete; sent as often as the watchdog needs it."""
        now = time.monotonic()
        if self.watchdog_interval is not None and now - self._pinged_at >= self.watchdog_interval:
            self._pinged_at = now
            self._send("WATCHDOG=1")

    def _new_status(self, text: str) -> list[str]:
        if not text or text == self._status:
            return []
        self._status = text
        return ["STATUS=" + text.replace("\n", " ")]

    def _send(self, *lines: str) -> None:
        messages = [*self._unheard, lines] if lines else self._unheard
        if not self._address or not messages:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(0)
            for heard, message in enumerate(messages):
                try:
                    sender.sendto("\n".join(message).encode(), self._address)
                except OSError:  # systemd is away, or its queue full: say again what matters, before the next message
                    self._unheard = [kept for left in messages[heard:] if (kept := lasting(left))][-MOST_UNHEARD:]
                    self._status = ""
                    return
        self._unheard = []


def lasting(message: tuple[str, ...]) -> tuple[str, ...]:
    """Return the lines that must be heard."""
    return tuple(line for line in message if line.startswith(LASTING))


def journal_command(membership: Path = Path("/proc/self/cgroup")) -> str | None:
    """Return the command that shows what our tasks print, None when no unit of systemd runs us."""
    if "INVOCATION_ID" not in os.environ:
        return None
    try:
        group = membership.read_text(errors="replace").strip().splitlines()[-1].rpartition(":")[2]
    except (OSError, IndexError):
        return None
    unit = next((part for part in reversed(group.split("/")) if part.endswith(".service")), None)
    if unit is None:
        return None
    whose = "--user " if "/user@" in group.rpartition(unit)[0] else ""
    return f"journalctl {whose}--unit {unit} --follow"
