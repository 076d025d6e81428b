"""Who may leave at a limit, and when: one gate, so that never all workers leave at once."""

from __future__ import annotations

from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.situation import Situation
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
    free = places(len(slots)) - sum(slot.is_retiring for slot in slots)
    asking = [slot.child for slot in slots if slot.child is not None and _may_leave(situation, slot.child)]
    for child in sorted(asking, key=lambda child: child.asked_at)[: max(0, free)]:
        slots.slot_of(child).is_retiring = True
        _retire(situation, child)


def _may_leave(situation: Situation, child: Child) -> bool:
    if not child.limit or child.draining_for or child.state in ENDING:
        return False
    if len(situation.slots) > 1:
        return True
    successor = situation.slots.slot_of(child).successor
    return successor is not None and successor.has_booted  # of an only worker the replacement boots first


def wants_successor(situation: Situation) -> bool:
    """Tell whether a replacement is to boot beside the only worker."""
    slots = situation.slots
    if len(slots) != 1 or situation.is_stopping:
        return False
    slot = slots.all[0]
    return slot.child is not None and bool(slot.child.limit) and slot.successor is None


def _retire(situation: Situation, child: Child) -> None:
    child.draining_for = child.limit
    if child.state is not State.INTERRUPTING:
        child.enter(State.DRAINING, situation.clock.now())
    child.channel.send("retire", reason=child.limit)
    slot = situation.slots.slot_of(child)
    if slot.successor is not None:
        slot.leaving.append(child)
        slot.child, slot.successor = slot.successor, None
        slot.is_retiring = False


def has_booted(situation: Situation, child: Child) -> None:
    """Note that a worker is up: the place in the gate is free again."""
    slot = situation.slots.slot_of(child)
    if slot.child is child:
        slot.is_retiring = False
    let_go(situation)
