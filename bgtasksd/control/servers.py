"""All the servers of one daemon together: the control socket, the one for questions alone, HTTP."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bgtasksd.control.answering import Command
from bgtasksd.control.http import HttpServer
from bgtasksd.control.server import ControlServer
from bgtasksd.options import Options

Server = ControlServer | HttpServer


class Servers:
    """Does to each what is asked of all."""

    def __init__(self, options: Options) -> None:
        self.control = ControlServer(options.runtime_dir)
        """That of our own user."""
        self.questions = ControlServer(options.runtime_dir, is_read_only=True) if options.status_socket else None
        """That of the group, for questions alone."""
        http = HttpServer(options.http) if options.http else None
        self._all = tuple(each for each in (self.control, self.questions, http) if each is not None)

    def __iter__(self) -> Iterator[Server]:
        return iter(self._all)

    def serve(self, commands: Mapping[str, Command]) -> None:
        """Answer these from now on."""
        for each in self._all:
            each.commands = dict(commands)

    def open(self, selector: selectors.BaseSelector) -> None:
        """Listen, and have events of the sockets go to their servers. Raises ControlError."""
        for each in self._all:
            each.open()
            each.register(selector)

    def handed_over(self, take: Callable[[socket.socket], int]) -> list[dict[str, Any] | None]:
        """Return what `take_over` takes."""
        return [each.handed_over(take) for each in self._all]

    def take_over(self, handed: Sequence[dict[str, Any] | None], selector: selectors.BaseSelector) -> None:
        """Go on with the sockets that the program before this one has left. Raises ControlError."""
        for each, left in zip(self._all, handed, strict=False):
            each.take_over(left)
        for each in self._all:
            each.register(selector)

    def descriptors(self) -> list[int]:
        """Return what a forked child has to close."""
        return [one.fileno() for each in self._all for one in each.sockets]

    def tell(self, change: int, **line: Any) -> None:
        """Send one line to every client that follows a change, whichever socket it has come to."""
        for each in self._all:
            each.tell(change, **line)

    def next_at(self) -> float | None:
        """Return None: the loop turns often enough."""

    def run(self) -> None:
        """Part from those who are too slow."""
        for each in self._all:
            each.disconnect_stuck()

    def close(self) -> None:
        """Disconnect everybody and listen no more."""
        for each in self._all:
            each.close()
