"""The client's side: look at a daemon, by its socket or its lock, and decide what that means. `cli` prints."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bgtasksd.connection import PATIENCE, Connection, NoAnswer, Refused
from bgtasksd.directory import SOCKET_NAME, STATUS_NAME
from bgtasksd.facts import blank
from bgtasksd.lock import is_held, owner_pid

HEALTHY, DEGRADED, USAGE, NOT_RUNNING, CANNOT_TELL = range(5)
"""Exit codes of `status`."""
UP = frozenset({"idle", "busy", "finishing", "draining", "interrupting"})
"""States of a worker that has booted and is not being ended."""
BUSY = frozenset({"busy", "finishing", "interrupting"})
"""Those in which it has a task."""


class Sight(NamedTuple):
    """What a look at a runtime directory showed."""

    situation: str
    """answered · silent (lock held, no answer) · forbidden · died (pid file left) · not_running"""
    directory: Path
    facts: dict[str, Any]
    pid: int | None = None
    """From the pid file, for messages."""
    options: str = ""
    """What leads there on a command line, for commands that are shown: ` --instance shop`."""


_BEST_FIRST = ("answered", "silent", "forbidden", "died", "not_running")


def look(directories: Sequence[Path], instance: str, patience: float = PATIENCE) -> Sight:
    """Return the daemon of the instance, looking where its files may lie; the first that lives is it."""
    deadline = time.monotonic() + patience
    seen = []
    for directory in directories:
        seen.append(_look_at(directory, instance, deadline))
        if seen[-1].situation in ("answered", "silent"):
            break
    return min(seen, key=lambda sight: (_BEST_FIRST.index(sight.situation), _is_elsewhere(sight)))


def _is_elsewhere(sight: Sight) -> bool:
    """Of places where nothing runs, one that exists is the better one to name."""
    return sight.situation == "not_running" and not sight.directory.is_dir()


def _look_at(directory: Path, instance: str, deadline: float) -> Sight:
    while True:
        situation, facts = _ask_or_test(directory, deadline)
        if situation == "silent" and time.monotonic() < deadline:
            time.sleep(0.02)  # it may be between its lock and its socket, or full
            continue
        if facts is None:
            state = "not_running" if situation in ("died", "not_running") else "unknown"
            facts = blank(instance, state)
        return Sight(situation, directory, facts, owner_pid(directory))


def _ask_or_test(directory: Path, deadline: float) -> tuple[str, dict[str, Any] | None]:
    """An answer decides, also one on the socket that is for the group; without one the lock does."""
    is_forbidden = False
    for name in (SOCKET_NAME, STATUS_NAME):
        try:
            with Connection(directory, deadline - time.monotonic(), name) as connection:
                return "answered", connection.ask("status")
        except PermissionError:
            is_forbidden = True
            continue
        except (OSError, NoAnswer, Refused, ValueError, KeyError):
            break
    if is_forbidden:
        return "forbidden", None
    try:
        if is_held(directory):
            return "silent", None
    except OSError:
        return "forbidden", None
    return ("not_running" if owner_pid(directory) is None else "died"), None


def exit_code(sight: Sight, *, strict: bool = False) -> int:
    """Return what the sight means for a script."""
    if sight.situation != "answered":
        return NOT_RUNNING if sight.situation in ("died", "not_running") else CANNOT_TELL
    if sight.facts["state"] in ("degraded", "failed"):
        return DEGRADED
    severities = {problem["severity"] for problem in sight.facts["problems"]}
    return DEGRADED if "error" in severities or (strict and severities) else HEALTHY


def why_unready(facts: dict[str, Any]) -> str | None:
    """Return why no work can be expected of a daemon now; None: it takes tasks."""
    if facts["state"] not in ("running", "reloading", "degraded"):
        return f"it is {facts['state']}"
    if any(problem["code"] == "database_unreachable" for problem in facts["problems"]):
        return "the database cannot be reached"
    if facts["workers_target"] and not any(worker["state"] in UP for worker in facts["workers"]):
        return "no worker is up"
    return None
