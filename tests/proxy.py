"""A TCP proxy in front of a database: closing it is what an outage looks like from a client."""

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
        self.is_over = False
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.forward, daemon=True)
        self.thread.start()

    def open(self) -> None:
        """Let connections through."""
        with self.lock:
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

    def close(self) -> None:
        """End the thread."""
        self.cut()
        self.is_over = True
        self.thread.join(10)

    def forward(self) -> None:
        while not self.is_over:
            with self.lock:
                sources = [*self.pairs, *([self.listener] if self.listener else [])]
            if not sources:
                threading.Event().wait(0.02)
                continue
            with contextlib.suppress(OSError, ValueError):
                ready, _, _ = select.select(sources, [], [], 0.05)
                with self.lock:
                    for source in ready:
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
            else:
                other = self.pairs.pop(source)
                self.pairs.pop(other, None)
                source.close()
                other.close()
