"""`prune`: delete old history, in small batches, whatever runs meanwhile."""

from __future__ import annotations

import signal
import sys
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, TextIO

from bgtasks.management.verbs import USAGE, Answer, NotDone, reading
from bgtasks.output import format_count
from bgtasks.units import format_duration, parse_duration

if TYPE_CHECKING:
    from bgtasks.queue.pruning import Pruning

SUMMARY = 'Delete history that is older than BGTASKS["KEEP"], or than you say.'
EXAMPLES = """examples:
  bgtasksd prune                      what maintenance would delete by and by
  bgtasksd prune --older-than 14d --status successful --dry-run
  bgtasksd prune --older-than 14d --status successful --yes

Each batch is a transaction of its own. Ctrl-C ends it after the batch at hand; what was deleted stays deleted.

exit codes: 0 done, 1 declined, or no database; 2 usage, or nobody to ask; 130 interrupted"""
OUTCOMES = ("successful", "failed", "cancelled")
LARGEST_BATCH = 10_000
COUNT_CAP = 10_000
INTERRUPTED = 130
TELL_EVERY = 1.0


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    age = reading(parse_duration)
    parser.add_argument("--older-than", type=age, metavar="TIME", help='delete what ended before; else BGTASKS["KEEP"]')
    parser.add_argument(
        "--status",
        type=reading(_outcomes),
        action="extend",
        metavar="STATUS",
        help=f"only these: {', '.join(OUTCOMES)}",
    )
    parser.add_argument(
        "--batch", type=reading(_batch), default=1000, metavar="N", help="tasks in one transaction (default: 1000)"
    )
    parser.add_argument("--dry-run", action="store_true", help="count, delete nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask before deleting what is --older-than")


def run(given: Namespace) -> Answer:
    """Delete what is old, and say how much it was by outcome. Raises NotDone."""
    from bgtasks.queue import claims  # imports models

    claims.be_patient()
    kept = _kept(given)
    going = claims.pruning(kept, given.batch)
    if given.dry_run:
        return _counted(_matched(going))
    if given.older_than is not None and not given.yes:
        _ask(_matched(going), given.older_than)
    is_interrupted = _delete(going, sys.stderr)
    pruned = {outcome.name.lower(): count for outcome, count in going.pruned.items()}
    text = f"pruned {_listed({name: f'{count:,}' for name, count in pruned.items()})}"
    if for_ever := [name for name, age in kept.items() if age is None]:
        text += f"; kept for ever: {', '.join(for_ever)}"
    facts = {"schema_version": 1, "dry_run": False, "pruned": pruned, "interrupted": is_interrupted}
    return Answer(f"interrupted; {text}" if is_interrupted else text, facts, INTERRUPTED if is_interrupted else 0)


def _kept(given: Namespace) -> Mapping[str, float | None]:
    from bgtasks import conf  # imports Django

    chosen = given.status or OUTCOMES
    if given.older_than is not None:
        return dict.fromkeys(chosen, given.older_than)
    return {outcome: conf.current().keep[outcome] for outcome in chosen}


def _matched(going: Pruning) -> dict[str, int]:
    return {outcome.name.lower(): going.count(outcome, COUNT_CAP + 1) for outcome in going.before}


def _counted(matched: dict[str, int]) -> Answer:
    capped = {name: format_count(count, COUNT_CAP) for name, count in matched.items()}
    facts = {"schema_version": 1, "dry_run": True, "matched": matched, "count_cap": COUNT_CAP}
    return Answer(f"would prune {_listed(capped)}", facts)


def _ask(matched: dict[str, int], age: float) -> None:
    """Return if somebody at the terminal agrees. Raises NotDone."""
    if not any(matched.values()):
        return
    what = _listed({name: format_count(count, COUNT_CAP) for name, count in matched.items()})
    if not sys.stdin.isatty():
        message = f"{what} would be deleted, and there is nobody to ask"
        raise NotDone(message, code="not_confirmed", fix="--yes deletes, --dry-run counts", exit_code=USAGE)
    sys.stderr.write(f"Delete the history of {what} that ended more than {format_duration(age)} ago? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise NotDone("nothing was deleted", code="declined")


def _delete(going: Pruning, stream: TextIO) -> bool:
    """Delete batch after batch, on a terminal telling every second how far it is. Return whether it was interrupted."""
    is_told, told_at = False, monotonic()
    with _interrupts() as noted:
        while not noted and going.step():
            if stream.isatty() and monotonic() - told_at >= TELL_EVERY:
                is_told, told_at = True, monotonic()
                stream.write(f"\r{sum(going.pruned.values()):,} pruned…")
                stream.flush()
    if is_told:
        stream.write("\n")
    return bool(noted)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Note Ctrl-C: drivers make of an exception in the middle of a statement what they like. A second one raises."""
    noted: list[int] = []

    def note(number: int, frame: object) -> None:
        noted.append(number)
        signal.signal(signal.SIGINT, before)

    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def _listed(counts: Mapping[str, str]) -> str:
    """Return `3 successful, 1 failed`, or `nothing`."""
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count != "0") or "nothing"


def _outcomes(text: str) -> Iterable[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in OUTCOMES:
            raise ValueError(f"{name!r} is not one of {', '.join(OUTCOMES)}")
    return names


def _batch(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= LARGEST_BATCH:
        raise ValueError(f"{text!r} is not a number from 1 to {LARGEST_BATCH:,}")
    return int(text)
