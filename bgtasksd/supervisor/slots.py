"""The numbered places of the workers, and who sits in them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.pacing import Backoff
from bgtasksd.supervisor.states import State


@dataclass(eq=False)
class Slot:
    """One place. It has a worker, or waits for one; a replacement may boot beside the worker that is to leave."""

    number: int
    queues: tuple[str, ...] | None = None
    """Names and patterns of the queues that its worker serves; None: all."""
    child: Child | None = None
    successor: Child | None = None
    leaving: list[Child] = field(default_factory=list)
    """Workers that are replaced already and not yet gone."""
    backoff: Backoff = field(default_factory=Backoff)
    is_unplanned: bool = False
    """The next spawn makes good a failure: it counts against the budget."""
    is_retiring: bool = False
    """Its worker leaves at a limit and the next one is not yet up."""
    is_surplus: bool = False
    """No worker is wanted here any more: the place goes with its last process."""
    is_rolling: bool = False
    """A reload has its turn here: a replacement boots beside the worker of the generation before."""
    last_exit: str | None = None
    crashed_in_task_at: float = float("-inf")

    def children(self) -> Iterator[Child]:
        """Yield every process of this slot."""
        for child in (self.child, self.successor, *self.leaving):
            if child is not None:
                yield child

    def remove(self, child: Child) -> None:
        """Take an ended worker out."""
        if self.child is child:
            self.child = None
        if self.successor is child:
            self.successor = None
        if child in self.leaving:
            self.leaving.remove(child)
        if self.child is None and self.successor is not None:
            self.child, self.successor = self.successor, None

    @property
    def is_ready(self) -> bool:
        """Tell whether the slot has a worker that takes tasks, or would."""
        return self.child is not None and self.child.has_booted and self.child.state is not State.UNKILLABLE

    @property
    def is_in_backoff(self) -> bool:
        return self.child is None and self.backoff.failures > 0


@dataclass(eq=False)
class Group:
    """Workers that serve the same queues, and how many of them are wanted now: `scale` changes that, nothing else."""

    queues: tuple[str, ...] | None
    wanted: int

    @property
    def name(self) -> str:
        """What people call it."""
        return ",".join(self.queues) if self.queues else "*"


class Slots:
    """All places, in the order of their numbers. How many workers are wanted stands in the groups, and only there."""

    def __init__(self, workers_by_queues: Mapping[tuple[str, ...] | None, int]) -> None:
        """Make an empty place for each of these workers."""
        self.groups = [Group(queues, wanted) for queues, wanted in workers_by_queues.items()]
        self.all: list[Slot] = []
        for group in self.groups:
            for _ in range(group.wanted):
                self.add(group)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self.all)

    @property
    def target(self) -> int:
        """How many workers are wanted."""
        return sum(group.wanted for group in self.groups)

    @property
    def wanted(self) -> list[Slot]:
        """The places that are to have a worker: all but those that are given up."""
        return [slot for slot in self.all if not slot.is_surplus]

    def of(self, group: Group) -> list[Slot]:
        """Return the places of a group."""
        return [slot for slot in self.all if slot.queues == group.queues]

    def add(self, group: Group) -> Slot:
        """Make an empty place with the lowest number that is free."""
        taken = {slot.number for slot in self.all}
        slot = Slot(next(number for number in itertools.count(1) if number not in taken), group.queues)
        self.all.append(slot)
        self.all.sort(key=lambda each: each.number)
        return slot

    def remove(self, slot: Slot) -> None:
        """Take a place away whose last process is gone."""
        self.all.remove(slot)

    def numbered(self, number: int) -> Slot | None:
        """Return the place with this number, if there is one."""
        return next((slot for slot in self.all if slot.number == number), None)

    def slot_of(self, child: Child) -> Slot:
        """Return the place of a worker."""
        return next(slot for slot in self.all if slot.number == child.slot)

    def children(self) -> list[Child]:
        """Return every worker process there is."""
        return [child for slot in self.all for child in slot.children()]

    def find(self, worker: str) -> Child | None:
        """Return the worker of this name."""
        return next((child for child in self.children() if child.worker == worker), None)

    @property
    def ready(self) -> int:
        return sum(slot.is_ready for slot in self.wanted)

    @property
    def are_hopeless(self) -> bool:
        """Tell whether the breaker is open: every slot waits after too many failures."""
        wanted = self.wanted
        return bool(wanted) and all(slot.is_in_backoff and slot.backoff.is_hopeless for slot in wanted)
