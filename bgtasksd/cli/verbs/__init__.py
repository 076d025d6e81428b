"""The verbs that talk to the daemon, or are it: none needs Django. A verb is a module, imported when it is asked for.

It has EXAMPLES, `add_arguments(parser)` and `run(typed)`, which returns the exit code;
USAGE_EXIT_CODE where 2 means something else.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

VERBS = {
    "start": "Run the workers of a project.",
    "status": "Say what runs, what waits and what is wrong.",
    "stop": "Stop the daemon and wait for its end.",
    "scale": "Have more or fewer workers, while they work.",
    "drain": "Start no task on this host, until that is undone.",
    "retire": "Replace workers after their task.",
    "kill": "Kill a worker that does not obey; its task is tried again.",
    "reload": "Load new code and settings without a pause.",
    "top": "Watch workers and queues, live.",
    "upgrade": "Go on with the daemon's own new code, in place.",
    "events": "Say what has happened, and what happens.",
    "stacks": "Show where every thread of every process is.",
    "metrics": "Print the figures as Prometheus reads them.",
    "log-level": "Log more, or less, from now on.",
    "reopen": "Open the log file again, after it was moved away.",
    "completion": "Print what a shell needs to complete this command.",
    "version": "Print the version.",
    "check": "Say it in one line to a monitoring system.",
    "healthcheck": "Answer the probe of a container.",
    "install-systemd": "Write the units of systemd for this virtual environment and project.",
}
"""The verbs in the order of the help, with a line on each."""


def module_of(verb: str) -> Any:
    """Return the module of a verb."""
    return import_module(f"bgtasksd.cli.verbs.{verb.replace('-', '_')}")
