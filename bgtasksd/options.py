"""The options of a daemon as values: what they mean and their defaults. No parsing, and no judging."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

MOST_WORKERS = 1024
"""As `bgtasks.option_bounds` has it, which the supervisor does not import."""


def default_workers() -> int:
    """Return the number of usable processors, at most 8."""
    return min(8, len(os.sched_getaffinity(0)))


class Binding(NamedTuple):
    """So many workers for these queues."""

    queues: tuple[str, ...]
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything a daemon needs to know before it starts; durations in seconds, sizes in bytes, None for "no limit"."""

    # the project
    settings: str
    """The settings module."""
    settings_source: str = "--settings"
    """Where its name was found, for people."""
    root: str
    """Goes first on `sys.path` of every child; never on the supervisor's, which runs no application code."""
    version: str = ""

    # the instance
    instance: str = "default"
    runtime_dir: str
    """Exists, is ours, and holds lock, pid file and sockets."""

    # every one of these is an option, an environment variable and a settings key
    workers: int
    queues: tuple[str, ...] | None = None
    """Names and patterns as they were given, with numbers of workers if those are bound to queues."""
    concurrency: int = 1
    """How many coroutines each worker may run side by side."""
    sleep: float = 5.0
    max_age: float | None = 3600.0
    max_memory: int | None = None
    max_memory_kill: int | None = None
    max_tasks: int | None = None
    max_run_time: float | None = 3600.0
    drain_timeout: float = 60.0
    preload: str = "auto"
    """`auto`: load the project once and fork workers from there; `none`: each worker loads it."""
    strays: str = "end"
    """What is done with processes that a dead worker has left behind: `end` or `report`."""
    on_failed: str | None = None
    """What follows when no worker stays up: `wait` or `exit`. None: as process 1 exit, else wait."""
    status_socket: bool = False
    """Whether a second socket, which the group may use, answers questions and nothing else."""
    http: str | None = None
    """`HOST:PORT` for health and metrics."""
    log_file: str | None = None
    log_format: str | None = None
    """`text`, `json`, or None: the journal's form under systemd, else text."""
    daemon: bool = False

    # settings keys alone
    lease: float = 60.0
    kill_grace: float = 10.0
    orphan_timeout: float = 30.0
    boot_timeout: float = 120.0
    idle_timeout: float = 60.0
    wake: bool = True
    """Whether enqueuing processes can wake an idle worker."""

    bindings: tuple[Binding, ...] = ()
    """Which workers serve what, read from `queues`; none: all serve `queues`."""

    # not to be chosen
    min_lifetime: float = 10.0
    """A worker that ended younger, without a finished task, failed."""

    def workers_by_queues(self) -> dict[tuple[str, ...] | None, int]:
        """Return how many workers are to serve which queues; None: every queue."""
        if not self.bindings:
            return {self.queues: self.workers}
        counts: dict[tuple[str, ...] | None, int] = {}
        for binding in self.bindings:
            counts[binding.queues] = counts.get(binding.queues, 0) + binding.workers
        return counts

    def but(self, **changed: Any) -> Options:
        """Return these options with some changed."""
        return dataclasses.replace(self, **changed)

    def as_json(self) -> dict[str, Any]:
        """Return what `options_from` takes."""
        return dataclasses.asdict(self)


def options_from(fields: Mapping[str, Any]) -> Options:
    """Return the options that JSON holds. What is not known here is left out."""
    known = {each.name for each in dataclasses.fields(Options)}
    given = {name: value for name, value in fields.items() if name in known}
    if given.get("queues") is not None:
        given["queues"] = tuple(given["queues"])
    given["bindings"] = tuple(Binding(tuple(queues), workers) for queues, workers in given.get("bindings", ()))
    return Options(**given)


def address_parts(address: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`, `[::1]:PORT` or `PORT`. Raises ValueError."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65535 or (":" in host and not host.startswith("[")):
        raise ValueError(f"{address!r} is not HOST:PORT, nor a PORT of this host alone")
    return host.strip("[]") or "127.0.0.1", int(port)
