"""`--log-std`: what is printed goes to the log, through real text streams, so that `print(flush=True)` works."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class LogStream(io.TextIOBase):
    """A text stream whose lines become log records."""

    def __init__(self, logger: logging.Logger, level: int, fallback: io.TextIOBase) -> None:
        self.logger = logger
        self.level = level
        self.fallback = fallback
        """Takes what logging itself writes to this stream: it would come back here for ever."""
        self.rest = ""
        self.busy = threading.local()

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if getattr(self.busy, "yes", False):
            return self.fallback.write(text)
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self._log(line)
        return len(text)

    def flush(self) -> None:
        """Log also an unfinished line: whoever flushes wants it to be seen."""
        if self.rest and not getattr(self.busy, "yes", False):
            line, self.rest = self.rest, ""
            self._log(line)

    def fileno(self) -> int:
        return self.fallback.fileno()

    def _log(self, line: str) -> None:
        self.busy.yes = True
        try:
            self.logger.log(self.level, "%s", line)
        finally:
            self.busy.yes = False


@contextmanager
def printed_to_log() -> Iterator[None]:
    """Send stdout (INFO) and stderr (ERROR) to the log while this lasts."""
    before = sys.stdout, sys.stderr
    out = LogStream(logging.getLogger("bgtasks.stdout"), logging.INFO, before[0])  # type: ignore[arg-type]
    err = LogStream(logging.getLogger("bgtasks.stderr"), logging.ERROR, before[1])  # type: ignore[arg-type]
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before
