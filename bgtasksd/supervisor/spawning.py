"""Filling the places: who is missing is asked for from the zygote, as fast as backoff and budget allow."""

from __future__ import annotations

from functools import partial

from bgtasksd.children import channel
from bgtasksd.scoreboard.board import unnamed_memory
from bgtasksd.supervisor import exits, hearing, retirement
from bgtasksd.supervisor.child import Child, new_worker_id
from bgtasksd.supervisor.loop import Rank
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.slots import Slot

LONGEST_NAME = 128


class Spawning:
    """Compares wanted with actual at every turn: no event can be missed for good."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation

    def next_at(self) -> float | None:
        """Return when the next missing worker may be spawned."""
        if not self._can_spawn():
            return None
        now = self.situation.clock.now()
        due = [self._due(slot, now) for slot in self.situation.slots if self._is_missing(slot)]
        return min(due, default=None)

    def run(self) -> None:
        """Spawn whatever is missing and due."""
        if not self._can_spawn():
            return
        now = self.situation.clock.now()
        for slot in self.situation.slots:
            if self._is_missing(slot) and self._due(slot, now) <= now:
                if slot.is_unplanned and not self.situation.budget.take(now):
                    continue
                slot.is_unplanned = False
                self.spawn(slot)

    def _can_spawn(self) -> bool:
        return not self.situation.is_stopping and self.situation.zygote.is_ready

    def _is_missing(self, slot: Slot) -> bool:
        return slot.child is None or retirement.wants_successor(self.situation)

    def _due(self, slot: Slot, now: float) -> float:
        if not slot.is_unplanned:
            return slot.backoff.not_before
        return max(slot.backoff.not_before, self.situation.budget.next_at(now))

    def spawn(self, slot: Slot) -> None:
        """Ask the zygote for one worker."""
        situation = self.situation
        index = situation.board.take()
        if index is None:
            return
        number = new_worker_id()
        ours, theirs = channel.pair()
        now = situation.clock.now()
        child = Child(
            slot=slot.number,
            generation=situation.generation,
            worker=worker_name(situation.host, situation.options.instance, slot.number, number),
            page_index=index,
            page=situation.board.page(index),
            channel=ours,
            dump=unnamed_memory(f"bgtasksd-dump-{slot.number}"),
            spawned_at=now,
            since=now,
        )
        child.page.assign(slot.number, child.generation, number)
        self._seat(slot, child)
        situation.loop.watch(
            ours, Rank.MESSAGE, partial(hearing.hear_worker, situation, child), partial(exits.discard, situation, child)
        )
        self._ask_zygote(child, theirs)
        situation.tell_workers()

    def _seat(self, slot: Slot, child: Child) -> None:
        if slot.child is None:
            slot.child = child
        else:
            slot.successor = child

    def _ask_zygote(self, child: Child, theirs: channel.Channel) -> None:
        descriptors = [theirs.fileno(), self.situation.board.descriptor, child.dump]
        self.situation.zygote.ask(
            "fork",
            descriptors,
            slot=child.slot,
            generation=child.generation,
            worker=child.worker,
            page=child.page_index,
            queues=self.situation.slots.slot_of(child).queues,
        )
        theirs.close()


def worker_name(host: str, instance: str, slot: int, number: int) -> str:
    """Return `host:instance:slot:nonce`, as `bgtasks.identity` does."""
    rest = f":{instance}:{slot}:{number:08x}"
    return host[: LONGEST_NAME - len(rest)] + rest
