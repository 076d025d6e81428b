"""Keeping the log readable and never silent: many successes become one line, and mute loggers get a handler."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

from bgtasks.output.formatters import formatter

LINES_A_SECOND = 20
"""Successes of one worker shown one by one in a second; what comes beyond is folded, and all of the next second."""


class Folds:
    """Successes of the current second beyond the limit, summed up by worker and task name."""

    def __init__(self, limit: int = LINES_A_SECOND, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = self.shown_at_most = limit
        self.clock = clock
        self.started = clock()
        self.shown = 0
        self.sums: dict[tuple[str, str], tuple[int, float]] = {}

    def takes(self, record: logging.LogRecord) -> bool:
        """Say whether a record was folded, and need not be written."""
        if getattr(record, "event", "") != "task" or getattr(record, "outcome", "") not in ("successful", "settled"):
            return False
        self.shown += 1
        if not self.is_folding:
            return False
        self.add(
            str(getattr(record, "worker", "")),
            str(getattr(record, "task_name", "")),
            getattr(record, "duration", None) or 0.0,
        )
        return True

    @property
    def is_folding(self) -> bool:
        """Whether this second has shown enough."""
        return self.shown > self.shown_at_most

    def add(self, worker: str, task_name: str, duration: float) -> None:
        """Sum up one success."""
        count, total = self.sums.get((worker, task_name), (0, 0.0))
        self.sums[worker, task_name] = (count + 1, total + duration)

    def finished(self, *, now: bool = False) -> list[logging.LogRecord]:
        """Return the lines of a second that is over, and begin the next one; `now` ends it early."""
        if not now and self.clock() - self.started < 1.0:
            return []
        records = [_folded(worker, name, *told) for (worker, name), told in self.sums.items()]
        self.shown_at_most = 0 if self.shown > self.limit else self.limit
        self.sums, self.shown, self.started = {}, 0, self.clock()
        return records


def _folded(worker: str, name: str, count: int, total: float) -> logging.LogRecord:
    mean = total / count
    message = f"count={count} task={name} outcome=successful mean={mean:.6f}"
    record = logging.LogRecord("bgtasks.worker", logging.INFO, "", 0, message, (), None)
    facts = {"event": "tasks", "worker": worker, "task_name": name, "count": count, "outcome": "successful"}
    vars(record).update(facts, mean_duration=mean)
    return record


class FoldingHandler(logging.StreamHandler[TextIO]):
    """Writes records to a stream, and folds successes that come faster than anybody can read. Failures never fold."""

    def __init__(self, stream: TextIO | None = None, folds: Folds | None = None) -> None:
        super().__init__(stream)
        self.folds = folds or Folds()

    def emit(self, record: logging.LogRecord) -> None:
        self.emit_folded()
        if not self.folds.takes(record):
            super().emit(record)

    def emit_folded(self, *, now: bool = False) -> None:
        """Write the lines of a second that is over; with `now`, of the one that is not yet."""
        for record in self.folds.finished(now=now):
            super().emit(record)

    def close(self) -> None:
        self.emit_folded(now=True)
        super().close()


def attach_if_silent(names: Iterable[str] = ("bgtasks", "bgtasksd"), kind: str = "auto") -> list[FoldingHandler]:
    """Give each logger without any handler one that writes to stderr, and return these handlers.

    Django's default logging mutes every package but itself.
    """
    attached = []
    for logger in map(logging.getLogger, names):
        if logger.hasHandlers():
            continue
        handler = FoldingHandler(sys.stderr)
        handler.setFormatter(formatter(kind, sys.stderr))
        logger.addHandler(handler)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)
        attached.append(handler)
    return attached


def fold(logger: logging.Logger, worker: str, task_name: str, duration: float) -> bool:
    """Sum up a success without a record, if every handler would do just that: 1 µs against 30. False: log it."""
    handlers = list(_handlers(logger))
    if not handlers:
        return False
    for handler in handlers:
        if type(handler) is not FoldingHandler or handler.filters or not handler.folds.is_folding:
            return False
    for handler in handlers:
        handler.folds.shown += 1
        handler.folds.add(worker, task_name, duration)
        handler.emit_folded()
    return True


def _handlers(logger: logging.Logger) -> Iterator[Any]:
    """Yield the handlers that a record would come to."""
    above: logging.Logger | None = logger
    while above is not None:
        yield from above.handlers
        above = above.parent if above.propagate else None


def flush_folded(*, now: bool = False) -> None:
    """Write what is folded and due; a worker calls this when it is idle, and with `now` before it leaves."""
    for name in ("bgtasks", "bgtasks.worker", ""):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, FoldingHandler):
                handler.emit_folded(now=now)
