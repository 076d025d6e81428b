"""Datagrams to the wake sockets of this host: never blocking, never raising, a few microseconds each."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from bgtasks import places

LISTED_FOR = 1.0
"""Seconds for which a listing of the directories is used: a new daemon is found within that time."""
MOST_SOCKETS = 64
BEGINNING, ENDING = "wake", ".sock"
"""Of a wake socket's name."""


class Sender:
    """This process's socket, and the addresses that were found lately. Threads may share it."""

    def __init__(self) -> None:
        self.more: tuple[Path, ...] = ()
        """Places to look in beside the usual ones."""
        self.left_out: str = ""
        """A socket whose owner hears of it in another way."""
        self.addresses: tuple[str, ...] = ()
        self.prefix = ""
        self._listed_at = self._placed_at = float("-inf")
        self._places: tuple[str, ...] = ()
        self._pid = 0
        self._socket: socket.socket | None = None
        self._numbers = itertools.count()

    def forget(self) -> None:
        """Look anew at the next time."""
        self._listed_at = self._placed_at = float("-inf")

    def mark(self) -> str:
        """Return what no other notice has."""
        if self._pid != os.getpid():
            self._begin()
        return f"{self.prefix}{next(self._numbers):x}"

    def send(self, text: str) -> None:
        """Send to every socket there is. What cannot be sent is not needed: a full one's owner is awake."""
        if self._pid != os.getpid():
            self._begin()
        now = time.monotonic()
        if now - self._listed_at >= LISTED_FOR:
            self._listed_at = now
            self.addresses = tuple(dict.fromkeys(itertools.islice(self._found(), MOST_SOCKETS)))
        for address in self.addresses:
            self._send(text, address)

    def _send(self, text: str, address: str) -> None:
        if not self.send_to(address, text):  # not again before the next listing
            self.addresses = tuple(each for each in self.addresses if each != address)

    def send_to(self, address: str, text: str) -> bool:
        """Send to one socket; False if its owner is gone, or we may not."""
        if self._pid != os.getpid():
            self._begin()
        assert self._socket is not None
        try:
            self._socket.sendto(text.encode(), address)
        except BlockingIOError:  # it is full: its owner is awake
            return True
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give the socket back; the next notice, if there is one, opens another."""
        if self._socket is not None and self._pid == os.getpid():
            self._socket.close()
            self._socket, self._pid = None, 0

    def _begin(self) -> None:
        """Be a process of its own: what a fork brought along belongs to the parent."""
        if self._socket is not None:
            self._socket.detach()  # who became a daemon may have closed it, and its number be another file's
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self.prefix = f"{secrets.token_hex(6)}-"
        self._listed_at = float("-inf")
        self._pid = os.getpid()

    def places(self) -> tuple[str, ...]:
        """Return where others may have their sockets; reckoned now and then, for it takes as long as many sends."""
        now = time.monotonic()
        if now - self._placed_at >= LISTED_FOR:
            found = [*self.more, *places.to_look_in(os.environ)]
            self._placed_at, self._places = now, tuple(dict.fromkeys(map(str, found)))
        return self._places

    def _found(self) -> Iterator[str]:
        for place in self.places():
            yield from self._found_in(place, is_outer=True)

    def _found_in(self, directory: str, *, is_outer: bool) -> Iterator[str]:
        with contextlib.suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.startswith(BEGINNING) and entry.name.endswith(ENDING):
                    if entry.path != self.left_out:
                        yield entry.path
                elif is_outer and entry.is_dir(follow_symlinks=False):
                    yield from self._found_in(entry.path, is_outer=False)


sender = Sender()
atexit.register(sender.close)


def look_in(directory: str | Path, *, but: str | Path = "") -> None:
    """Look for sockets in this directory, too; leave one of them out."""
    sender.more = (*sender.more, Path(directory))
    sender.left_out = str(but)
    sender.forget()
