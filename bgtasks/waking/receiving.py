"""The wake socket of a worker that has no supervisor: made beside those of the daemons, removed at the end."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from pathlib import Path

from bgtasks import places
from bgtasks.waking.notices import Notice, parse
from bgtasks.waking.sending import BEGINNING, ENDING

LARGEST = 1024
"""Bytes; a longer one is none of ours."""
AT_ONCE = 64
MODE = 0o660


class OwnSocket:
    """`wake-<pid>-<random>.sock`. Without a place for it nothing is heard, and polling has to do.

    Random, as the number alone is not ours: in containers that share the directory others have the same.
    """

    def __init__(self) -> None:
        self.socket: socket.socket | None = None
        self.path = Path()
        place = places.for_a_socket(os.environ)
        if place is not None:
            clear_left_over(place)
            with contextlib.suppress(OSError):
                path = place / f"{BEGINNING}-{os.getpid()}-{secrets.token_hex(4)}{ENDING}"
                self.socket, self.path = bound(path), path

    def fileno(self) -> int | None:
        """Return the descriptor to wait for, if there is one."""
        return None if self.socket is None else self.socket.fileno()

    def heard(self) -> list[Notice]:
        """Return the notices that have come."""
        found = []
        for _ in range(AT_ONCE):
            try:
                data = self.socket.recv(LARGEST) if self.socket is not None else None
            except OSError:
                break
            if data is None:
                break
            notice = parse(data.decode(errors="replace"))
            if notice is not None:
                found.append(notice)
        return found

    def close(self) -> None:
        """Remove it."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None
            with contextlib.suppress(OSError):
                self.path.unlink()


def bound(path: Path) -> socket.socket:
    """Return a socket for datagrams at that path, for us and our group. Raises OSError.

    Never by the umask: that is the whole process's, and other threads make files, or sockets, meanwhile.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # BSD knows no mode of a socket before it has a path
            os.fchmod(made.fileno(), MODE)  # so the path is no wider from the first instant
        made.bind(str(path))
        path.chmod(MODE)  # and no narrower, whatever the umask
    except OSError:
        made.close()
        raise
    return made


def clear_left_over(place: Path, beginning: str = BEGINNING) -> None:
    """Remove sockets of processes that ended without a word: nobody is behind them any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        for path in place.glob(f"{beginning}-*{ENDING}"):
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                with contextlib.suppress(OSError):
                    path.unlink()
            except OSError:
                continue
