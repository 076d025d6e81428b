"""The options of a worker in the foreground, said once. Names, destinations and defaults are the heritage's."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from bgtasks.option_bounds import possible_concurrency
from bgtasks.output import why_no_log
from bgtasks.queue_filters import for_one_worker, patterns_of
from bgtasks.units import parse_duration

LOG_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")


def add_worker_arguments(parser: ArgumentParser) -> None:
    """Add what `process_tasks` understands."""
    add = parser.add_argument
    add(
        "--duration", type=int, default=0, help="seconds to run; 0 or less: until told to stop. A running task finishes"
    )
    add("--sleep", type=float, default=5.0, help="seconds between two looks at the queue when it is empty (default: 5)")
    add(
        "--concurrency", type=int, default=1, metavar="N",
        help="run as many `async def` tasks side by side in one event loop (default: 1, one task at a time)",
    )  # fmt: skip
    explained = "run tasks of these queues only: names, prefixes 'mail*', exclusions '!slow'; also several times"
    add("--queue", action="append", metavar="QUEUES", help=explained)
    add("--log-file", dest="log_file", metavar="PATH", help="write the log to this file")
    add("--log-std", dest="log_std", action="store_true", help="send what is printed to the log")
    add("--log-level", dest="log_level", choices=LOG_LEVELS, help="least level of what is logged")
    add("--dev", action="store_true", help="start again when code changes, after the running task")


def queues_of(options: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the names and patterns of the queues asked for; None: all. `call_command(queue="mail")` gives a string.

    Raises ValueError for what cannot be.
    """
    given = options.get("queue")
    if not given:
        return None
    texts = [given] if isinstance(given, str) else given
    return patterns_of([for_one_worker(pattern.strip()) for text in texts for pattern in text.split(",")])


def concurrency_of(options: Mapping[str, Any]) -> int:
    """Return how many coroutines may run side by side. Raises ValueError for what cannot be."""
    return possible_concurrency(1 if options.get("concurrency") is None else int(options["concurrency"]))


def duration_of(options: Mapping[str, Any]) -> float | None:
    """Return the seconds to run; None: until told to stop. Raises ValueError for what cannot be."""
    duration = options.get("duration") or 0
    return parse_duration(duration) if duration > 0 else None


def sleep_of(options: Mapping[str, Any]) -> float:
    """Return the seconds between two looks; zero is as short as can be. Raises ValueError for what cannot be."""
    return parse_duration(options["sleep"])


def log_file_of(options: Mapping[str, Any]) -> str | None:
    """Return where the log goes, None: where it went. Raises ValueError where it cannot be written."""
    given = options.get("log_file") or None
    if given and (why := why_no_log(given)):
        raise ValueError(f"{given}: {why}")
    return given
