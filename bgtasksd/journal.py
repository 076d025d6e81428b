"""Where the log of each process goes, and what is grave enough for it; `log_streams` does the writing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bgtasksd.log_streams import LineStream, NonBlockingHandler, WatchedStream

ROOTS = ("bgtasks", "bgtasksd")
OURS, MORE = "bgtasksd", "bgtasksd.events"
"""Names of our handlers."""
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

logger = logging.getLogger("bgtasksd")


@dataclass(frozen=True, slots=True)
class _Journal:
    formatter: logging.Formatter
    log_file: str | None
    is_explicit: bool
    handler_in_child: Callable[[Any], logging.Handler]


_journal = _Journal(logging.Formatter(), None, is_explicit=False, handler_in_child=logging.StreamHandler)
_ordered_level: int | None = None
"""What an operator has asked for while the daemon runs; children are born with it."""


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
    _attach(logging.StreamHandler(WatchedStream(log_file, formatter)) if log_file else NonBlockingHandler())


def in_force() -> dict[str, Any]:
    """Return what the next program of this daemon is to go on with."""
    level = None if _ordered_level is None else logging.getLevelName(_ordered_level)
    return {"is_explicit": _journal.is_explicit, "level": level}


def also_to(handler: logging.Handler) -> None:
    """Hand the supervisor's records to this handler, too, at any level of the log; its children do not have it."""
    _detach(MORE)
    handler.set_name(MORE)
    handler.setLevel(logging.INFO)
    logger.addHandler(handler)


def set_level(level: str) -> None:
    """Write from now on what is at least as grave: in the supervisor, and in the children that it will have."""
    global _ordered_level
    _ordered_level = logging.getLevelNamesMapping()[level]
    for root in map(logging.getLogger, ROOTS):
        root.setLevel(min(_ordered_level, logging.INFO))  # the events are heard at any level
        for handler in root.handlers:
            if handler.get_name() == OURS:
                handler.setLevel(_ordered_level)


def _set_level_in_child(level: str) -> None:
    """Obey whoever has chosen the handlers."""
    global _ordered_level
    _ordered_level = logging.getLevelNamesMapping()[level]
    for root in map(logging.getLogger, ROOTS):
        root.setLevel(_ordered_level)


def obeys(message: dict[str, Any]) -> bool:
    """Do in a child what a message of the supervisor says about the log; say whether it was about that."""
    if message["kind"] == "log_level":
        _set_level_in_child(message["level"])
    elif message["kind"] == "reopen":
        reopen()
    else:
        return False
    return True


def reopen() -> str | None:
    """Open the log file again, so that the one that was moved away is let go. Return why that was not possible."""
    trouble = None
    for root in map(logging.getLogger, ROOTS):
        for handler in root.handlers:
            stream = getattr(handler, "stream", None)
            if isinstance(stream, WatchedStream):
                try:
                    stream.reopen()
                except OSError as error:
                    trouble = f"{stream.path}: {error.strerror}"
    return trouble


def continue_in_child(*, are_enabled: bool = False) -> None:
    """Log from a forked child to the same place. Call it after the fork, and again after `django.setup()`.

    `are_enabled`: that was before the fork. To walk through all loggers again would copy 0.3 MB of their pages.
    """
    _detach(OURS, MORE)
    if _journal.is_explicit or not all(logging.getLogger(name).hasHandlers() for name in ROOTS):
        _attach(_journal.handler_in_child(_stream_in_child()))
    for name in () if are_enabled else list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ROOTS:
            logging.getLogger(name).disabled = False  # `disable_existing_loggers` meant others
    if _ordered_level is not None:
        _set_level_in_child(logging.getLevelName(_ordered_level))


def _stream_in_child() -> Any:
    return WatchedStream(_journal.log_file, _journal.formatter) if _journal.log_file else LineStream()


def _attach(handler: logging.Handler) -> None:
    _detach(OURS)
    handler.setFormatter(_journal.formatter)
    handler.set_name(OURS)
    for name in ROOTS:
        root = logging.getLogger(name)
        root.addHandler(handler)
        root.propagate = False
        if root.level == logging.NOTSET:
            root.setLevel(logging.INFO)


def _detach(*names: str) -> None:
    """Take our handlers off, and let go of the file that one has open."""
    for root in map(logging.getLogger, ROOTS):
        for handler in [each for each in root.handlers if each.get_name() in names]:
            root.removeHandler(handler)
            root.propagate = True
            stream = getattr(handler, "stream", None)
            if isinstance(stream, WatchedStream):
                stream.close()


def announce(label: str, text: str) -> None:
    """Write one line of the banner: `tasks       3 found: shop.tasks.ping`. From any process of the daemon."""
    line = f"{label:<11} {text}" if label else text
    logger.info("%s", line, extra={"event": "banner", "label": label, "text": text})
