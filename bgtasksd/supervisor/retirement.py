"""Who may leave at a limit, and when: one gate, so that never all workers leave at once."""

from __future__ import annotations

from bgtasksd.supervisor import ending
from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.slots import Slot
from bgtasksd.supervisor.states import ENDING, State


def ask(situation: Situation, child: Child, reason: str) -> None:
    """Note that a worker has reached a limit; it goes on, or waits, until it is let go."""
    if not child.limit:
        child.limit, child.asked_at = reason, situation.clock.now()
    let_go(situation)


def places(count: int) -> int:
    """Return how many of so many slots may be without their worker at a time."""
    return max(1, count // 4)


def let_go(situation: Situation) -> None:
    """Let as many leave as the gate admits, first who asked first: the young must not keep the old from leaving."""
    if situation.is_stopping:
        return
    slots = situation.slots
    free = places(slots.target) - sum(slot.is_retiring for slot in slots.wanted)
    asking = [slot.child for slot in slots.wanted if slot.child is not None and _may_leave(situation, slot.child)]
    for child in sorted(asking, key=lambda child: child.asked_at)[: max(0, free)]:
        slots.slot_of(child).is_retiring = True
        _retire(situation, child)


def _may_leave(situation: Situation, child: Child) -> bool:
    if not child.limit or child.draining_for or child.state in ENDING:
        return False
    if situation.slots.target > 1:
        return True
    successor = situation.slots.slot_of(child).successor
    return successor is not None and successor.has_booted  # of an only worker the replacement boots first


def wants_successor(situation: Situation, slot: Slot) -> bool:
    """Tell whether a replacement is to boot beside a worker: beside the only one, and in a reload."""
    if slot.child is None or slot.successor is not None or situation.is_stopping:
        return False
    is_old = slot.is_rolling and slot.child.generation != situation.generation
    return is_old or (bool(slot.child.limit) and _may_be_doubled(situation, slot.child))


def _may_be_doubled(situation: Situation, child: Child) -> bool:
    """Tell whether this is the only worker, and those before it, which may run coroutines for long, are few enough."""
    slots = situation.slots
    # Who has done its count of tasks runs nothing any more; who has reached another limit goes on until it is let go.
    most = 2 * slots.target + (child.limit == "max_tasks")
    return len(slots.wanted) == 1 and len(slots.children()) < most


def _retire(situation: Situation, child: Child) -> None:
    child.draining_for = child.limit
    if child.state is not State.INTERRUPTING:
        child.enter(State.DRAINING, situation.clock.now())
    child.channel.send("retire", reason=child.limit)
    slot = situation.slots.slot_of(child)
    if slot.successor is not None:
        _exchange(slot, child)


def _exchange(slot: Slot, child: Child) -> None:
    slot.leaving.append(child)
    slot.child, slot.successor = slot.successor, None
    slot.is_retiring = slot.is_rolling = False


def roll(situation: Situation, slot: Slot) -> None:
    """Put the successor, which has booted, in the place of a worker; that one finishes its task and leaves."""
    child = slot.child
    if child is None:
        return
    if child.has_booted and child.state not in ENDING and not child.draining_for:
        child.limit = "reload"
        _retire(situation, child)
        return
    _exchange(slot, child)
    ending.drain(situation, child, "reload")


def has_booted(situation: Situation, child: Child) -> None:
    """Note that a worker is up: the place in the gate is free again."""
    slot = situation.slots.slot_of(child)
    if slot.child is child:
        slot.is_retiring = False
    elif slot.is_rolling and slot.successor is child:
        roll(situation, slot)
    let_go(situation)
