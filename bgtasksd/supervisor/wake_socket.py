"""The wake socket of a daemon: datagrams of enqueuing processes, from whoever may write into the runtime directory."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgtasksd.directory import WAKE_NAME

LARGEST = 1024
"""Bytes; a longer one is none of ours."""
AT_ONCE = 64
"""Datagrams read in one go; the kernel keeps few more, often fewer."""


@dataclass(frozen=True, slots=True)
class Call:
    """One notice, as `bgtasks.waking` writes it: `mark ready queue` or `mark scheduled seconds`."""

    mark: str
    queue: str | None = None
    """None: of no queue that could be claimed from now."""
    seconds: float | None = None
    """Until something scheduled is due."""


def read(datagram: bytes) -> Call | None:
    """Return what a datagram says; None for garbage."""
    mark, _, rest = datagram.decode(errors="replace").partition(" ")
    kind, _, said = rest.partition(" ")
    if kind == "ready":
        return Call(mark, queue=said)
    try:
        return Call(mark, seconds=min(max(0.0, float(said)), 1e9)) if kind == "scheduled" else None
    except ValueError:
        return None


class WakeSocket:
    """Bound under a temporary name and renamed into its place, like the control socket. The lock is the caller's."""

    def __init__(self, directory: str) -> None:
        self.path = Path(directory) / WAKE_NAME
        self.socket: socket.socket | None = None
        self._inode: tuple[int, int] | None = None

    def handed_over(self, take: Callable[[socket.socket], int]) -> list[Any] | None:
        """Return what `take_over` takes."""
        return None if self.socket is None or self._inode is None else [take(self.socket), list(self._inode)]

    def take_over(self, handed: list[Any]) -> None:
        """Go on with the socket that the program before this one has left, datagrams and all."""
        descriptor, inode = handed
        self.socket = socket.socket(fileno=descriptor)
        self.socket.settimeout(0)
        self._inode = tuple(inode)

    def open(self) -> None:
        """Take the place. Raises OSError."""
        self.close()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        temporary = self.path.with_name(f".w{os.getpid()}")
        try:
            self._bind(made, temporary)
            temporary.replace(self.path)
            self._inode = _inode(self.path)
        except OSError:
            made.close()
            temporary.unlink(missing_ok=True)
            raise
        self.socket = made

    def _bind(self, made: socket.socket, path: Path) -> None:
        path.unlink(missing_ok=True)
        mask = os.umask(0o117)  # 0660 from the first instant, not by a chmod afterwards
        try:
            made.bind(str(path))
        finally:
            os.umask(mask)

    def receive(self) -> tuple[list[Call], int]:
        """Return the notices that have come, and how many datagrams that were."""
        calls: list[Call] = []
        count = 0
        while self.socket is not None and count < AT_ONCE:
            try:
                datagram = self.socket.recv(LARGEST)
            except OSError:
                break
            count += 1
            if (call := read(datagram)) is not None:
                calls.append(call)
        return calls, count

    def is_in_place(self) -> bool:
        """Return whether the path still leads to this socket."""
        try:
            return self._inode is not None and _inode(self.path) == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Remove the socket, if what lies there is still it."""
        if self.is_in_place():
            self.path.unlink(missing_ok=True)
        if self.socket is not None:
            self.socket.close()
        self.socket = self._inode = None


def _inode(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
