"""Health and figures over HTTP: which pages there are, and a request and its answer as bytes. GET alone."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping

from bgtasksd import metrics
from bgtasksd.control.answering import Command
from bgtasksd.status import why_unready

PHRASES = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 500: "Internal Server Error",
    503: "Service Unavailable",
}  # fmt: skip
PLAIN, JSON = "text/plain; charset=utf-8", "application/json"

Commands = Mapping[str, Command]
"""Those of the control socket."""
Answer = tuple[int, str, str]
"""Status, content type, body."""
logger = logging.getLogger("bgtasksd.control")


def answer(commands: Commands, request: bytes) -> bytes:
    """Return the answer to a request, of which the head is there, or more than a head may be."""
    status, kind, body = _answer(commands, request)
    content = body.encode()
    head = [f"HTTP/1.1 {status} {PHRASES[status]}", f"Content-Type: {kind}", f"Content-Length: {len(content)}"]
    head += ["Cache-Control: no-store", "Connection: close", *(["Allow: GET"] if status == 405 else [])]
    return "\r\n".join([*head, "", ""]).encode() + content


def _answer(commands: Commands, request: bytes) -> Answer:
    method, _, rest = request.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
    path, _, version = rest.rpartition(" ")
    page = PAGES.get(path.partition("?")[0])
    if not version.startswith("HTTP/1.") or b"\r\n\r\n" not in request:
        return 400, PLAIN, "this is no request of HTTP/1.1, or too long a one\n"
    if method != "GET":
        return 405, PLAIN, "GET alone\n"
    if page is None:
        return 404, PLAIN, "\n".join(PAGES) + "\n"
    try:
        return page(commands)
    except Exception:
        logger.exception("a page of --http failed")
        return 500, PLAIN, "it failed; the daemon's log has the traceback\n"


def _live(commands: Commands) -> Answer:
    return 200, PLAIN, "ok\n"


def _ready(commands: Commands) -> Answer:
    reason = why_unready(commands["status"]({}))
    return (200, PLAIN, "ok\n") if reason is None else (503, PLAIN, f"{reason}\n")


def _metrics(commands: Commands) -> Answer:
    return 200, metrics.CONTENT_TYPE, commands["metrics"]({})["text"]


def _status(commands: Commands) -> Answer:
    return 200, JSON, json.dumps(commands["status"]({})) + "\n"


PAGES: dict[str, Callable[[Commands], Answer]] = {
    "/livez": _live,
    "/readyz": _ready,
    "/metrics": _metrics,
    "/status.json": _status,
}
