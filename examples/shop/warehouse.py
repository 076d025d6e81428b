"""The demo's warehouse: a web hook on this machine that refuses the first two requests of each order."""

from __future__ import annotations

import json
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

REFUSALS = 2


class Warehouse:
    """A small HTTP server on a free port of the loopback; `requests` counts them by order."""

    def __init__(self) -> None:
        self.requests: Counter[int] = Counter()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._answers())
        self.url = f"http://127.0.0.1:{self.server.server_port}/orders"

    def open(self) -> None:
        """Answer from now on."""
        Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop answering and give the port back."""
        self.server.shutdown()
        self.server.server_close()

    def _answers(self) -> type[BaseHTTPRequestHandler]:
        requests = self.requests

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                order = json.loads(body)["order"]
                requests[order] += 1
                self.send_response(503 if requests[order] <= REFUSALS else 204)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Stay silent: the worker's log tells the story."""

        return Answer
