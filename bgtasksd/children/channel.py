"""Messages between parent and child: JSON datagrams on a SOCK_SEQPACKET pair, descriptors beside them. Never blocks."""

from __future__ import annotations

import array
import json
import os
import socket
from collections.abc import Sequence
from typing import Any

LARGEST = 160 * 1024
"""Bytes in one message; the kernel refuses more than its socket buffer holds."""
MOST_DESCRIPTORS = 8

Message = dict[str, Any]


class ChannelClosed(Exception):
    """The other end is gone."""


class Channel:
    """One end of a pair."""

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(0)
        self.socket = end

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self.socket.fileno()

    def send(self, kind: str, descriptors: Sequence[int] = (), **fields: Any) -> bool:
        """Send one message; False when the other end is gone or reads nothing, then the message is lost."""
        text = json.dumps({"kind": kind, **fields}).encode()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            self.socket.sendmsg([text], rights, socket.MSG_NOSIGNAL)
        except OSError:
            return False
        return True

    def receive(self) -> tuple[Message, list[int]] | None:
        """Return the next message and its descriptors, None when there is none now. Raises ChannelClosed."""
        room = socket.CMSG_SPACE(MOST_DESCRIPTORS * array.array("i").itemsize)
        try:
            text, rights, _flags, _address = self.socket.recvmsg(LARGEST, room, socket.MSG_CMSG_CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return None
        except ConnectionResetError:
            return self.receive()  # it left with something of ours unread, told once; its own last words are still here
        except OSError as error:
            raise ChannelClosed(str(error)) from None
        descriptors = _descriptors(rights)
        if not text:
            raise ChannelClosed("end of file")
        return _message(text), descriptors

    def close(self) -> None:
        """Give the descriptor back."""
        self.socket.close()


def pair() -> tuple[Channel, Channel]:
    """Return the two ends of a new channel."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Channel(ours), Channel(theirs)


def from_descriptor(descriptor: int) -> Channel:
    """Return the end that came in as a descriptor."""
    return Channel(socket.socket(fileno=descriptor))


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors nobody wants."""
    for descriptor in descriptors:
        os.close(descriptor)


def _descriptors(rights: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in rights:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)


def _message(text: bytes) -> Message:
    """Return the message, or one of kind "garbage": a task may have written into our descriptor."""
    try:
        message = json.loads(text)
    except ValueError:
        return {"kind": "garbage"}
    return message if isinstance(message, dict) and isinstance(message.get("kind"), str) else {"kind": "garbage"}
