"""`bgtasksd status`: look, judge, print."""

from __future__ import annotations

import argparse
import sys

from bgtasks.output import wants_colour
from bgtasksd.cli.arguments import add_quiet
from bgtasksd.cli.asking import sight_of
from bgtasksd.cli.health import text_of
from bgtasksd.cli.printing import fail, say, say_json
from bgtasksd.cli.thresholds import add_problems, add_thresholds
from bgtasksd.cli.values import WrongValue
from bgtasksd.directory import UnfitDirectory
from bgtasksd.status import USAGE, exit_code

EXAMPLES = """examples:
  bgtasksd status
  bgtasksd status --json
  bgtasksd status -q --max-oldest 5m --min-workers 4 || alert

exit codes: 0 healthy, 1 degraded, 2 usage, 3 not running, 4 cannot tell"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_quiet(parser)
    parser.add_argument("--strict", action="store_true", help="a warning makes the exit code 1, too")
    parser.set_defaults(or_help=None)  # the help to show instead when nothing runs: no verb was given
    add_thresholds(parser)


def run(typed: argparse.Namespace) -> int:
    """Print how the daemon is; the exit code says it to scripts."""
    try:
        sight = sight_of(typed)
    except (WrongValue, UnfitDirectory) as error:
        return fail(USAGE, "usage", str(error), is_json=typed.json)
    if typed.or_help and sight.situation not in ("answered", "silent"):
        say(typed.or_help)
        return 0
    if sight.situation == "answered":
        add_problems(sight.facts, typed)
    if typed.json:
        say_json(sight.facts)
    elif not typed.quiet:
        say(text_of(sight, colour=not typed.no_color and wants_colour(sys.stdout)))
    return exit_code(sight, strict=typed.strict)
