"""The options of `bgtasksd start`: what they mean, their defaults, which contradict each other. No parsing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NamedTuple

MOST_WORKERS = 1024
"""Beyond it a typing error is more likely: each is a process, with three descriptors in the supervisor."""


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
    sleep: float = 5.0
    max_age: float | None = 3600.0
    max_memory: int | None = None
    max_tasks: int | None = None
    max_run_time: float | None = 3600.0
    drain_timeout: float = 60.0
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
    preload: str = "auto"
    wake: bool = True
    """Whether enqueuing processes can wake an idle worker."""

    bindings: tuple[Binding, ...] = ()
    """Which workers serve what, read from `queues`; none: all serve `queues`."""

    # not to be chosen
    min_lifetime: float = 10.0
    """A worker that ended younger, without a finished task, failed."""

    def queues_by_slot(self) -> list[tuple[str, ...] | None]:
        """Return what the worker of each slot serves, in the order of their numbers; None: every queue."""
        bound = [binding.queues for binding in self.bindings for _ in range(binding.workers)]
        return [*bound] if bound else [self.queues] * self.workers

    @property
    def max_age_jitter(self) -> float:
        return 0.1 * (self.max_age or 0.0)


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table: how an option is called, read and explained."""

    name: str
    kind: str
    """duration · size · count · queues · text · flag, or the allowed words separated by `|`."""
    help: str
    metavar: str | None = None
    is_off_at_zero: bool = False
    is_key: bool = True
    """Also a key of `BGTASKS`."""
    default: str = ""
    """For people."""
    other_flag: str = ""
    """The same by another name."""

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return "BGTASKSD_" + self.name.upper()

    @property
    def key(self) -> str:
        return self.name.upper()


TABLE = (
    Option("workers", "count", "number of worker processes", "N", default="processors, at most 8"),
    Option(
        "queues",
        "queues",
        "serve only these queues: names, prefixes 'mail*', exclusions '!slow'; with a number, so many workers are"
        " for these alone: 'mail,sms:2'. May be given more than once",
        "QUEUES[:N]",
        default="all",
        other_flag="--queue",
    ),
    Option("sleep", "duration", "longest wait between two looks at an empty queue", "TIME", default="5s"),
    Option(
        "max_age", "duration", "replace a worker after this time, 0: never", "TIME", is_off_at_zero=True, default="1h"
    ),
    Option(
        "max_memory",
        "size",
        "replace a worker whose own memory passes this, 0: never",
        "SIZE",
        is_off_at_zero=True,
        default="never",
    ),
    Option(
        "max_tasks",
        "count",
        "replace a worker after this many tasks, 0: never",
        "N",
        is_off_at_zero=True,
        default="never",
    ),
    Option(
        "max_run_time",
        "duration",
        "interrupt a task after this time, 0: never",
        "TIME",
        is_off_at_zero=True,
        default="1h",
    ),
    Option("drain_timeout", "duration", "time that running tasks get when told to stop", "TIME", default="60s"),
    Option("log_file", "text", "write the log here, not to stderr", "FILE", default="stderr"),
    Option("log_format", "text|json", "form of the log lines", default="journal's under systemd, else text"),
    Option("daemon", "flag", "run in the background; returns when every worker is up", default="foreground"),
    Option("settings", "text", "settings module of the project", "MODULE", is_key=False, default="found"),
    Option("chdir", "text", "go to this directory first", "DIR", is_key=False),
    Option(
        "instance",
        "text",
        "name of this daemon, when one machine runs several",
        "NAME",
        is_key=False,
        default="default",
    ),
    Option("runtime_dir", "text", "directory of lock and control socket", "DIR", is_key=False, default="found"),
)
KEYS_ALONE = ("lease", "kill_grace", "orphan_timeout", "boot_timeout", "idle_timeout", "preload", "wake")
"""Fields that only the settings dictionary sets."""


def contradictions(options: Options) -> list[str]:
    """Return one sentence for each value that is out of bounds, and for each pair that cannot hold together."""
    found = []
    if options.workers > MOST_WORKERS:
        found.append(f"{options.workers:,} workers on one host (--workers) are more than {MOST_WORKERS:,}")
    if options.lease < 3:
        found.append(f"LEASE is {options.lease:g} s; it must be 3 s or more")
    if options.lease <= options.kill_grace:
        found.append(f"LEASE ({options.lease:g} s) must be longer than KILL_GRACE ({options.kill_grace:g} s)")
    if options.orphan_timeout > options.lease * 2 / 3:
        found.append(
            f"ORPHAN_TIMEOUT ({options.orphan_timeout:g} s) must be at most two thirds of LEASE ({options.lease:g} s)"
        )
    if options.sleep <= 0:
        found.append("the wait between two looks at the queue (--sleep) must be longer than zero")
    return found
