"""The first lines of a start: what this daemon is and found. The zygote and maintenance report the rest themselves."""

from __future__ import annotations

import logging
import platform
from pathlib import Path

from bgtasks.output import LineFormatter
from bgtasks.units import format_duration, format_size
from bgtasksd import journal
from bgtasksd.cli.configuration import Configuration
from bgtasksd.directory import SOCKET_NAME
from bgtasksd.options import Options


def show(configuration: Configuration) -> None:
    """Write the lines that are known before anything runs."""
    options = configuration.options
    parts = (f"bgtasksd {options.version}", f"Python {platform.python_version()}", f"Django {configuration.django}")
    journal.announce("", " · ".join((*parts, configuration.database)))
    journal.announce("settings", f"{options.settings:<26} {_found(options.settings_source)}")
    journal.announce("workers", _workers(options))
    journal.announce("control", str(Path(options.runtime_dir) / SOCKET_NAME))


def _found(source: str) -> str:
    return f"named by {source}" if source.startswith(("-", "DJANGO")) else f"found in {source}"


def _workers(options: Options) -> str:
    many = "1 process" if options.workers == 1 else f"{options.workers} processes"
    return f"{many} · {_recycling(options)} · queues: {_queues(options)}"


def _queues(options: Options) -> str:
    if not options.bindings:
        return ", ".join(options.queues or ["all"])
    return ", ".join(f"{','.join(each.queues)} ({each.workers})" for each in options.bindings)


def _recycling(options: Options) -> str:
    limits = []
    if options.max_age is not None:
        limits.append(f"after {format_duration(options.max_age)}")
    if options.max_tasks is not None:
        limits.append(f"after {options.max_tasks:,} tasks")
    if options.max_memory is not None:
        limits.append(f"above {format_size(options.max_memory)}")
    if options.max_memory_kill is not None:
        limits.append(f"killed above {format_size(options.max_memory_kill)}")
    return f"recycled {', '.join(limits)}" if limits else "never recycled"


class BannerFormatter(logging.Formatter):
    """Writes lines of the banner without a time in front, and all others as the given formatter does."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter
        self._is_for_people = isinstance(formatter, LineFormatter)

    def format(self, record: logging.LogRecord) -> str:
        if self._is_for_people and getattr(record, "event", "") == "banner":
            return record.getMessage()
        return self._formatter.format(record)
