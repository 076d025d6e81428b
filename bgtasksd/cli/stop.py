"""`bgtasksd stop`: ask for the end, and wait for it."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from bgtasksd.cli.printing import complain, fail, say, say_json
from bgtasksd.cli.status import where
from bgtasksd.cli.values import WrongValue
from bgtasksd.directory import UnfitDirectory
from bgtasksd.lock import is_held
from bgtasksd.status import NOT_RUNNING, PATIENCE, USAGE, Connection, NoAnswer, Refused, look

NOT_IN_TIME = 1


def run(typed: argparse.Namespace) -> int:
    """Stop the daemon; return when it has ended, or with 1 when `--timeout` is over before."""
    try:
        instance, directories = where(typed)
    except (WrongValue, UnfitDirectory) as error:
        return fail(USAGE, "usage", str(error), is_json=typed.json)
    sight = look(directories, instance)
    if sight.situation in ("not_running", "died"):
        return fail(NOT_RUNNING, "not_running", f"bgtasksd is not running in {sight.directory}", is_json=typed.json)
    if sight.situation == "forbidden":
        return fail(
            NOT_IN_TIME, "forbidden", f"no permission to ask the daemon in {sight.directory}", is_json=typed.json
        )
    try:
        return _stop(sight.directory, typed)
    except (Refused, KeyError, ValueError) as error:
        fix = f"kill -QUIT {sight.pid}" if sight.pid else None
        return fail(NOT_IN_TIME, "no_answer", f"the daemon did not take the stop: {error}", fix, is_json=typed.json)


def _stop(directory: Path, typed: argparse.Namespace) -> int:
    began = time.monotonic()
    given_back = None
    patience = typed.timeout
    try:
        given_back = _ask_and_listen(directory, typed)
    except (OSError, NoAnswer) as error:
        # it may be ending already, by somebody else's order; then its lock is free in a moment
        patience = PATIENCE if patience is None else patience
        if not _wait_for_lock(directory, patience):
            raise Refused(str(error)) from error
    left = None if patience is None else patience - (time.monotonic() - began)
    is_stopped = _wait_for_lock(directory, left)
    took = time.monotonic() - began
    if typed.json:
        say_json({"stopped": is_stopped, "given_back": given_back})
    elif not typed.quiet:
        _tell(took, given_back, is_stopped=is_stopped)
    return 0 if is_stopped else NOT_IN_TIME


def _ask_and_listen(directory: Path, typed: argparse.Namespace) -> int | None:
    """Give the order and wait for the daemon's last words; return how many tasks it gave back, if it says so."""
    with Connection(directory) as connection:
        accepted = connection.ask("stop", now=typed.now)
        if not (typed.json or typed.quiet):
            complain(_going(accepted))
        connection.be_patient(typed.timeout)
        return _last_words(connection)


def _going(accepted: dict[str, Any]) -> str:
    workers, running = accepted["workers"], accepted["running"]
    return f"{_some(workers, 'worker')}, {_some(running, 'task')} running…"


def _some(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _last_words(connection: Connection) -> int | None:
    """Wait until the daemon has nothing more to say; return how many tasks it gave back, if it said so."""
    given_back = None
    try:
        while True:
            given_back = connection.read().get("given_back", given_back)
    except NoAnswer:
        return given_back


def _wait_for_lock(directory: Path, seconds: float | None) -> bool:
    """Return whether the daemon's process has let go of its lock, waiting for it that long."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while is_held(directory):
        if deadline is not None and time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def _tell(took: float, given_back: int | None, *, is_stopped: bool) -> None:
    if not is_stopped:
        complain(f"not stopped after {took:.1f} s; it goes on stopping: `bgtasksd status`, or `bgtasksd stop --now`")
        return
    returned = f", {_some(given_back, 'task')} given back" if given_back else ""
    say(f"stopped in {took:.1f} s{returned}")
