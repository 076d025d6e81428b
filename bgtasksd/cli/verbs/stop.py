"""`bgtasksd stop`: ask for the end, and wait for it."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from bgtasksd.cli.arguments import add_quiet, add_value
from bgtasksd.cli.asking import NOT_DONE, NobodyThere, find
from bgtasksd.cli.printing import complain, fail, say, say_json, some
from bgtasksd.connection import PATIENCE, Connection, NoAnswer, Refused
from bgtasksd.lock import is_free_within

EXAMPLES = """examples:
  bgtasksd stop                       running tasks finish
  bgtasksd stop --now                 running tasks are interrupted and go back to their queue

exit codes: 0 stopped, 1 it did not end in time, 3 not running"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("--now", action="store_true", help="interrupt running tasks instead of letting them finish")
    add_value(parser, "--timeout", "duration", "wait no longer, then exit 1")
    add_quiet(parser)


def run(typed: argparse.Namespace) -> int:
    """Stop the daemon; return when it has ended, or with 1 when `--timeout` is over before."""
    try:
        sight = find(typed)
    except NobodyThere as error:
        return error.exit_code
    try:
        return _stop(sight.directory, typed)
    except (Refused, KeyError, ValueError) as error:
        fix = f"kill -QUIT {sight.pid}" if sight.pid else None
        return fail(NOT_DONE, "no_answer", f"the daemon did not take the stop: {error}", fix, is_json=typed.json)


def _stop(directory: Path, typed: argparse.Namespace) -> int:
    began = time.monotonic()
    given_back = None
    patience = typed.timeout
    try:
        given_back = _ask_and_listen(directory, typed)
    except (OSError, NoAnswer) as error:
        # it may be ending already, by somebody else's order; then its lock is free in a moment
        patience = PATIENCE if patience is None else patience
        if not is_free_within(directory, patience):
            raise Refused(str(error)) from error
    left = None if patience is None else patience - (time.monotonic() - began)
    is_stopped = is_free_within(directory, left)
    took = time.monotonic() - began
    if typed.json:
        say_json({"stopped": is_stopped, "given_back": given_back})
    elif not typed.quiet:
        _tell(took, given_back, is_stopped=is_stopped)
    return 0 if is_stopped else NOT_DONE


def _ask_and_listen(directory: Path, typed: argparse.Namespace) -> int | None:
    """Give the order and wait for the daemon's last words; return how many tasks it gave back, if it says so."""
    with Connection(directory) as connection:
        accepted = connection.ask("stop", now=typed.now, wait=True)
        if not (typed.json or typed.quiet):
            complain(_going(accepted))
        connection.be_patient(typed.timeout)
        return _last_words(connection)


def _going(accepted: dict[str, Any]) -> str:
    workers, running = accepted["workers"], accepted["running"]
    return f"{some(workers, 'worker')}, {some(running, 'task')} running…"


def _last_words(connection: Connection) -> int | None:
    """Wait until the daemon has nothing more to say; return how many tasks it gave back, if it said so."""
    given_back = None
    try:
        while True:
            given_back = connection.read().get("given_back", given_back)
    except NoAnswer:
        return given_back


def _tell(took: float, given_back: int | None, *, is_stopped: bool) -> None:
    if not is_stopped:
        complain(f"not stopped after {took:.1f} s; it goes on stopping: `bgtasksd status`, or `bgtasksd stop --now`")
        return
    returned = f", {some(given_back, 'task')} given back" if given_back else ""
    say(f"stopped in {took:.1f} s{returned}")
