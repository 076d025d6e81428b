"""What an order to scale means: how many workers which group is to have. Nothing is changed here."""

from __future__ import annotations

import difflib
import re
from typing import Any

from bgtasksd.control import CommandError
from bgtasksd.options import MOST_WORKERS
from bgtasksd.supervisor.slots import Group, Slots

Goals = dict[Group, int]


def goals_of(slots: Slots, asked: Any) -> Goals:
    """Return what an order means. Raises CommandError."""
    if not isinstance(asked, dict):
        if len(slots.groups) > 1:
            names = ", ".join(f"{group.name}={group.wanted}" for group in slots.groups)
            raise CommandError(f"the workers are bound to queues ({names}): say which are meant, like mail=3")
        asked = {slots.groups[0].name: asked}
    goals = {}
    for name, amount in asked.items():
        group = _group_called(slots, str(name))
        goals[group] = _count(amount, group.wanted)
    total = total_of(slots, goals)
    if total > MOST_WORKERS:
        raise CommandError(f"{total:,} workers on one host are more than {MOST_WORKERS:,}")
    return goals


def total_of(slots: Slots, goals: Goals) -> int:
    """Return how many workers there are to be in all."""
    return sum(goals.get(group, group.wanted) for group in slots.groups)


def _group_called(slots: Slots, name: str) -> Group:
    """Return the group of this name, or the only one that serves a queue of this name."""
    named = [group for group in slots.groups if group.name == name]
    serving = [group for group in slots.groups if name in (group.queues or ())]
    if len(named or serving) == 1:
        return (named or serving)[0]
    names = [group.name for group in slots.groups]
    if len(names) == 1:
        raise CommandError(f"no workers are bound to {name!r} alone: all serve {names[0]}, so give the number alone")
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
    raise CommandError(f"no workers are bound to {name!r}; {hint}")


def _count(asked: Any, before: int) -> int:
    if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 0:
        return asked
    if isinstance(asked, str) and re.fullmatch(r"[+-]\d{1,4}", asked):
        return max(0, before + int(asked))
    raise CommandError(f"{asked!r} is not a number of workers: 8, +2, -1")
