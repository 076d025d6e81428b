"""The listening socket of the control server: how it gets into its place, and whether it is still there."""

from __future__ import annotations

import os
import socket
from pathlib import Path

BACKLOG = 32


class ControlError(Exception):
    """There can be no control socket; the message says why."""


class Listener:
    """A UNIX socket at `path`, ours alone. The caller holds the lock of the directory."""

    def __init__(self, path: Path) -> None:
        """Bind under a temporary name and rename it into place: what lies there is left over. Raises ControlError."""
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.socket.settimeout(0)
        temporary = path.with_name(f".s{os.getpid()}")
        try:
            self._refuse_what_is_not_ours()
            self._bind(temporary)
            temporary.replace(path)
            self._inode = _inode(path)
        except OSError as error:
            self.socket.close()
            temporary.unlink(missing_ok=True)
            raise ControlError(f"no control socket at {path}: {error}") from error

    def _refuse_what_is_not_ours(self) -> None:
        try:
            owner = self.path.lstat().st_uid
        except FileNotFoundError:
            return
        if owner != os.geteuid():
            raise PermissionError(f"it belongs to uid {owner}, not to us: remove it, or use --runtime-dir DIR")

    def _bind(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)  # 0600 from the first instant, not by a chmod afterwards
        try:
            self.socket.bind(str(path))
        finally:
            os.umask(mask)
        self.socket.listen(BACKLOG)

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


def _inode(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
