"""How the options of `bgtasksd start` are called, read and explained: on the command line, in settings, in help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table: how an option is called, read and explained."""

    name: str
    kind: str
    """duration · size · count · queues · text · address · flag, or the allowed words separated by `|`."""
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
    Option(
        "concurrency",
        "count",
        "run as many `async def` tasks side by side in each worker, in one event loop",
        "N",
        default="1",
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
        "max_memory_kill",
        "size",
        "kill a worker at once, in the middle of its task, when its own memory passes this, 0: never",
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
    Option(
        "preload", "auto|none", "load the project once and fork workers from there, or once in each", default="auto"
    ),
    Option("strays", "end|report", "what is done with processes that a dead worker has left behind", default="end"),
    Option("on_failed", "wait|exit", "when no worker stays up: try once a minute, or exit", default="as pid 1 exit"),
    Option("status_socket", "flag", "answer questions to the group on status.sock, and take no orders there"),
    Option(
        "http",
        "address",
        "answer /livez, /readyz, /metrics and /status.json here; a PORT alone: to this host alone",
        "[HOST:]PORT",
        default="off",
    ),
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
KEYS_ALONE = ("lease", "kill_grace", "orphan_timeout", "boot_timeout", "idle_timeout", "wake")
"""Fields that only the settings dictionary sets."""
