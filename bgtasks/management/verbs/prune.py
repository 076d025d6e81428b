"""`prune`: delete old history, in small batches, whatever runs meanwhile."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bgtasks.management.verbs import Answer, reading
from bgtasks.management.verbs.asking import COUNT_CAP, ask
from bgtasks.management.verbs.batches import INTERRUPTED, Progress, add_batch
from bgtasks.management.verbs.statuses import OVER, add_status
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


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    age = reading(parse_duration)
    parser.add_argument("--older-than", type=age, metavar="TIME", help='delete what ended before; else BGTASKS["KEEP"]')
    add_status(parser, OVER)
    add_batch(parser, "tasks")
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
    is_interrupted = _delete(going)
    pruned = {outcome.name.lower(): count for outcome, count in going.pruned.items()}
    text = f"pruned {_listed({name: f'{count:,}' for name, count in pruned.items()})}"
    if for_ever := [name for name, age in kept.items() if age is None]:
        text += f"; kept for ever: {', '.join(for_ever)}"
    facts = {"schema_version": 1, "dry_run": False, "pruned": pruned, "interrupted": is_interrupted}
    return Answer(f"interrupted; {text}" if is_interrupted else text, facts, INTERRUPTED if is_interrupted else 0)


def _kept(given: Namespace) -> Mapping[str, float | None]:
    from bgtasks import conf  # imports Django

    chosen = given.status or OVER
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
    since = format_duration(age)
    ask(
        f"{what} would be deleted",
        f"Delete the history of {what} that ended more than {since} ago?",
        "nothing was deleted",
    )


def _delete(going: Pruning) -> bool:
    """Delete batch after batch. Return whether it was interrupted."""
    with Progress("pruned") as progress:
        while not progress.is_interrupted and going.step():
            progress.tell(sum(going.pruned.values()))
    return progress.is_interrupted


def _listed(counts: Mapping[str, str]) -> str:
    """Return `3 successful, 1 failed`, or `nothing`."""
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count != "0") or "nothing"
