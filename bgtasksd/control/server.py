"""The server and its clients: the JSON-lines protocol, version 1, and the table of commands."""

from __future__ import annotations

import difflib
import json
import logging
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bgtasksd.control.client import Client, ClientGone
from bgtasksd.control.listener import Listener
from bgtasksd.directory import SOCKET_NAME

PROTOCOL = 1
MOST_CLIENTS = 32
READING = frozenset({"ping", "status"})
"""Commands that change nothing; who asks for the others is logged."""

Command = Callable[[dict[str, Any]], dict[str, Any]]
logger = logging.getLogger("bgtasksd.control")


class CommandError(Exception):
    """A command was refused; the message is the answer."""


class ControlServer:
    """Answers requests from the supervisor's loop. Set `commands` first, then `open`, then `register`."""

    def __init__(self, directory: str | Path, commands: dict[str, Command] | None = None) -> None:
        self.path = Path(directory) / SOCKET_NAME
        self.commands: dict[str, Command] = dict(commands or {})
        self._listener: Listener | None = None
        self._clients: dict[int, Client] = {}
        self._selector: selectors.BaseSelector | None = None

    def open(self) -> None:
        """Listen. Raises ControlError, saying why, when that cannot be."""
        self._listener = Listener(self.path)

    def open_again(self) -> None:
        """Listen at our path once more, after somebody removed the socket; clients stay. Raises ControlError."""
        new, old = Listener(self.path), self._listener  # the old one keeps its inode from being given to the new one
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
        listening = [] if self._listener is None else [self._listener.socket]
        return listening + [client.connection for client in self._clients.values()]

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
            self._accept(self._listener.socket)
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

    def next_deadline(self) -> float | None:
        """Return when `disconnect_stuck` has something to do, on the monotonic clock."""
        return min(self._deadlines(), default=None)

    def disconnect_stuck(self) -> None:
        """Part from clients that began a request, or an answer, and did not finish it in time."""
        now = time.monotonic()
        for client in list(self._clients.values()):
            deadline = client.deadline()
            if deadline is not None and deadline <= now:
                self._disconnect(client)

    def conclude(self, data: dict[str, Any]) -> None:
        """Tell those who asked for the stop how it ended. Call it right before `close`."""
        for client in list(self._clients.values()):
            if client.is_waiting_for_end:
                try:
                    client.send({"v": PROTOCOL, "ok": True, "event": "stopped", "data": data})
                except ClientGone:
                    self._disconnect(client)

    def _deadlines(self) -> Iterator[float]:
        for client in self._clients.values():
            deadline = client.deadline()
            if deadline is not None:
                yield deadline

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except OSError:
            return  # gone again, or no descriptor free: the next turn tries once more
        if len(self._clients) >= MOST_CLIENTS:
            self._make_room()
        if len(self._clients) >= MOST_CLIENTS:
            connection.close()
            return
        client = Client(connection)
        self._clients[connection.fileno()] = client
        if self._selector is not None:
            self._selector.register(connection, client.interest(), self)

    def _make_room(self) -> None:
        """Part from the client that has been silent longest, if one never asked anything."""
        silent = next((client for client in self._clients.values() if not client.has_asked), None)
        if silent is not None:
            self._disconnect(silent)

    def _serve(self, client: Client, mask: int) -> None:
        if mask & selectors.EVENT_READ:
            client.receive()
        client.flush()
        if client.interest() == selectors.EVENT_WRITE and not client.has_request:
            return
        try:
            line = client.next_request()
        except ValueError as error:
            client.send({"v": PROTOCOL, "id": None, "ok": False, "error": str(error)})
            client.close_after_output()
            return
        if line is not None:
            client.send(self._answer(client, line))

    def _answer(self, client: Client, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return {"v": PROTOCOL, "id": None, "ok": False, "error": "a request is one line of JSON"}
        if not isinstance(request, dict):
            return {"v": PROTOCOL, "id": None, "ok": False, "error": "a request is a JSON object"}
        answer = {"v": PROTOCOL, "id": request.get("id")}
        try:
            return {**answer, "ok": True, "data": self._run(client, request)}
        except CommandError as error:
            return {**answer, "ok": False, "error": str(error)}
        except Exception:
            logger.exception("control command %r failed", request.get("cmd"))
            return {**answer, "ok": False, "error": "the command failed; the daemon's log has the traceback"}

    def _run(self, client: Client, request: dict[str, Any]) -> dict[str, Any]:
        name = request.get("cmd")
        if request.get("v") != PROTOCOL:
            raise CommandError(f"this daemon speaks version {PROTOCOL}, not {request.get('v')!r}")
        if not isinstance(name, str) or name not in self.commands:
            near = difflib.get_close_matches(str(name), self.commands, n=1)
            raise CommandError(f"unknown command {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        if name not in READING:
            logger.info("control %s by %s", name, client.peer(), extra={"event": "control", "command": name})
        client.is_waiting_for_end = client.is_waiting_for_end or name == "stop"
        return self.commands[name](request)

    def _watch(self, client: Client) -> None:
        if self._selector is not None and client.connection.fileno() in self._clients:
            self._selector.modify(client.connection, client.interest(), self)

    def _disconnect(self, client: Client) -> None:
        if self._clients.pop(client.connection.fileno(), None) is None:
            return
        if self._selector is not None:
            self._selector.unregister(client.connection)
        client.connection.close()
