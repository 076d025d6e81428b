"""The runtime directory under the running daemon: what is removed there is noticed and, where we may, made again."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from bgtasksd.control import ControlError
from bgtasksd.directory import SOCKET_NAME, UnfitDirectory, make
from bgtasksd.lock import LOCK_NAME, PID_NAME, LockHeld, owner_pid
from bgtasksd.supervisor.clock import Clock

LOOK_INTERVAL = 5.0

logger = logging.getLogger("bgtasksd.supervisor")


class Lock(Protocol):
    """The lock that makes us the only daemon here."""

    directory: Path

    def fileno(self) -> int: ...
    def is_in_place(self) -> bool: ...
    def take_again(self) -> None: ...
    def write_pid_file(self, version: str) -> None: ...


class ControlSocket(Protocol):
    """Where clients find us."""

    def is_in_place(self) -> bool: ...
    def open_again(self) -> None: ...


class RuntimeDir:
    """Looks every few seconds whether the paths of lock, control socket and pid file still lead to ours."""

    def __init__(
        self,
        clock: Clock,
        lock: Lock,
        control: ControlSocket,
        version: str,
        others: Mapping[str, ControlSocket] = MappingProxyType({}),
    ) -> None:
        self.clock = clock
        self.lock = lock
        self.control = control
        self.others = others
        """The other sockets, by name: no daemon is lost without them."""
        self.version = version
        self.looked_at = 0.0
        self.trouble = ""
        """Why it could not be made again the last time: said once, tried at every look."""

    def next_at(self) -> float | None:
        """Return when the next look is due."""
        return self.looked_at + LOOK_INTERVAL

    def run(self) -> None:
        """Make again what is missing, when a look is due."""
        now = self.clock.now()
        if now - self.looked_at >= LOOK_INTERVAL:
            self.looked_at = now
            if missing := ", ".join(self._missing()):
                self._make_again(missing)

    @property
    def is_lost(self) -> bool:
        """Tell whether a second daemon could start here, or no client find us."""
        return not (self.lock.is_in_place() and self.control.is_in_place())

    def _missing(self) -> Iterator[str]:
        if not self.lock.is_in_place():
            yield LOCK_NAME
        if not self.control.is_in_place():
            yield SOCKET_NAME
        yield from (name for name, each in self.others.items() if not each.is_in_place())
        if owner_pid(self.lock.directory) != os.getpid():
            yield PID_NAME

    def _make_again(self, missing: str) -> None:
        directory = self.lock.directory
        try:
            self._make_what_is_missing(directory)
        except LockHeld:
            self._complain(missing, f"{_holder(directory)} has the lock of {directory} now; stop one of the two")
        except (UnfitDirectory, ControlError, OSError) as error:
            self._complain(missing, str(error))
        else:
            self.trouble = ""
            text = "%s had gone from %s under the running daemon: made again"
            logger.warning(text, missing, directory, extra={"event": "runtime_dir_made_again"})

    def _make_what_is_missing(self, directory: Path) -> None:
        make(directory)
        if not self.lock.is_in_place():
            self.lock.take_again()  # first: whoever holds it owns the rest
        for each in (self.control, *self.others.values()):
            if not each.is_in_place():
                each.open_again()
        if owner_pid(directory) != os.getpid():
            self.lock.write_pid_file(self.version)

    def _complain(self, missing: str, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            text = "%s gone from under the running daemon, and not to be made again: %s"
            logger.error(text, missing, trouble, extra={"event": "runtime_dir_lost"})


def _holder(directory: Path) -> str:
    pid = owner_pid(directory)
    return "another process" if pid in (None, os.getpid()) else f"another process (pid {pid})"
