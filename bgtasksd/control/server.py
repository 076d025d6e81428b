"""The control socket's server and its clients: who is let in, heard and parted from. What is answered: `answering`."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bgtasksd.control import answering
from bgtasksd.control.answering import Command
from bgtasksd.control.client import Client, ClientGone
from bgtasksd.control.listener import MOST_NEWCOMERS, Listener, is_dear
from bgtasksd.directory import SOCKET_NAME, STATUS_NAME

MOST_CLIENTS = 32
FULL = answering.refusal(f"there are {MOST_CLIENTS} clients already; try again")


class ControlServer:
    """Answers requests from the supervisor's loop. Set `commands` first, then `open`, then `register`.

    One that `is_read_only` answers questions alone, to our group as well; its clients have their own limits.
    """

    def __init__(
        self, directory: str | Path, commands: dict[str, Command] | None = None, *, is_read_only: bool = False
    ) -> None:
        self.path = Path(directory) / (STATUS_NAME if is_read_only else SOCKET_NAME)
        self.is_read_only = is_read_only
        self.commands: dict[str, Command] = dict(commands or {})
        self._listener: Listener | None = None
        self._clients: dict[int, Client] = {}
        self._selector: selectors.BaseSelector | None = None

    def open(self) -> None:
        """Listen. Raises ControlError, saying why, when that cannot be."""
        self._listener = self._listen()

    def handed_over(self, take: Callable[[socket.socket], int]) -> dict[str, Any] | None:
        """Return what `take_over` takes: the listener, and the clients, but for those who are cut in mid-sentence."""
        if self._listener is None:
            return None
        kept = [client for client in self._clients.values() if client.is_quiet]
        return {
            "listener": [take(self._listener.socket), list(self._listener.inode)],
            "clients": [[take(client.connection), sorted(client.follows)] for client in kept],
        }

    def take_over(self, handed: dict[str, Any] | None) -> None:
        """Go on with the listener and the clients that the program before this one has left. Raises ControlError."""
        if handed is None:
            self.open()
            return
        descriptor, inode = handed["listener"]
        self._listener = Listener.of(self.path, self._mode, descriptor, tuple(inode))
        for connection, follows in handed["clients"]:
            client = Client(socket.socket(fileno=connection))
            client.has_asked, client.follows = bool(follows), set(follows)
            self._clients[connection] = client

    @property
    def _mode(self) -> int:
        return 0o660 if self.is_read_only else 0o600

    def _listen(self) -> Listener:
        return Listener(self.path, self._mode)

    def open_again(self) -> None:
        """Listen at our path once more, after somebody removed the socket; clients stay. Raises ControlError."""
        new, old = self._listen(), self._listener  # the old one keeps its inode from being given to the new one
        self._listener = new
        if self._selector is not None:
            if old is not None:
                self._selector.unregister(old.socket)
            self._selector.register(new.socket, selectors.EVENT_READ, self)
        if old is not None:
            old.close()

    def is_in_place(self) -> bool:
        """Return whether the path still leads to our socket."""
        return self._listener is not None and self._listener.is_in_place()

    def register(self, selector: selectors.BaseSelector) -> None:
        """Put our sockets into `selector`, with this server as their data: such events go to `handle`."""
        self._selector = selector
        if self._listener is not None:
            selector.register(self._listener.socket, selectors.EVENT_READ, self)
        for client in self._clients.values():
            selector.register(client.connection, client.interest(), self)

    @property
    def sockets(self) -> list[socket.socket]:
        """Return every socket that a forked child has to close."""
        listening = [] if self._listener is None else [self._listener.socket, self._listener.spare]
        there = listening + [client.connection for client in self._clients.values()]
        return [each for each in there if each.fileno() >= 0]  # the spare may be lost for want of descriptors

    def close(self) -> None:
        """Disconnect everybody and remove the socket, if it is still ours."""
        for client in list(self._clients.values()):
            self._disconnect(client)
        if self._listener is None:
            return
        if self._selector is not None:
            self._selector.unregister(self._listener.socket)
        self._listener.close()
        self._listener = None

    def handle(self, key: selectors.SelectorKey, mask: int) -> None:
        """Act on one event of our sockets; never blocks, and takes one request at most."""
        if self._listener is not None and key.fileobj is self._listener.socket:
            self._admit(self._listener)
            return
        client = self._clients.get(key.fd)
        if client is None or client.connection is not key.fileobj:
            return  # disconnected earlier in this turn
        try:
            self._serve(client, mask)
        except ClientGone:
            self._disconnect(client)
        else:
            self._watch(client)

    def drop(self, key: selectors.SelectorKey) -> None:
        """Part from a client whose event could not be acted on: the next one would fail as well."""
        client = self._clients.get(key.fd)
        if client is not None:
            self._disconnect(client)

    def disconnect_stuck(self) -> None:
        """Part from clients that began a request, or an answer, and did not finish it in time."""
        now = time.monotonic()
        for client in list(self._clients.values()):
            deadline = client.deadline()
            if deadline is not None and deadline <= now:
                self._disconnect(client)

    def tell(self, change: int, **line: Any) -> None:
        """Send one line to every client that follows a change."""
        for client in list(self._clients.values()):
            if change in client.follows:
                try:
                    client.send({"v": answering.PROTOCOL, "change": change, **line})
                except ClientGone:
                    self._disconnect(client)
                else:
                    self._watch(client)

    def _admit(self, listener: Listener) -> None:
        """Take in who waits at the door, a few at a time."""
        for _ in range(MOST_NEWCOMERS):
            connection = listener.accept()
            if connection is None:
                return
            self._seat(connection)

    def _seat(self, connection: socket.socket) -> None:
        if is_dear(connection) or len(self._clients) >= MOST_CLIENTS:
            self._make_room()
        client = Client(connection)
        if is_dear(connection) or len(self._clients) >= MOST_CLIENTS:
            client.close(FULL)
            return
        self._clients[connection.fileno()] = client
        if self._selector is not None:
            self._selector.register(connection, client.interest(), self)

    def _make_room(self) -> None:
        """Part from a client that does not read, else from the one silent longest that never asked anything."""
        now, clients = time.monotonic(), self._clients.values()
        deaf = (client for client in clients if client.has_unread_answer(now))
        silent = (client for client in clients if not client.has_asked)
        client = next(deaf, None) or next(silent, None)
        if client is not None:
            self._disconnect(client, FULL)

    def _serve(self, client: Client, mask: int) -> None:
        if mask & selectors.EVENT_READ:
            client.receive()
        client.flush()
        if client.interest() == selectors.EVENT_WRITE and not client.has_request:
            return
        try:
            line = client.next_request()
        except ValueError as error:
            client.send(answering.refusal(str(error)))
            client.close_after_output()
            return
        if line is not None:
            client.send(answering.answer(self.commands, client, line, is_read_only=self.is_read_only))

    def _watch(self, client: Client) -> None:
        if self._selector is not None and client.connection.fileno() in self._clients:
            self._selector.modify(client.connection, client.interest(), self)

    def _disconnect(self, client: Client, farewell: dict[str, Any] | None = None) -> None:
        if self._clients.pop(client.connection.fileno(), None) is None:
            return
        if self._selector is not None:
            self._selector.unregister(client.connection)
        client.close(farewell)
