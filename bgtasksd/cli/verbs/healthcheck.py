"""`bgtasksd healthcheck`: for the probes of containers. 0 is fit, 1 is not; nothing on stdout, the reason on stderr."""

from __future__ import annotations

import argparse

from bgtasksd.cli.asking import sight_of
from bgtasksd.cli.health import silence_of
from bgtasksd.cli.printing import complain, fail, say_json
from bgtasksd.cli.values import WrongValue
from bgtasksd.directory import UnfitDirectory
from bgtasksd.status import Sight, why_unready

EXAMPLES = """examples:
  bgtasksd healthcheck --live         liveness and startup probe, HEALTHCHECK of a container
  bgtasksd healthcheck --ready        readiness probe: started, the database reached, a worker up

exit codes: 0 fit, 1 not"""
USAGE_EXIT_CODE = 1
FIT, UNFIT = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--live", action="store_true", help="whether it runs and its loop turns")
    which.add_argument("--ready", action="store_true", help="whether it takes tasks")


def run(typed: argparse.Namespace) -> int:
    """Look once; the exit code is the answer."""
    try:
        sight = sight_of(typed)
    except (WrongValue, UnfitDirectory) as error:
        return fail(UNFIT, "usage", str(error), is_json=typed.json)
    reason = why_not_live(sight) if typed.live else why_not_ready(sight)
    if typed.json:
        say_json({"schema_version": 1, "fit": reason is None, "reason": reason})
    elif reason is not None:
        complain(f"bgtasksd: {reason}")
    return FIT if reason is None else UNFIT


def why_not_live(sight: Sight) -> str | None:
    """Return why the process should be ended and started again; None: its loop turns.

    The database is not looked at: while it is away a restart of every container would help nobody.
    """
    return None if sight.situation == "answered" else silence_of(sight)[1]


def why_not_ready(sight: Sight) -> str | None:
    """Return why no work can be expected of it now; None: it takes tasks."""
    if sight.situation != "answered":
        return silence_of(sight)[1]
    return why_unready(sight.facts)
