"""How one log record is written: for people, as JSON, or for the journal.

A record with `event="task"` tells how one run of a task ended: `task_id`, `task_name`, `queue`, `attempt`,
`max_attempts`, `outcome`, `duration`, `waited`, `retry_in`, `worker`, and `arguments` where they may be shown.
A record with `event="tasks"` stands for many successes: `count`, `task_name`, `mean_duration`, `worker`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bgtasks.output.terminal import format_count, harmless, one_line, paint, wants_colour
from bgtasks.units import format_duration

OUTCOMES = {
    "successful": ("done", "green"),
    "settled": ("done", "green"),
    "retry": ("FAILED", "red"),
    "failed": ("FAILED", "red"),
    "cancelled": ("cancelled", "yellow"),
    "released": ("given back", "yellow"),
    "lost": ("claim lost", "yellow"),
}
"""The word for each outcome of a run, and its colour."""

LONGEST_TRACEBACK = 20_000
"""Characters; an exception's message can be arbitrarily long."""

SECONDS = {"duration", "mean_duration", "waited", "retry_in"}
SYSLOG_LEVELS = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_PLAIN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """One line a record, for people; a traceback indented below it."""

    def __init__(self, *, colour: bool = False, timestamps: bool = True) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self.colour = colour
        self.timestamps = timestamps

    def format(self, record: logging.LogRecord) -> str:
        write = {"task": self._task_line, "tasks": self._tasks_line}.get(getattr(record, "event", ""), self._plain_line)
        lines = [write(record), *(f"          {line}" for line in _below(record))]
        if self.timestamps:
            lines[0] = f"{paint(self.formatTime(record, self.datefmt), 'dim', enabled=self.colour)}  {lines[0]}"
        return "\n".join(lines)

    def _task_line(self, record: logging.LogRecord) -> str:
        facts = _Facts(record)
        word, colour = OUTCOMES.get(facts.outcome, (facts.outcome, "yellow"))
        word = paint(f"{word:<6}", colour, enabled=self.colour)
        name = one_line(facts.task_name) + one_line(facts.arguments)
        told = facts.time_taken() if facts.outcome in _GOOD else _why(record, facts)
        return f"{facts.slot:<3} {facts.task_id}  {name:<32}  {word}  {told}"

    def _tasks_line(self, record: logging.LogRecord) -> str:
        facts = _Facts(record)
        done = paint("done", "green", enabled=self.colour)
        mean = format_duration(facts.mean_duration)
        return f"{facts.slot:<3} {format_count(facts.count)} × {one_line(facts.task_name)}  {done}  mean {mean}"

    def _plain_line(self, record: logging.LogRecord) -> str:
        message = harmless(record.getMessage())
        if record.levelno < logging.WARNING:
            return message
        colour = "red" if record.levelno >= logging.ERROR else "yellow"
        return f"{paint(record.levelname.lower(), colour, enabled=self.colour)}  {message}"


class JsonFormatter(logging.Formatter):
    """One JSON object a record; seconds end in `_s`, times are ISO 8601 in UTC, task ids are strings."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _PLAIN and not name.startswith("_"):
                told[f"{name}_s" if name in SECONDS else name] = str(value) if name == "task_id" else value
        traceback = _traceback(record)
        if traceback:
            told |= {"error": _error_line(record), "traceback": traceback}
        return json.dumps(told, default=str)


class JournalFormatter(logging.Formatter):
    """The human lines without time, each with the `<N>` that tells the journal its priority."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = LineFormatter(timestamps=False)

    def format(self, record: logging.LogRecord) -> str:
        level = next((syslog for least, syslog in SYSLOG_LEVELS if record.levelno >= least), 7)
        return "\n".join(f"<{level}>{line}" for line in self.lines.format(record).split("\n"))


def formatter(kind: str = "auto", stream: Any = None) -> logging.Formatter:
    """Return the formatter for a stream: "json", or lines ("auto", "text") as the journal or a terminal wants them."""
    if kind == "json":
        return JsonFormatter()
    if _is_journal(stream):
        return JournalFormatter()
    return LineFormatter(colour=wants_colour(stream))


def _is_journal(stream: Any) -> bool:
    """Say whether a stream leads to the journal: systemd names its device and inode, for children inherit the name."""
    try:
        at = os.fstat(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{at.st_dev}:{at.st_ino}"


_GOOD = {"successful", "settled"}


class _Facts:
    """What a record tells of a task, with defaults for what it leaves out."""

    def __init__(self, record: logging.LogRecord) -> None:
        read: Callable[[str, Any], Any] = lambda name, default: getattr(record, name, default)  # noqa: E731
        self.task_id = read("task_id", "?")
        self.task_name = str(read("task_name", "?"))
        self.arguments = str(read("arguments", "") or "")
        self.outcome = str(read("outcome", "?"))
        self.attempt, self.max_attempts = read("attempt", None), read("max_attempts", None)
        self.duration, self.mean_duration = read("duration", None) or 0.0, read("mean_duration", 0.0)
        self.waited, self.retry_in = read("waited", None), read("retry_in", None)
        self.count = read("count", 0)
        self.slot = _slot(str(read("worker", "") or ""))

    def time_taken(self) -> str:
        waited = "" if self.waited is None else f"  (waited {format_duration(self.waited)})"
        return f"{format_duration(self.duration):>7}{waited}"


def _slot(worker: str) -> str:
    """Return `w2` for the worker `host:instance:2:nonce`, or what stands in the slot's place."""
    parts = worker.rsplit(":", 2)
    slot = parts[1] if len(parts) == 3 else worker
    return f"w{slot}" if slot.isdigit() else one_line(slot)


def _why(record: logging.LogRecord, facts: _Facts) -> str:
    """Say what went wrong and what follows."""
    parts = [_error_line(record)]
    if facts.outcome in ("retry", "failed") and facts.attempt is not None:
        parts.append(f"attempt {facts.attempt}" + (f" of {facts.max_attempts}" if facts.max_attempts else ""))
    told = "   ".join(part for part in parts if part)
    if facts.outcome == "retry" and facts.retry_in is not None:
        return f"{told}, next in {format_duration(facts.retry_in)}"
    return f"{told}, no further attempt" if facts.outcome == "failed" else told


def _error_line(record: logging.LogRecord) -> str:
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        message = one_line(_text(error))
        return f"{type(error).__name__}: {message[:200]}" if message else type(error).__name__
    lines = (record.exc_text or "").strip().splitlines()
    return one_line(lines[-1])[:200] if lines else ""


def _text(error: BaseException) -> str:
    """Return an exception's own text; one that raises even here costs its line nothing else."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - SystemExit from a __str__ would end the worker that logs it
        return "<exception str() failed>"


def _below(record: logging.LogRecord) -> list[str]:
    """Return the lines that follow a record's first one: the traceback, and for a task where to read more."""
    lines = harmless(_traceback(record)).split("\n") if _traceback(record) else []
    outcome = getattr(record, "outcome", "")
    if lines and getattr(record, "event", "") == "task" and outcome in ("retry", "failed"):
        page = "completedtask" if outcome == "failed" else "task"
        lines.append(f"in the admin: bgtasks/{page}/{_Facts(record).task_id}/change/")
    return lines


def _traceback(record: logging.LogRecord) -> str:
    text = record.exc_text or ""
    if not text and record.exc_info and record.exc_info[0] is not None:
        text = logging.Formatter().formatException(record.exc_info)
    if len(text) > LONGEST_TRACEBACK:
        half = LONGEST_TRACEBACK // 2
        return f"{text[:half]}\n… {len(text) - LONGEST_TRACEBACK:,} characters left out …\n{text[-half:]}"
    return text
