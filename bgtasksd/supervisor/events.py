"""What has happened of late: the last thousand events in bounded memory, and each told at once to whoever follows."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bgtasksd.supervisor.loop import nothing

KEPT = 1000
LONGEST_TEXT = 600
"""Characters of one message; the log has all of it."""
LARGEST_ANSWER = 512 * 1024
"""Bytes of events in one answer: half of what may wait for a client."""
PASSED_OVER = frozenset({"banner"})
_PLAIN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}

Event = dict[str, Any]


class Events(logging.Handler):
    """A handler for the supervisor's own log, so that nothing is told twice; `note` adds what no log line says."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: deque[Event] = deque(maxlen=KEPT)
        self.on_event: Callable[[Event], object] = nothing

    def emit(self, record: logging.LogRecord) -> None:
        """Take one log record over."""
        try:
            facts = {name: value for name, value in vars(record).items() if name not in _PLAIN}
            name = str(facts.pop("event", "note"))
            if name not in PASSED_OVER:
                self._add(name, record.levelname.lower(), record.getMessage(), facts)
        except Exception:  # noqa: BLE001 - a record that cannot be told must not end the loop
            self.handleError(record)

    def note(self, event: str, text: str, level: str = "info", **facts: Any) -> None:
        """Add an event that is too small for the log."""
        self._add(event, level, text, facts)

    def last(self, count: int) -> list[Event]:
        """Return the last events, the oldest first: as many as asked for, if they fit into one answer."""
        found: list[Event] = []
        room = LARGEST_ANSWER
        for event in reversed(self.kept):
            room -= len(json.dumps(event))
            if room < 0 or len(found) >= count:
                break
            found.append(event)
        return found[::-1]

    def _add(self, name: str, level: str, text: str, facts: dict[str, Any]) -> None:
        event = {
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "event": name,
            "level": level,
            **{key: _small(value) for key, value in facts.items()},
            "message": _small(text),
        }
        self.kept.append(event)
        self.on_event(event)


def _small(value: object) -> object:
    """Return a value that is JSON and not long."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
