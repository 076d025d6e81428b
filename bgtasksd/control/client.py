"""One connected client of the control socket: its bytes in and out, and the limits that hold for it."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import struct
import time
from typing import Any

LONGEST_REQUEST = 64 * 1024
LONGEST_OUTPUT = 1024 * 1024
LONGEST_PARTIAL = 5.0
"""Seconds without progress, for the rest of a request that has begun and for reading the answers."""
READING_TIME = 0.1
"""Seconds in which one who wants the answer has begun to read it, where others wait for the place."""


class ClientGone(Exception):
    """The client has disconnected, or broke a limit and is to be disconnected."""


class Client:
    """Buffers of one connection. `lines` gives one request a turn, so that no client can hold the loop."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        self.connection = connection
        self.has_asked = False
        """It has made itself understood, once: such a client is not driven out for another."""
        self.follows: set[int] = set()
        """The numbers of the changes it hears of."""
        self._input = bytearray()
        self._output = bytearray()
        self._is_closing = False
        self._stuck_since = time.monotonic()

    def peer(self) -> str:
        """Return who is at the other end, for the log."""
        size = struct.calcsize("3i")
        pid, uid, _ = struct.unpack("3i", self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        return f"pid {pid}, uid {uid}"

    @property
    def is_quiet(self) -> bool:
        """Tell whether nothing is half said, in either direction."""
        return not (self._input or self._output)

    def has_unread_answer(self, now: float) -> bool:
        """Tell whether it has left an answer lying for longer than reading takes."""
        return bool(self._output) and now - self._stuck_since > READING_TIME

    def receive(self) -> None:
        """Take what has arrived. Raises ClientGone at the end of the stream."""
        try:
            received = self.connection.recv(LONGEST_REQUEST)
        except BlockingIOError:
            return
        except OSError as error:
            raise ClientGone from error
        if not received:
            raise ClientGone
        if not self._input:
            self._stuck_since = time.monotonic()
        self._input += received

    def next_request(self) -> bytes | None:
        """Return one whole line, or None. Raises ValueError when it is longer than allowed."""
        end = self._input.find(b"\n", 0, LONGEST_REQUEST)
        if end < 0:
            if len(self._input) >= LONGEST_REQUEST:
                raise ValueError(f"a request may have {LONGEST_REQUEST} bytes")
            return None
        line = bytes(self._input[:end])
        del self._input[: end + 1]
        self._stuck_since = time.monotonic()
        return line

    def send(self, answer: dict[str, Any]) -> None:
        """Send an answer, or as much of it as fits now. Raises ClientGone beyond the limit of waiting output."""
        if not self._output:
            self._stuck_since = time.monotonic()
        self._output += json.dumps(answer).encode() + b"\n"
        if len(self._output) > LONGEST_OUTPUT:
            raise ClientGone
        self.flush()

    def flush(self) -> None:
        """Send what waits. Raises ClientGone when nobody reads any more."""
        while self._output:
            try:
                sent = self.connection.send(self._output)
            except BlockingIOError:
                return
            except OSError as error:
                raise ClientGone from error
            del self._output[:sent]
            self._stuck_since = time.monotonic()
        if self._is_closing:
            raise ClientGone

    def close(self, farewell: dict[str, Any] | None = None) -> None:
        """Close at once; one who has not asked, and so waits for no other answer, may be told why."""
        if farewell is not None and not self.has_asked:
            with contextlib.suppress(OSError):
                self.connection.send(json.dumps(farewell).encode() + b"\n")
        self.connection.close()

    def close_after_output(self) -> None:
        self._input.clear()
        self._is_closing = True
        self.flush()

    @property
    def has_request(self) -> bool:
        return b"\n" in self._input

    def interest(self) -> int:
        """Return what to wait for: output first, then the requests already here, then new ones."""
        if self._output or self.has_request:
            return selectors.EVENT_WRITE
        return selectors.EVENT_READ

    def deadline(self) -> float | None:
        """Return when its patience ends, on the monotonic clock; a silent client has no deadline."""
        return self._stuck_since + LONGEST_PARTIAL if self._output or self._input else None
