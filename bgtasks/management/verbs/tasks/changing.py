"""`tasks retry`, `cancel`, `delete`: those whose ids are given, or with `--all` those that filters find, in batches."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from time import monotonic, sleep
from typing import Any

from bgtasks.management.verbs import USAGE, Answer, NotDone, reading
from bgtasks.management.verbs.asking import COUNT_CAP, ask
from bgtasks.management.verbs.batches import INTERRUPTED, Progress
from bgtasks.management.verbs.tasks.deeds import DEEDS, Deed
from bgtasks.management.verbs.tasks.ids import read_id
from bgtasks.management.verbs.tasks.selecting import BATCH, add_filters, filters_of, is_filtered, near_name
from bgtasks.output import format_count

MOST_TOLD = 20
"""Ids of which it is said why nothing was done."""
EXIT_CODES = """Filters need --all, which counts and asks before anything is done; deleting asks always.
Each batch is a transaction of its own. Ctrl-C ends it after the batch at hand; what was done stays done.

exit codes: 0 done; 1 an id was left out, declined, or no database; 2 usage, or nobody to ask; 130 interrupted"""


def described(action: str) -> tuple[str, str, Callable[[ArgumentParser], None]]:
    """Return what the action is, examples, and what adds its arguments."""
    deed = DEEDS[action]
    return deed.summary, f"{deed.examples}\n\n{EXIT_CODES}", partial(add_arguments, deed)


def add_arguments(deed: Deed, parser: ArgumentParser) -> None:
    """Add what the action takes."""
    parser.add_argument(
        "ids", nargs="*", type=reading(read_id), metavar="ID", help="as listed; t48213 is understood, too"
    )
    parser.add_argument("--all", action="store_true", help="all that the filters find, instead of ids")
    add_filters(parser, deed.fits)
    parser.add_argument("--rate", type=reading(_rate), metavar="N/s", help="no more than so many a second: 50/s")
    parser.add_argument("--dry-run", action="store_true", help="count, change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(given: Namespace) -> Answer:
    """Do it, and say to how many. Raises NotDone."""
    from bgtasks.queue import claims  # imports models

    claims.be_patient()
    deed = DEEDS[given.action]
    filters = filters_of(given, deed.usually)
    if bool(given.ids) == given.all or (given.ids and is_filtered(given)):
        raise NotDone("give ids, or --all and filters", code="usage", fix="--help shows examples", exit_code=USAGE)
    unfit = _unfit(deed, given.ids)
    matched = filters.count(COUNT_CAP + 1) if given.all else len(set(given.ids)) - len(unfit)
    what = _tasks(format_count(matched, COUNT_CAP))
    if given.dry_run:
        facts = Doing(matched).facts(is_dry=True)
        return Answer(f"would {deed.name} {what}", facts, talk=_told(unfit) or _hint(given, matched))
    if matched and (given.all or deed.name == "delete") and not given.yes:
        ask(f"{what} would be {deed.done}", f"{deed.name.capitalize()} {what}?", "nothing was changed")
    wanted = filters.batches() if given.all else _chunks(sorted(set(given.ids)))
    return _answer(deed, _do(deed, wanted, given.rate), unfit, _hint(given, matched))


class Doing:
    """How far it is."""

    def __init__(self, matched: int = 0) -> None:
        self.matched = matched
        self.done = self.asked = 0
        self.is_interrupted = False

    def facts(self, *, is_dry: bool = False) -> dict[str, Any]:
        """Return what `--json` prints. Only a dry run counts no further than a cap."""
        return {
            "schema_version": 1,
            "dry_run": is_dry,
            "matched": self.matched,
            "done": self.done,
            "asked_to_end": self.asked,
            "interrupted": self.is_interrupted,
            "count_cap": COUNT_CAP if is_dry else None,
        }


def _do(deed: Deed, wanted: Iterable[list[int]], rate: float | None) -> Doing:
    """Do it batch after batch."""
    doing, begun = Doing(), monotonic()
    with Progress(deed.done) as progress:
        for ids in _paced(wanted, rate):
            doing.matched += len(ids)
            done, asked = deed.do(ids)
            doing.done, doing.asked = doing.done + done, doing.asked + asked
            if progress.is_interrupted:
                break
            progress.tell(doing.done)
            if rate:
                sleep(max(0.0, begun + doing.matched / rate - monotonic()))
    doing.is_interrupted = progress.is_interrupted
    return doing


def _answer(deed: Deed, doing: Doing, unfit: dict[int, str], hint: str) -> Answer:
    text = deed.told(doing.done, doing.asked)
    doing.matched -= len(unfit)
    facts = doing.facts()
    if doing.is_interrupted:
        return Answer(f"interrupted; {text}", facts, INTERRUPTED, talk=_told(unfit))
    return Answer(text, facts, int(bool(unfit)), talk=_told(unfit) or hint)


def _unfit(deed: Deed, ids: Sequence[int]) -> dict[int, str]:
    """Return of each id that this cannot be done with why."""
    from bgtasks.models import CompletedTask, Status, Task  # models exist only once Django is set up
    from bgtasks.queue import claims

    found: dict[int, str] = {}
    models: tuple[tuple[Any, str], ...] = ((Task, "status"), (CompletedTask, "outcome"))
    for chunk in _chunks(sorted(set(ids))):
        for model, column in models:
            rows = model.objects.using(claims.alias()).filter(pk__in=chunk).values_list("pk", column)
            found |= {task_id: Status(status).label for task_id, status in rows}
    return {
        task_id: deed.why_not(found[task_id]) if task_id in found else "there is no such task"
        for task_id in ids
        if found.get(task_id) not in deed.fits
    }


def _told(unfit: dict[int, str]) -> str:
    lines = [f"{task_id}: {why}" for task_id, why in islice(unfit.items(), MOST_TOLD)]
    return "\n".join([*lines, f"… and {len(unfit) - MOST_TOLD:,} more"] if len(unfit) > MOST_TOLD else lines)


def _hint(given: Namespace, matched: int) -> str:
    return near_name(given.name) if given.all and not matched else ""


def _chunks(ids: Sequence[int]) -> Iterator[list[int]]:
    for at in range(0, len(ids), BATCH):
        yield list(ids[at : at + BATCH])


def _paced(wanted: Iterable[list[int]], rate: float | None) -> Iterator[list[int]]:
    """Yield smaller batches where only so many a second are wanted."""
    size = BATCH if rate is None else max(1, min(BATCH, int(rate)))
    for ids in wanted:
        for at in range(0, len(ids), size):
            yield ids[at : at + size]


def _tasks(count: str) -> str:
    return f"{count} task" if count == "1" else f"{count} tasks"


def _rate(text: str) -> float:
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/s)?", text.strip())
    if matched is None or float(matched[1]) <= 0:
        raise ValueError(f"{text!r} is not a rate: write 50/s")
    return float(matched[1])
