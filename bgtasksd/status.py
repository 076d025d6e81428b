"""The client's side: ask a daemon, test its lock, and decide what that means. It never imports Django; `cli` prints."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bgtasksd.directory import SOCKET_NAME
from bgtasksd.lock import is_held, owner_pid

PATIENCE = 5.0
"""Seconds for an answer."""
HEALTHY, DEGRADED, USAGE, NOT_RUNNING, CANNOT_TELL = range(5)
"""Exit codes of `status`."""
UP = frozenset({"idle", "busy", "finishing", "draining", "interrupting"})
"""States of a worker that has booted and is not being ended."""

Facts = dict[str, Any]


class NoAnswer(Exception):
    """The daemon closed the connection, or said nothing in time."""


class Refused(Exception):
    """The daemon refused a command; the message says why."""


class Connection:
    """One connection to a daemon's control socket."""

    def __init__(self, directory: Path, patience: float = PATIENCE) -> None:
        """Connect. Raises OSError when nobody listens or we may not."""
        self._deadline: float | None = time.monotonic() + patience
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._received = b""
        try:
            self._connect(str(directory / SOCKET_NAME))
        except BaseException:
            self._socket.close()
            raise

    def _connect(self, path: str) -> None:
        while True:
            self._wait_at_most()
            try:
                return self._socket.connect(path)
            except BlockingIOError:
                time.sleep(0.01)  # its queue of newcomers is full at the moment

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def ask(self, command: str, **arguments: Any) -> Facts:
        """Return the answer to a command. Raises Refused or NoAnswer."""
        request = {"v": 1, "id": 1, "cmd": command, **arguments}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise NoAnswer(str(error)) from error
        return self.read()

    def read(self) -> Facts:
        """Return the data of the next line. Raises Refused or NoAnswer."""
        while b"\n" not in self._received:
            try:
                self._wait_at_most()
                received = self._socket.recv(65536)
            except OSError as error:
                raise NoAnswer(str(error)) from error
            if not received:
                raise NoAnswer("the daemon closed the connection")
            self._received += received
        line, _, self._received = self._received.partition(b"\n")
        answer = json.loads(line)
        if not answer.get("ok"):
            raise Refused(str(answer.get("error")))
        data: Facts = answer["data"]
        return data

    def be_patient(self, seconds: float | None) -> None:
        """Wait that long from now on; None: for as long as it takes."""
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def _wait_at_most(self) -> None:
        left = None if self._deadline is None else self._deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("no answer in time")
        self._socket.settimeout(left)


class Sight(NamedTuple):
    """What a look at a runtime directory showed."""

    situation: str
    """answered · silent (lock held, no answer) · forbidden · died (pid file left) · not_running"""
    directory: Path
    facts: Facts
    pid: int | None = None
    """From the pid file, for messages."""


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


def _ask_or_test(directory: Path, deadline: float) -> tuple[str, Facts | None]:
    """An answer decides; without one the lock does."""
    try:
        with Connection(directory, deadline - time.monotonic()) as connection:
            return "answered", connection.ask("status")
    except PermissionError:
        return "forbidden", None
    except (OSError, NoAnswer, Refused, ValueError, KeyError):
        pass
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


def passed_thresholds(
    facts: Facts, max_oldest: float | None = None, max_failed: int | None = None, min_workers: int | None = None
) -> list[Facts]:
    """Return a problem for each of the caller's thresholds that the figures pass."""
    found = []
    for queue in facts["queues"]:
        age = queue["oldest_ready_age_s"]
        if max_oldest is not None and age is not None and age > max_oldest and not queue["paused"]:
            found.append(
                _problem(
                    "oldest_exceeded", queue["name"], f"oldest task has waited {age:.1f} s, allowed {max_oldest:g} s"
                )
            )
    failed = facts["last_hour"]["failed"]
    if max_failed is not None and failed > max_failed:
        found.append(_problem("failed_exceeded", None, f"{failed} tasks failed in the last hour, allowed {max_failed}"))
    up = sum(worker["state"] in UP for worker in facts["workers"])
    if min_workers is not None and up < min_workers:
        found.append(_problem("workers_too_few", None, f"{up} workers are up, wanted {min_workers}"))
    return found


def _problem(code: str, subject: str | None, message: str) -> Facts:
    return {"code": code, "severity": "error", "subject": subject, "message": message, "since": None, "fix": None}


def blank(instance: str, state: str) -> Facts:
    """Return the facts of a daemon that does not answer: every key, nothing known."""
    totals = dict.fromkeys(("done", "failed", "retried", "cancelled", "released", "reclaimed"), 0)
    return {
        "schema_version": 1,
        "instance": instance,
        "host": socket.gethostname(),
        **dict.fromkeys(("pid", "version", "settings")),
        "state": state,
        **dict.fromkeys(("started_at", "uptime_s", "workers_target")),
        "workers": [],
        "queues": [],
        "figures_age_s": None,
        "count_cap": 10000,
        "totals": {**totals, "recycled": dict.fromkeys(("age", "memory", "tasks", "reload"), 0), "crashed": 0},
        "last_hour": dict.fromkeys(("done", "failed", "retried", "reclaimed"), 0),
        "zygote": dict.fromkeys(("pid", "state", "generation")),
        "maintenance": dict.fromkeys(("pid", "state", "last_turn_s", "last_renewal_s")),
        "database": dict.fromkeys(("alias", "vendor", "reachable", "last_contact_s")),
        "problems": [],
    }
