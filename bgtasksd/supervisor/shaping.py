"""How many workers serve what, when the options have changed. What an operator has scaled meanwhile stays so."""

from __future__ import annotations

from bgtasksd.options import Options
from bgtasksd.supervisor.pacing import spawns_a_minute
from bgtasksd.supervisor.scaling import pages_for
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.slots import Group, Slots

Queues = tuple[str, ...] | None


def reshape(situation: Situation, before: Options, after: Options) -> None:
    """Bring the difference between two sets of options to the places; `scaling` does the rest. Raises OSError."""
    slots, old, new = situation.slots, before.workers_by_queues(), after.workers_by_queues()
    concurrency = max(before.concurrency, after.concurrency)
    situation.board.reserve(pages_for(max(slots.target, after.workers), concurrency))
    gone, come = [queues for queues in old if queues not in new], [queues for queues in new if queues not in old]
    for queues, named in zip(gone, come, strict=False):
        _want(_group(slots, queues), old[queues], new[named])
        _rename(slots, queues, named)
    for queues in old.keys() & new.keys():
        _want(_group(slots, queues), old[queues], new[queues])
    for queues in gone[len(come) :]:
        _want(_group(slots, queues), None, 0)  # who follows an order to it shall hear
    for queues in come[len(gone) :]:
        slots.groups.append(Group(queues, new[queues]))
    slots.groups = [group for group in slots.groups if group.queues in new]
    situation.board.reserve(pages_for(slots.target, concurrency))
    situation.budget.a_minute = spawns_a_minute(slots.target)


def _group(slots: Slots, queues: Queues) -> Group | None:
    return next((group for group in slots.groups if group.queues == queues), None)


def _want(group: Group | None, before: int | None, after: int) -> None:
    """Want another number of workers, unless somebody has scaled the group."""
    if group is not None and before in (None, group.wanted):
        group.wanted = after


def _rename(slots: Slots, before: Queues, after: Queues) -> None:
    """Let these places serve other queues: their next workers do."""
    for group in slots.groups:
        if group.queues == before:
            for slot in slots.of(group):
                slot.queues = after
            group.queues = after
