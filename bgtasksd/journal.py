"""Where log lines go. The supervisor's handler never blocks: what cannot be written at once is counted and dropped."""

from __future__ import annotations

import logging
import logging.handlers
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOTS = ("bgtasks", "bgtasksd")
LONGEST_LINE = 4096
"""Bytes that a pipe takes whole or not at all: lines of two processes never mix."""
STDERR = 2

logger = logging.getLogger("bgtasksd")


class LineStream:
    """stderr of a child: each line in one piece; it waits for a slow reader, like any program."""

    def write(self, text: str) -> None:
        for piece in pieces(text):
            left = piece
            while left:
                left = left[os.write(STDERR, left) :]

    def flush(self) -> None:
        """Nothing is held back."""


class WatchedStream:
    """A log file that may be moved away by others: the next record goes to a new one."""

    def __init__(self, path: str) -> None:
        self._file = logging.handlers.WatchedFileHandler(path, encoding="utf-8", errors="backslashreplace")

    def write(self, text: str) -> None:
        if self._file.stream is None:
            self._file.stream = self._file._open()  # a LOGGING setting closes every handler there is
        self._file.reopenIfNeeded()
        self._file.stream.write(text)

    def flush(self) -> None:
        if self._file.stream is not None:
            self._file.stream.flush()


class NonBlockingHandler(logging.Handler):
    """The supervisor's, to stderr: a stalled or dead reader costs records, never a turn of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0
        self._socket: socket.socket | None = None
        self._descriptor = STDERR
        mode = os.fstat(STDERR).st_mode
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(STDERR))
        elif stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            self._descriptor = _reopened(STDERR)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - a record that cannot be formatted must not end the loop
            self.handleError(record)
            return
        if self.dropped and self._write_all(self.format(_about_dropped(self.dropped))):
            self.dropped = 0
        if not self._write_all(text):
            self.dropped += 1

    def _write_all(self, text: str) -> bool:
        return all(self._write(piece) for piece in pieces(text))

    def _write(self, piece: bytes) -> bool:
        try:
            if self._socket is not None:
                return self._socket.send(piece, socket.MSG_DONTWAIT) == len(piece)
            return os.write(self._descriptor, piece) == len(piece)
        except OSError:
            return False


def _reopened(descriptor: int) -> int:
    """Return a description of our own for the same file: O_NONBLOCK on the shared one would reach the workers too."""
    try:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return descriptor


def pieces(text: str) -> list[bytes]:
    """Return `text` as writes of whole lines that stay below the atomic size; an endless line is cut, JSON never."""
    found = [b""]
    for line in text.encode(errors="backslashreplace").splitlines():
        if len(line) >= LONGEST_LINE and not line.startswith(b"{"):
            line = line[: LONGEST_LINE - 4] + "…".encode()  # noqa: PLW2901 - the cut line takes its place
        if found[-1] and len(found[-1]) + len(line) + 1 > LONGEST_LINE:
            found.append(b"")
        found[-1] += line + b"\n"
    return [piece for piece in found if piece]


def _about_dropped(count: int) -> logging.LogRecord:
    text = f"{count} log records were dropped: whoever reads this log was too slow"
    return logging.makeLogRecord({"name": "bgtasksd", "levelno": logging.WARNING, "levelname": "WARNING", "msg": text})


@dataclass(frozen=True, slots=True)
class _Journal:
    formatter: logging.Formatter
    log_file: str | None
    is_explicit: bool
    handler_in_child: Callable[[Any], logging.Handler]


_journal = _Journal(logging.Formatter(), None, is_explicit=False, handler_in_child=logging.StreamHandler)


def configure(
    formatter: logging.Formatter,
    log_file: str | None = None,
    *,
    is_explicit: bool = False,
    handler_in_child: Callable[[Any], logging.Handler] = logging.StreamHandler,
) -> None:
    """Send the log of this process, the supervisor, to `log_file` or stderr, without waiting for a reader.

    `is_explicit`: the user asked for this form or file, so a `LOGGING` setting does not replace it in the children.
    `handler_in_child` makes their handler from a stream. Raises OSError when the file cannot be opened.
    """
    global _journal
    logging.raiseExceptions = False  # a full disk costs records, not the process
    _journal = _Journal(formatter, log_file, is_explicit, handler_in_child)
    _attach(logging.StreamHandler(WatchedStream(log_file)) if log_file else NonBlockingHandler())


def refusal(log_file: str) -> str | None:
    """Return why a log cannot be written to this path, or None. Makes nothing: `configure` has the last word."""
    path = Path(log_file)
    try:
        if path.is_dir():
            return "it is a directory"
        if path.exists():
            return None if os.access(path, os.W_OK) else "the file is not writable"
        if not path.parent.is_dir():
            return f"there is no directory {path.parent}"
    except OSError as error:  # a folder on the way that we may not look into
        return error.strerror
    return None if os.access(path.parent, os.W_OK | os.X_OK) else f"{path.parent} is not writable"


def continue_in_child() -> None:
    """Log from a forked child to the same place. Call it after the fork, and again after `django.setup()`."""
    _detach()
    if _journal.is_explicit or not all(logging.getLogger(name).hasHandlers() for name in ROOTS):
        stream = WatchedStream(_journal.log_file) if _journal.log_file else LineStream()
        _attach(_journal.handler_in_child(stream))
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ROOTS:
            logging.getLogger(name).disabled = False  # `disable_existing_loggers` meant others


def _attach(handler: logging.Handler) -> None:
    _detach()
    handler.setFormatter(_journal.formatter)
    handler.set_name("bgtasksd")
    for name in ROOTS:
        root = logging.getLogger(name)
        root.addHandler(handler)
        root.propagate = False
        if root.level == logging.NOTSET:
            root.setLevel(logging.INFO)


def _detach() -> None:
    for name in ROOTS:
        root = logging.getLogger(name)
        for handler in [each for each in root.handlers if each.get_name() == "bgtasksd"]:
            root.removeHandler(handler)
            root.propagate = True


def announce(label: str, text: str) -> None:
    """Write one line of the banner: `tasks       3 found: shop.tasks.ping`. From any process of the daemon."""
    line = f"{label:<11} {text}" if label else text
    logger.info("%s", line, extra={"event": "banner", "label": label, "text": text})
