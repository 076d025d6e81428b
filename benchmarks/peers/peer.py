"""What the driver must know of a queue: what to install, how to set it up and where its documentation says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ARGUMENTS = ("x" * 115, 12345)
NAMED = {"flag": True}
"""About 150 bytes as JSON."""

Command = tuple[str, ...]
"""Arguments of the environment's Python."""


def manage(*arguments: str) -> Command:
    """Return a command of the Django project that all Django peers share."""
    return ("-m", "django", *arguments)


@dataclass(frozen=True)
class Setup:
    """One way of running its workers."""

    name: str
    how: str
    """The command or setting that matters, and where its documentation names it."""
    workers: tuple[Command, ...]
    tasks: int = 5_000
    """How many are drained."""
    variables: dict[str, str] = field(default_factory=dict)
    """Of the environment, while this set-up runs."""


@dataclass(frozen=True)
class Peer:
    """One queue. Its file also has `enqueue(seconds)`, `fill(count)` and, without `remaining`, `count_remaining()`."""

    package: str
    """As its index names it; the table shows its version."""
    requirements: tuple[str, ...]
    setups: tuple[Setup, ...]
    prepare: tuple[Command, ...] = (manage("migrate", "-v", "0"),)
    remaining: str = ""
    """A query for how many are not over."""
    settings: dict[str, Any] = field(default_factory=dict)
    """For a Django project: what its documentation asks for, besides `DATABASES`."""
    uses_postgres: bool = True
