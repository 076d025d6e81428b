"""A TCP proxy in front of a database: closing it is what an outage looks like from a client, silence a lost network."""

from __future__ import annotations

import contextlib
import select
import socket
import threading


class Proxy:
    """Forwards to one address while it is open; one thread, in the test's own process."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.listener: socket.socket | None = None
        self.pairs: dict[socket.socket, socket.socket] = {}
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.frozen: list[socket.socket] = []
        self.is_over = self.is_silent = False
        self.last_words: bytes | None = None
        """What is still forwarded before a silence that begins with it."""
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.forward, daemon=True)
        self.thread.start()

    def open(self) -> None:
        """Let connections through; after a silence also what was said meanwhile."""
        with self.lock:
            if self.is_silent:
                self.is_silent = False
                return
            self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)

    def cut(self) -> None:
        """Refuse new connections and break the present ones."""
        with self.lock:
            if self.listener is not None:
                self.listener.close()
            self.listener = None
            for one in list(self.pairs):
                one.close()
            self.pairs.clear()

    def silence(self) -> None:
        """Forward nothing any more, in either direction, and answer nobody who connects."""
        with self.lock:
            self.is_silent = True

    def freeze(self) -> None:
        """Forward nothing any more on the present connections, and leave them open: what a server that hangs does."""
        with self.lock:
            self.frozen.extend(self.pairs)
            self.pairs.clear()

    def close(self) -> None:
        """End the thread."""
        self.cut()
        self.is_over = True
        self.thread.join(10)
        for one in self.frozen:
            one.close()

    def forward(self) -> None:
        while not self.is_over:
            with self.lock:
                sources = [*self.pairs, *([self.listener] if self.listener else [])] if not self.is_silent else []
            if not sources:
                threading.Event().wait(0.02)
                continue
            with contextlib.suppress(OSError, ValueError):
                ready, _, _ = select.select(sources, [], [], 0.05)
                with self.lock:
                    for source in ready if not self.is_silent else []:
                        self.serve(source)

    def serve(self, source: socket.socket) -> None:
        if source is self.listener:
            client, _ = source.accept()
            server = socket.create_connection(self.target)
            self.pairs[client], self.pairs[server] = server, client
        elif source in self.pairs:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            if data:
                self.pairs[source].sendall(data)
                if self.last_words is not None and self.last_words in data:
                    self.is_silent, self.last_words = True, None
            else:
                other = self.pairs.pop(source)
                self.pairs.pop(other, None)
                source.close()
                other.close()
