"""The socket to which the daemon tells what systemd wants to know: every line is kept, with its time."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path


class Notices:
    """Listens in a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[tuple[float, str]] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self) -> None:
        while text := self.socket.recv(65536).decode():
            self.lines += [(time.monotonic(), line) for line in text.split("\n")]

    def taken(self) -> list[tuple[float, str]]:
        """Return what was said since the last call."""
        lines, self.lines = self.lines, []
        return lines

    def close(self) -> None:
        """End the thread."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", str(self.path))
        self.thread.join(10)
        self.socket.close()
