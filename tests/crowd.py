"""A thousand clients that misbehave, in a process of their own: python -m tests.crowd COUNT PATH-OR-PORT.

Each connects, says its piece and stays until its turn comes again; then it is cut, and connects anew. Until killed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINES = (
    b"",
    b'{"v": 1, "cmd": "stat',
    bytes(range(256)) * 8 + b"\n",
    b"[1, 2]\n" * 100,
    b"[" * 60_000 + b"\n",
    b"x" * 1_000_000,
    b"\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\n",
    b'{"v": 1, "cmd": "status"}\n' * 1000,  # whose answers nobody reads
    None,
)
"""What is said on a control socket; None: gone at once."""
REQUESTS = (
    b"",
    b"GET /stat",
    bytes(range(256)) * 8,
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100,
    b"x" * 1_000_000,
    b"GET /status.json HTTP/1.1\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\n\r\n" * 100,
    None,
)
"""The same over HTTP."""


@contextlib.contextmanager
def misbehaving(count: int, where: Path | int) -> Iterator[None]:
    """Have so many clients misbehave at a socket, or at a port of this machine, until the block ends."""
    with subprocess.Popen([sys.executable, "-m", "tests.crowd", str(count), str(where)], cwd=ROOT) as crowd:
        try:
            yield
        finally:
            crowd.kill()


def main(count: int, where: str) -> None:
    """Misbehave for ever, and leave the processor to those who are watched."""
    os.nice(19)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    pieces = itertools.cycle(REQUESTS if where.isdigit() else LINES)
    held: list[socket.socket | None] = [None] * count
    for place, piece in zip(itertools.cycle(range(count)), pieces, strict=False):
        if (before := held[place]) is not None:
            before.close()
        held[place] = say(where, piece)


def say(where: str, piece: bytes | None) -> socket.socket | None:
    """Connect and say it; return the connection, unless it ends with that or did not come about."""
    client = socket.socket(socket.AF_INET if where.isdigit() else socket.AF_UNIX)
    client.settimeout(0.01)  # for a place in the queue
    try:
        client.connect(("127.0.0.1", int(where)) if where.isdigit() else where)
        client.settimeout(0)
        client.send(piece or b"")
    except OSError:  # refused, cut, or full
        piece = None
    if piece is None:
        client.close()
        return None
    return client


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
