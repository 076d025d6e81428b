"""Streams and the handler under the log: nothing is torn, nothing waits, and what is lost is counted and said."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat
from pathlib import Path

LONGEST_LINE = 4096
"""Bytes that a pipe takes whole or not at all: lines of two processes never mix."""
STDOUT, STDERR = 1, 2
SLOW, FULL = "whoever reads this log was too slow", "the file could not be written"


_file: tuple[int, int] | None = None
"""What the log of this process was opened as last; a fork knows it of its parent."""

_exchanged: set[int] = set()


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
    """A log file that may be moved away by others: the next record goes to a new one, and so do stdout and stderr.

    What cannot be written is counted, and said once that is possible again.
    """

    def __init__(self, path: str, formatter: logging.Formatter) -> None:
        """Open the file. Raises OSError."""
        self.path = path
        self.formatter = formatter
        self.dropped = 0
        self._is_cut = False
        self._descriptor = -1
        self.reopen()

    def write(self, text: str) -> None:
        try:
            self._follow()
            if self._is_cut:
                self._put("\n")
            if self.dropped:
                self._put(self.formatter.format(_about_dropped(self.dropped, FULL)) + "\n")
                self.dropped = 0
            self._put(text)
        except OSError:
            self.dropped += 1

    def flush(self) -> None:
        """Nothing is held back: what a full disk does not take must not pile up here."""

    def reopen(self) -> None:
        """Let go of the file and open what now lies at the path. Raises OSError; then the next record tries again."""
        self.close()
        self._is_cut = False
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        _take_standard_streams_along(self._descriptor)

    def close(self) -> None:
        """Give the descriptor back."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _put(self, text: str) -> None:
        """Write all of a text, or raise OSError and remember that its line has no end."""
        left = text.encode(errors="backslashreplace")
        while left:
            left = left[os.write(self._descriptor, left) :]
            self._is_cut = bool(left)

    def _follow(self) -> None:
        """Reopen if the path no longer leads to the file that is open, or a task has closed it."""
        try:
            is_the_same = _identity(Path(self.path).stat()) == _identity(os.fstat(self._descriptor))
        except OSError:
            is_the_same = False
        if not is_the_same:
            self.reopen()


def _take_standard_streams_along(log: int) -> None:
    """Let stdout and stderr be the log where they were it before, as with `--daemon`: or they keep the old file."""
    global _file
    before, _file = _file, _identity(os.fstat(log))
    for standard in (STDOUT, STDERR) if before not in (None, _file) else ():
        with contextlib.suppress(OSError):  # a task has closed it
            if _identity(os.fstat(standard)) == before:
                os.dup2(log, standard)
                _exchanged.add(standard)


def exchanged() -> tuple[int, ...]:
    """Return which of stdout and stderr have become another file since this was asked last."""
    if not _exchanged:  # the usual answer, after each task
        return ()
    found = tuple(_exchanged)
    _exchanged.difference_update(found)
    return found


def _identity(file: os.stat_result) -> tuple[int, int]:
    return file.st_dev, file.st_ino


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
        if self.dropped and self._write_all(self.format(_about_dropped(self.dropped, SLOW))):
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


def _about_dropped(count: int, why: str) -> logging.LogRecord:
    text = f"{count:,} log record{' was' if count == 1 else 's were'} dropped: {why}"
    return logging.makeLogRecord({"name": "bgtasksd", "levelno": logging.WARNING, "levelname": "WARNING", "msg": text})
