"""`bgtasksd drain`: let this host start no task, without ending the daemon; or end it once nothing runs."""

from __future__ import annotations

import argparse
from functools import partial

from bgtasksd.cli.arguments import add_value
from bgtasksd.cli.asking import NOT_DONE, Facts, NobodyThere, find, give
from bgtasksd.cli.printing import fail, some
from bgtasksd.lock import is_free_within

EXAMPLES = """examples:
  bgtasksd drain                      running tasks finish, no other starts here
  bgtasksd drain --undo               go on
  bgtasksd drain --exit               the same, and end when nothing runs, however long that takes

Other hosts go on; `bgtasksd pause` is for a queue on all hosts.

exit codes: 0 nothing runs any more, 1 refused, undone, or not done in time, 3 not running"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--exit", action="store_true", help="end the daemon when no task runs any more")
    ways.add_argument("--undo", action="store_true", help="start tasks again")
    parser.add_argument("--no-wait", action="store_true", help="return at once, while tasks are running")
    add_value(parser, "--timeout", "duration", "wait no longer, then exit 1; the host stays drained")


def run(typed: argparse.Namespace) -> int:
    """Have the host drained, or that undone."""
    if typed.undo:
        return give(typed, "resume", _resumed)
    try:
        directory = find(typed).directory
    except NobodyThere as error:
        return error.exit_code
    words = partial(_words, exits=typed.exit)
    asked = {"exit": typed.exit, "wait": not typed.no_wait}
    code = give(typed, "drain", words, timeout=typed.timeout, is_stream=True, **asked)
    if code or not typed.exit or typed.no_wait:
        return code
    if not is_free_within(directory, typed.timeout):
        return fail(NOT_DONE, "timeout", "drained, and has not ended in time; it goes on stopping", is_json=typed.json)
    return 0


def _words(answer: Facts, *, exits: bool) -> str:
    if not answer.get("is_over"):
        return f"{some(answer['running'], 'task')} running…"
    return "drained; the daemon ends" if exits else "drained; no task starts here until: bgtasksd drain --undo"


def _resumed(answer: Facts) -> str:
    return "tasks are started again" if answer["was_draining"] else "it was not draining"
