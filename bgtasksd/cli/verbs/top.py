"""`bgtasksd top`: workers and queues, live; and what is most often done about them, on a key."""

from __future__ import annotations

import argparse
import sys
import time

from bgtasks.output import wants_colour
from bgtasksd.cli.arguments import add_value
from bgtasksd.cli.asking import NobodyThere, find
from bgtasksd.cli.glance import HINT, Look, lines, plain, rich_drawing
from bgtasksd.cli.health import text_of
from bgtasksd.cli.printing import fail, say
from bgtasksd.status import USAGE, look

EXAMPLES = """examples:
  bgtasksd top
  bgtasksd top -n 1                   one look, then end

keys: p pause or resume a queue, r retire workers, k kill a worker, q quit

exit codes: 0 done, 2 usage, 3 not running"""
INTERVAL = 2.0
PATIENCE = 1.0
"""Seconds that one look may take before it is shown that nobody answers."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_value(parser, "--interval", "duration", "time between two looks (default: 2s)")
    add_value(parser, "-n", "count", "so many looks, then end")


def run(typed: argparse.Namespace) -> int:
    """Show the daemon until `q`; where there is no terminal, print it again and again."""
    if typed.json:
        return fail(USAGE, "usage", "top shows, it has no JSON", "bgtasksd status --json", is_json=True)
    try:
        watched = Watched(typed)
    except NobodyThere as error:
        return error.exit_code
    interval = INTERVAL if typed.interval is None else max(0.1, typed.interval)
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or typed.n is not None:
        return _print(watched, interval, typed.n)
    from bgtasksd.cli.screen import Screen  # only here: it needs a terminal
    from bgtasksd.cli.steering import Steering

    with Screen() as screen:
        return Steering(watched, screen, interval).run()


class Watched:
    """The daemon that is looked at, and the last two looks."""

    def __init__(self, typed: argparse.Namespace) -> None:
        """Find it. Raises NobodyThere."""
        self.sight = find(typed)
        self.colour = not typed.no_color and wants_colour(sys.stdout)
        self.before: Look | None = None
        self.now: Look | None = None

    def look(self) -> None:
        """Look once more."""
        instance = self.sight.facts["instance"]
        self.sight = look([self.sight.directory], instance, PATIENCE)._replace(options=self.sight.options)
        if self.sight.situation == "answered":
            self.before, self.now = self.now, Look(time.monotonic(), self.sight.facts)

    def lines(self) -> list[str]:
        """Return what there is to show."""
        if self.sight.situation != "answered" or self.now is None:
            return text_of(self.sight, colour=self.colour).split("\n")
        try:
            return lines(self.before, self.now, rich_drawing(colour=self.colour), self.colour)
        except ImportError:
            return [*lines(self.before, self.now, plain, self.colour), "", f"  {HINT}"]


def _print(watched: Watched, interval: float, count: int | None) -> int:
    """Print one look after the other, for a pipe or a file."""
    while True:
        watched.look()
        is_read = say("\n".join(watched.lines()) + "\n")
        count = None if count is None else count - 1
        if not is_read or (count is not None and count <= 0):
            return 0
        time.sleep(interval)
