"""Filling the places: who is missing is asked for from the zygote, as fast as backoff and budget allow."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Sequence
from functools import partial

from bgtasksd.children import channel
from bgtasksd.children.fork import why
from bgtasksd.scoreboard import pages_of
from bgtasksd.scoreboard.board import unnamed_memory
from bgtasksd.supervisor import exits, hearing, holding, retirement
from bgtasksd.supervisor.child import Child, new_worker_id
from bgtasksd.supervisor.loop import Rank
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.slots import Slot
from bgtasksd.supervisor.states import State

LONGEST_NAME = 128
MOST_AT_ONCE = 8
"""Workers asked for and not yet heard of: the zygote forks one after the other, and each has its time to say hello."""

logger = logging.getLogger("bgtasksd.supervisor")


class Spawning:
    """Compares wanted with actual at every turn: no event can be missed for good."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation

    def next_at(self) -> float | None:
        """Return when the next missing worker may be spawned."""
        if not self._can_spawn():
            return None
        if not self._room():
            return None
        now = self.situation.clock.now()
        due = [self._due(slot, now) for slot in self.situation.slots.wanted if self._is_missing(slot)]
        return min(due, default=None)

    def run(self) -> None:
        """Spawn whatever is missing and due."""
        if not self._can_spawn():
            return
        now, room = self.situation.clock.now(), self._room()
        for slot in self.situation.slots.wanted:
            if room and self._is_missing(slot) and self._due(slot, now) <= now:
                if slot.is_unplanned and not self.situation.budget.take(now):
                    continue
                slot.is_unplanned = False
                self.spawn(slot)
                room -= 1

    def _can_spawn(self) -> bool:
        return not self.situation.is_stopping and self.situation.zygote.is_ready

    def _room(self) -> int:
        asked = sum(child.state is State.SPAWNING for child in self.situation.slots.children())
        return max(0, MOST_AT_ONCE - asked)

    def _is_missing(self, slot: Slot) -> bool:
        return slot.child is None or retirement.wants_successor(self.situation, slot)

    def _due(self, slot: Slot, now: float) -> float:
        if not slot.is_unplanned:
            return slot.backoff.not_before
        return max(slot.backoff.not_before, self.situation.budget.next_at(now))

    def spawn(self, slot: Slot) -> None:
        """Ask the zygote for one worker."""
        situation, indexes = self.situation, list[int]()
        try:
            indexes = self._take_pages()
            child, theirs = self._make_child(slot, indexes)
        except OSError as error:
            self._free_pages(indexes)
            slot.is_unplanned = True
            wait = slot.backoff.failed(situation.clock.now())
            text = f"w{slot.number}  not spawned: {why(error)}; next try in {wait:.1f} s"
            logger.error(text, extra={"event": "spawn_failed", "slot": slot.number})
            return
        self._seat(slot, child)
        holding.tell(situation, child)
        situation.loop.watch(
            child.channel,
            Rank.MESSAGE,
            partial(hearing.hear_worker, situation, child),
            partial(exits.discard, situation, child),
        )
        self._ask_zygote(child, theirs)
        situation.tell_workers()

    def _take_pages(self) -> list[int]:
        """Return the indexes of a worker's pages, its own and those of its places. Raises OSError for want of them."""
        wanted = 1 + pages_of(self.situation.options.concurrency)
        taken = [index for _ in range(wanted) if (index := self.situation.board.take()) is not None]
        if len(taken) == wanted:
            return taken
        self._free_pages(taken)
        raise OSError(errno.ENOSPC, "every page of the scoreboard is in use")

    def _free_pages(self, indexes: Sequence[int]) -> None:
        for index in indexes:
            self.situation.board.free(index)

    def _make_child(self, slot: Slot, indexes: Sequence[int]) -> tuple[Child, channel.Channel]:
        """Return a worker without a process yet, and its end of the line. Raises OSError for want of descriptors."""
        situation, number, now = self.situation, new_worker_id(), self.situation.clock.now()
        dump = unnamed_memory(f"bgtasksd-dump-{slot.number}")
        try:
            ours, theirs = channel.pair()
        except OSError:
            os.close(dump)
            raise
        child = Child(
            slot=slot.number,
            generation=situation.generation,
            worker=worker_name(situation.host, situation.options.instance, slot.number, number),
            page_index=indexes[0],
            place_indexes=tuple(indexes[1:]),
            concurrency=situation.options.concurrency,
            page=situation.board.page(indexes[0]),
            channel=ours,
            dump=dump,
            spawned_at=now,
            since=now,
        )
        places = situation.board.places(child.place_indexes, child.concurrency)
        child.page.assign(slot.number, child.generation, number, places)
        return child, theirs

    def _seat(self, slot: Slot, child: Child) -> None:
        if slot.child is None:
            slot.child = child
        else:
            slot.successor = child

    def _ask_zygote(self, child: Child, theirs: channel.Channel) -> None:
        descriptors = [theirs.fileno(), self.situation.board.descriptor, child.dump]
        slots = self.situation.slots
        queues = slots.slot_of(child).queues
        self.situation.zygote.ask(
            "fork",
            descriptors,
            slot=child.slot,
            generation=child.generation,
            worker=child.worker,
            page=child.page_index,
            places=child.place_indexes,
            concurrency=child.concurrency,
            queues=queues,
            workers=slots.target,
            sharers=sum(slot.queues == queues for slot in slots.wanted),
        )
        theirs.close()


def worker_name(host: str, instance: str, slot: int, number: int) -> str:
    """Return `host:instance:slot:nonce`, as `bgtasks.identity` does."""
    rest = f":{instance}:{slot}:{number:08x}"
    return host[: LONGEST_NAME - len(rest)] + rest
