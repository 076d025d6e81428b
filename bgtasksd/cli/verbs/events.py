"""`bgtasksd events`: what has happened of late, and with --follow what happens."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from bgtasks.output import one_line
from bgtasksd.cli.arguments import add_value
from bgtasksd.cli.asking import NOT_DONE, NobodyThere, find
from bgtasksd.cli.printing import complain, fail, say, say_json
from bgtasksd.connection import Connection, NoAnswer, Refused

EXAMPLES = """examples:
  bgtasksd events -n 20               the last twenty
  bgtasksd events --follow            what happens from now on, until Ctrl-C
  bgtasksd events -f --json | jq 'select(.event == "worker_exit")'

exit codes: 0 done, 1 the daemon did not answer or cut the connection, 3 not running"""
ALL = 1000
LAST = "stopped"
"""The event after which a daemon says nothing more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on with every event that comes")
    add_value(parser, "-n", "count", f"only so many of the last ones (default: {ALL}, which is what is kept)")


def run(typed: argparse.Namespace) -> int:
    """Print events, the oldest first."""
    try:
        sight = find(typed)
        with Connection(sight.directory) as connection:
            asked = ALL if typed.n is None else min(typed.n, ALL)
            answer = connection.ask("events", n=asked, wait=typed.follow)
            if answer["journal"] and not typed.json:
                complain(f"what tasks print: {answer['journal']}")
            last = _show(answer["events"], typed)
            return _follow(connection, typed, last) if typed.follow else 0
    except NobodyThere as error:
        return error.exit_code
    except (Refused, OSError, NoAnswer, KeyError, ValueError) as error:
        return fail(NOT_DONE, "no_answer", f"the daemon did not answer: {error}", "bgtasksd status", is_json=typed.json)


def _follow(connection: Connection, typed: argparse.Namespace, last: str) -> int:
    """Print what comes until the daemon has ended."""
    connection.be_patient(None)
    try:
        while True:
            event = connection.read()
            event = {key: value for key, value in event.items() if key not in ("is_over", "text")}
            last = _show([event], typed)
    except NoAnswer as error:
        if last == LAST:
            return 0
        message = f"{error}; who reads too slowly is cut"
        return fail(NOT_DONE, "cut", message, "bgtasksd events --follow", is_json=typed.json)


def _show(events: list[dict[str, Any]], typed: argparse.Namespace) -> str:
    """Print events; return the name of the last one."""
    for event in events:
        if typed.json:
            say_json(event)
        else:
            say(line_of(event))
    return str(events[-1]["event"]) if events else ""


def line_of(event: dict[str, Any]) -> str:
    """Return an event as people read it."""
    at = datetime.fromisoformat(event["time"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    level = "" if event["level"] == "info" else f"{event['level']}  "
    first, *rest = str(event["message"]).split("\n")
    return "\n".join([f"{at}  {level}{one_line(first)}", *(f"    {one_line(line.strip())}" for line in rest)])
