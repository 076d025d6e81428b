"""The client's end of the control socket: requests out, answers in, and patience for both."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

from bgtasksd.directory import SOCKET_NAME

PATIENCE = 5.0
"""Seconds for an answer."""


class NoAnswer(Exception):
    """The daemon closed the connection, or said nothing in time."""


class TooLate(NoAnswer):
    """It said nothing in time; the connection is still there."""


class Refused(Exception):
    """The daemon refused a command; the message says why."""


class Connection:
    """One connection to a daemon's control socket, or to that for questions alone."""

    def __init__(self, directory: Path, patience: float = PATIENCE, name: str = SOCKET_NAME) -> None:
        """Connect. Raises OSError when nobody listens or we may not."""
        self._deadline: float | None = time.monotonic() + patience
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._received = b""
        try:
            self._connect(str(directory / name))
        except BaseException:
            self._socket.close()
            raise

    def _connect(self, path: str) -> None:
        while True:
            self._wait_at_most()
            try:
                return self._socket.connect(path)
            except BlockingIOError:
                time.sleep(0.01)  # its queue of newcomers is full at the moment

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Return the answer to a command. Raises Refused or NoAnswer."""
        request = {"v": 1, "id": 1, "cmd": command, **arguments}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # turned away: what it says lies there to be read
        except OSError as error:
            raise NoAnswer(str(error)) from error
        return self.read()

    def read(self) -> dict[str, Any]:
        """Return the data of the next line. Raises Refused or NoAnswer."""
        while b"\n" not in self._received:
            try:
                self._wait_at_most()
                received = self._socket.recv(65536)
            except TimeoutError as error:
                raise TooLate(str(error)) from error
            except OSError as error:
                raise NoAnswer(str(error)) from error
            if not received:
                raise NoAnswer("the daemon closed the connection")
            self._received += received
        line, _, self._received = self._received.partition(b"\n")
        answer = json.loads(line)
        if not answer.get("ok"):
            raise Refused(str(answer.get("error")))
        data: dict[str, Any] = answer["data"]
        return data

    def be_patient(self, seconds: float | None) -> None:
        """Wait that long from now on; None: for as long as it takes."""
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def _wait_at_most(self) -> None:
        left = None if self._deadline is None else self._deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("no answer in time")
        self._socket.settimeout(left)
