"""`bgtasksd status`: look, judge, print."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from bgtasks.output import wants_colour
from bgtasksd.cli.health import text_of
from bgtasksd.cli.places import DEFAULT_INSTANCE, candidates
from bgtasksd.cli.printing import fail, say, say_json
from bgtasksd.cli.values import WrongValue, from_environment
from bgtasksd.directory import UnfitDirectory
from bgtasksd.status import USAGE, exit_code, look, passed_thresholds


def run(typed: argparse.Namespace) -> int:
    """Print how the daemon is; the exit code says it to scripts."""
    try:
        instance, directories = where(typed)
    except (WrongValue, UnfitDirectory) as error:
        return fail(USAGE, "usage", str(error), is_json=typed.json)
    sight = look(directories, instance)
    if typed.or_help and sight.situation not in ("answered", "silent"):
        return _short_help()
    if sight.situation == "answered":
        _add_problems(sight.facts, typed)
    if typed.json:
        say_json(sight.facts)
    elif not typed.quiet:
        say(text_of(sight, colour=not typed.no_color and wants_colour(sys.stdout)))
    return exit_code(sight, strict=typed.strict)


def where(typed: argparse.Namespace) -> tuple[str, list[Path]]:
    """Return the instance asked for and where it may lie. Raises WrongValue or UnfitDirectory."""
    given = {
        **from_environment(os.environ),
        **{name: value for name, value in vars(typed).items() if value is not None},
    }
    instance = given.get("instance", DEFAULT_INSTANCE)
    return instance, candidates(given.get("runtime_dir"), instance, os.environ)


def _add_problems(facts: dict[str, Any], typed: argparse.Namespace) -> None:
    """Put what passes the caller's thresholds before the daemon's own problems."""
    found = passed_thresholds(facts, typed.max_oldest, typed.max_failed, typed.min_workers)
    facts["problems"][:0] = found
    if found and facts["state"] == "running":
        facts["state"] = "degraded"


def _short_help() -> int:
    from bgtasksd.cli.parser import build  # only here: the parser has done its work

    say(build()[0].format_help().rstrip())
    return 0
