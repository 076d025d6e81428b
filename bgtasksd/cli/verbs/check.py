"""`bgtasksd check`: one line for a monitoring system, with exit codes as Nagios and its relatives read them."""

from __future__ import annotations

import argparse
from typing import Any

from bgtasks.output import one_line
from bgtasksd.cli.arguments import add_quiet
from bgtasksd.cli.asking import sight_of
from bgtasksd.cli.health import silence_of
from bgtasksd.cli.printing import say, say_json
from bgtasksd.cli.thresholds import add_problems, add_thresholds
from bgtasksd.cli.values import WrongValue
from bgtasksd.directory import UnfitDirectory
from bgtasksd.status import BUSY, UP, Sight

EXAMPLES = """examples:
  bgtasksd check                      BGTASKS OK - 4/4 workers | workers=4;;;0;4 busy=2;;;0;4 …
  bgtasksd check --max-oldest 5m --max-failed 10 --min-workers 4

exit codes: 0 ok, 1 warning, 2 critical, 3 unknown"""
USAGE_EXIT_CODE = 3
OK, WARNING, CRITICAL, UNKNOWN = range(4)
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
OF_STATE = {"running": OK, "failed": CRITICAL}
"""Every other state of a daemon that answers is worth a look: starting, draining, stopping, reloading, degraded."""
OF_SILENCE = {"silent": CRITICAL, "died": CRITICAL, "not_running": CRITICAL, "forbidden": UNKNOWN}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_quiet(parser)
    add_thresholds(parser)


def run(typed: argparse.Namespace) -> int:
    """Print the line; the exit code is its first word."""
    try:
        sight = sight_of(typed)
    except (WrongValue, UnfitDirectory) as error:
        return _tell(UNKNOWN, str(error), typed)
    if sight.situation != "answered":
        return _tell(verdict(sight), silence_of(sight)[1], typed)
    add_problems(sight.facts, typed)
    return _tell(verdict(sight), _summary(sight.facts), typed, _performance(sight.facts, typed.max_oldest))


def verdict(sight: Sight) -> int:
    """Return what the sight means to Nagios."""
    if sight.situation != "answered":
        return OF_SILENCE[sight.situation]
    return OF_STATE.get(sight.facts["state"], WARNING)


def _tell(code: int, text: str, typed: argparse.Namespace, performance: str = "") -> int:
    if typed.json:
        say_json({"schema_version": 1, "verdict": WORDS[code], "message": text, "performance": performance})
    elif not typed.quiet:
        # a bar begins the performance data: none may stand in the text
        line = one_line(text).replace("|", "/")
        say(f"BGTASKS {WORDS[code]} - {line}" + (f" | {performance}" if performance else ""))
    return code


def _summary(facts: dict[str, Any]) -> str:
    state = [] if facts["state"] in ("running", "degraded") else [facts["state"]]
    found = [
        f"{problem['subject']}: {problem['message']}" if problem["subject"] else problem["message"]
        for problem in facts["problems"]
    ]
    return ", ".join([f"{_count(facts, UP)}/{facts['workers_target']} workers", *state, *found])


def _count(facts: dict[str, Any], states: frozenset[str]) -> int:
    return sum(worker["state"] in states for worker in facts["workers"])


def _performance(facts: dict[str, Any], max_oldest: float | None) -> str:
    """Return `label=value;warning;critical;least;most` of what is worth a graph."""
    ages = [queue["oldest_ready_age_s"] or 0.0 for queue in facts["queues"] if not queue["paused"]]
    sizes = [worker["memory_bytes"] or 0 for worker in facts["workers"]]
    limit = "" if max_oldest is None else f"{max_oldest:g}"
    up, busy, wanted = _count(facts, UP), _count(facts, BUSY), facts["workers_target"]
    return (
        f"workers={up};;;0;{wanted} busy={busy};;;0;{wanted} queue_lag={max(ages, default=0.0):.1f}s;{limit};;0"
        f" failed={facts['last_hour']['failed']};;;0 memory={sum(sizes)}B;;;0"
    )
