"""The listening socket of the control server: how it gets into its place, and whether it is still there."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
from pathlib import Path

BACKLOG = 512
"""Who waits at the door; beyond that one who comes by TCP is not heard, and tries again a second later."""
MOST_NEWCOMERS = 16
"""Taken from a queue in one turn."""
KEPT_FREE = 10
"""Descriptors below the limit that nobody who asks ever gets."""


class ControlError(Exception):
    """There can be no control socket; the message says why."""


class Listener:
    """A UNIX socket at `path`, open to those `mode` names. The caller holds the lock of the directory."""

    def __init__(self, path: Path, mode: int = 0o600) -> None:
        """Bind under a temporary name and rename it into place: what lies there is left over. Raises ControlError."""
        self.path = path
        self.mode = mode
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.socket.settimeout(0)
        self.spare = socket.socket(socket.AF_UNIX)
        """Holds a descriptor, to turn clients away when there is no other: left waiting they would keep us awake."""
        temporary = path.with_name(f".s{os.getpid()}")
        try:
            self._refuse_what_is_not_ours()
            self._bind(temporary)
            temporary.replace(path)
            self._inode = _inode(path)
        except OSError as error:
            self.socket.close()
            self.spare.close()
            temporary.unlink(missing_ok=True)
            raise ControlError(f"no control socket at {path}: {error}") from error

    @classmethod
    def of(cls, path: Path, mode: int, descriptor: int, inode: tuple[int, int]) -> Listener:
        """Return the listener that the program before this one has left."""
        listener = cls.__new__(cls)
        listener.path, listener.mode, listener._inode = path, mode, inode
        listener.socket = socket.socket(fileno=descriptor)
        listener.socket.settimeout(0)
        listener.spare = socket.socket(socket.AF_UNIX)
        return listener

    @property
    def inode(self) -> tuple[int, int]:
        """Device and inode of the socket's path."""
        return self._inode

    def _refuse_what_is_not_ours(self) -> None:
        try:
            owner = self.path.lstat().st_uid
        except FileNotFoundError:
            return
        if owner != os.geteuid():
            raise PermissionError(f"it belongs to uid {owner}, not to us: remove it, or use --runtime-dir DIR")

    def _bind(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        mask = os.umask(0o777 & ~self.mode)  # so from the first instant, not by a chmod afterwards
        try:
            self.socket.bind(str(path))
        finally:
            os.umask(mask)
        self.socket.listen(BACKLOG)

    def accept(self) -> socket.socket | None:
        """Return the next client; None when it is gone again, or was turned away for want of a descriptor."""
        try:
            return self.socket.accept()[0]
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self.spare.close()
                with contextlib.suppress(OSError):
                    self.socket.accept()[0].close()
                with contextlib.suppress(OSError):
                    self.spare = socket.socket(socket.AF_UNIX)
            return None

    def is_in_place(self) -> bool:
        """Return whether the path still leads to this socket."""
        try:
            return _inode(self.path) == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Remove the socket, if what lies there is still it."""
        if self.is_in_place():
            self.path.unlink(missing_ok=True)
        self.socket.close()
        self.spare.close()


def is_dear(connection: socket.socket) -> bool:
    """Return whether it took one of the last descriptors: the lowest free number tells how many are in use."""
    return connection.fileno() >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] - KEPT_FREE


def _inode(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
