"""The HTTP server for probes and Prometheus: its socket and its visitors, all bounded. What they see: `pages`."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

from bgtasksd.control import pages
from bgtasksd.control.answering import Command
from bgtasksd.control.listener import BACKLOG, MOST_NEWCOMERS, ControlError, is_dear
from bgtasksd.options import address_parts

MOST_VISITORS = 32
LONGEST_REQUEST = 8 * 1024
PATIENCE = 5.0
"""Seconds for a request and for reading its answer."""


class Visitor:
    """One connection: one request, one answer."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        self.connection = connection
        self.deadline = time.monotonic() + PATIENCE
        self.received = b""
        self.output = b""
        self.is_answered = False


class HttpServer:
    """Answers from the supervisor's loop, out of the same `commands` as the control socket."""

    def __init__(self, address: str) -> None:
        """Take `HOST:PORT`, or `PORT` of the loopback alone; an IPv6 host stands in brackets."""
        self.address = address
        self.commands: dict[str, Command] = {}
        self._listening: socket.socket | None = None
        self._deaf_until: float | None = None
        self._visitors: dict[int, Visitor] = {}
        self._selector: selectors.BaseSelector | None = None

    def open(self) -> None:
        """Listen. Raises ControlError."""
        host, port = address_parts(self.address)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise ControlError(f"no HTTP at {self.address}: {error.strerror or error}") from error
        self._listening.settimeout(0)

    def handed_over(self, take: Callable[[socket.socket], int]) -> dict[str, Any] | None:
        """Return what `take_over` takes; visitors have to come again."""
        return None if self._listening is None else {"listener": take(self._listening)}

    def take_over(self, handed: dict[str, Any] | None) -> None:
        """Go on with the socket that the program before this one has left. Raises ControlError."""
        if handed is None:
            self.open()
            return
        self._listening = socket.socket(fileno=handed["listener"])
        self._listening.settimeout(0)

    @property
    def port(self) -> int:
        """The port it listens at."""
        assert self._listening is not None
        return int(self._listening.getsockname()[1])

    def register(self, selector: selectors.BaseSelector) -> None:
        """Put our socket into `selector`, with this server as its data: such events go to `handle`."""
        self._selector = selector
        if self._listening is not None:
            selector.register(self._listening, selectors.EVENT_READ, self)

    @property
    def sockets(self) -> list[socket.socket]:
        """Return every socket that a forked child has to close."""
        listening = [] if self._listening is None else [self._listening]
        return listening + [visitor.connection for visitor in self._visitors.values()]

    def handle(self, key: selectors.SelectorKey, mask: int) -> None:
        """Act on one event of our sockets; never blocks."""
        if self._listening is not None and key.fileobj is self._listening:
            self._admit(self._listening)
            return
        visitor = self._visitors.get(key.fd)
        if visitor is None or visitor.connection is not key.fileobj:
            return  # gone earlier in this turn
        try:
            is_over = self._serve(visitor)
        except BlockingIOError:
            return
        except OSError:
            is_over = True
        if is_over:
            self._part_from(visitor)

    def drop(self, key: selectors.SelectorKey) -> None:
        """Part from one whose event could not be acted on: the next one would fail as well."""
        visitor = self._visitors.get(key.fd)
        if visitor is not None:
            self._part_from(visitor)

    def disconnect_stuck(self) -> None:
        """Part from those who are too slow, and listen again after a want of descriptors."""
        now = time.monotonic()
        if self._deaf_until is not None and self._deaf_until <= now:
            self._deaf_until = None
            if self._selector is not None:
                self.register(self._selector)
        for visitor in [each for each in self._visitors.values() if each.deadline <= now]:
            self._part_from(visitor)

    def tell(self, change: int, **line: Any) -> None:
        """Tell nobody: changes are followed on the control socket."""

    def close(self) -> None:
        """Disconnect everybody and listen no more."""
        for visitor in list(self._visitors.values()):
            self._part_from(visitor)
        if self._listening is not None:
            if self._selector is not None and self._deaf_until is None:
                self._selector.unregister(self._listening)
            self._listening.close()
            self._listening = None

    def _admit(self, listening: socket.socket) -> None:
        """Take in who waits at the door, a few at a time; who came first makes room for the last."""
        for _ in range(MOST_NEWCOMERS):
            connection = self._next_one(listening)
            if connection is None:
                return
            if self._visitors and (is_dear(connection) or len(self._visitors) >= MOST_VISITORS):
                self._part_from(next(iter(self._visitors.values())))
            if is_dear(connection) or self._selector is None:
                connection.close()
                return
            self._visitors[connection.fileno()] = visitor = Visitor(connection)
            self._selector.register(visitor.connection, selectors.EVENT_READ, self)

    def _next_one(self, listening: socket.socket) -> socket.socket | None:
        """Return who has come; without a descriptor for him wait a while: left in the queue he would keep us awake."""
        try:
            return listening.accept()[0]
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE) and self._selector is not None:
                self._selector.unregister(listening)
                self._deaf_until = time.monotonic() + 1.0
            return None

    def _serve(self, visitor: Visitor) -> bool:
        """Take what has come or send what is left; tell whether the visit is over. Raises OSError."""
        assert self._selector is not None
        if visitor.is_answered:  # closed with something unread, the answer itself would be lost
            return not visitor.connection.recv(LONGEST_REQUEST)
        if not visitor.output:
            received = visitor.connection.recv(LONGEST_REQUEST)
            visitor.received += received
            if not received:
                return True
            if b"\r\n\r\n" not in visitor.received and len(visitor.received) < LONGEST_REQUEST:
                return False
            visitor.output = pages.answer(self.commands, visitor.received)
            self._selector.modify(visitor.connection, selectors.EVENT_WRITE, self)
        visitor.output = visitor.output[visitor.connection.send(visitor.output) :]
        if not visitor.output:
            visitor.is_answered = True
            visitor.connection.shutdown(socket.SHUT_WR)
            self._selector.modify(visitor.connection, selectors.EVENT_READ, self)
        return False

    def _part_from(self, visitor: Visitor) -> None:
        if self._visitors.pop(visitor.connection.fileno(), None) is None:
            return
        if self._selector is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(visitor.connection)
        visitor.connection.close()
