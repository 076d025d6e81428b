"""Tasks that do what the tests need; each leaves a line in the ledger file named by BGTASKS_TEST_LEDGER."""

from __future__ import annotations

import json
import os
import time

from bgtasks import background


def note(event: str, **facts: object) -> None:
    """Append one JSON line to the ledger: atomically, and outside of the queue's own tables."""
    path = os.environ.get("BGTASKS_TEST_LEDGER")
    if path:
        line = json.dumps({"event": event, "pid": os.getpid(), "at": time.monotonic(), **facts}) + "\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(descriptor, line.encode())
        os.close(descriptor)


@background
def ping(number: int = 0) -> None:
    note("ran", number=number)


@background
def nap(seconds: float, number: int = 0) -> None:
    note("started", number=number)
    time.sleep(seconds)
    note("ended", number=number)


@background
def fail(message: str = "as asked") -> None:
    note("ran")
    raise ValueError(message)
