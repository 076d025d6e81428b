"""A stand-in for the supervisor's loop: a lock, and a control server answering from a thread."""

from __future__ import annotations

import queue
import selectors
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bgtasksd.control import ControlServer
from bgtasksd.lock import Lock

Commands = dict[str, Callable[[dict[str, Any]], dict[str, Any]]]


class Loop:
    """Turns a server's selector; `longest_turn` is how long one turn took at worst."""

    def __init__(self, server: ControlServer) -> None:
        self.server = server
        self.longest_turn = 0.0
        self.is_over = False
        self.clients = 0
        self.todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.selector = selectors.DefaultSelector()
        server.register(self.selector)

    def run(self) -> None:
        while not self.is_over:
            events = self.selector.select(0.02)
            began = time.monotonic()
            for key, mask in events:
                self.server.handle(key, mask)
            self.server.disconnect_stuck()
            while not self.todo.empty():
                self.todo.get()()
            self.clients = len(self.server.sockets) - 2  # without the listening one and the spare
            self.longest_turn = max(self.longest_turn, time.monotonic() - began)


@contextmanager
def served(directory: Path, commands: Commands) -> Iterator[Loop]:
    """Answer `commands` in `directory`, holding its lock, until the block ends."""
    lock = Lock.acquire(directory)
    server = ControlServer(directory, commands)
    server.open()
    loop = Loop(server)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield loop
    finally:
        loop.is_over = True
        thread.join()
        server.close()
        loop.selector.close()
        lock.release()
