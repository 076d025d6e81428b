"""The numbered places of the workers, and who sits in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


@dataclass
class Slots:
    """All places, in the order of their numbers."""

    all: list[Slot]

    @classmethod
    def of(cls, queues_by_slot: Sequence[tuple[str, ...] | None]) -> Slots:
        """Return an empty place for each of these, whose worker is to serve them."""
        return cls([Slot(number, queues) for number, queues in enumerate(queues_by_slot, start=1)])

    def __iter__(self) -> Iterator[Slot]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def slot_of(self, child: Child) -> Slot:
        """Return the place of a worker."""
        return self.all[child.slot - 1]

    def children(self) -> list[Child]:
        """Return every worker process there is."""
        return [child for slot in self.all for child in slot.children()]

    def find(self, worker: str) -> Child | None:
        """Return the worker of this name."""
        return next((child for child in self.children() if child.worker == worker), None)

    @property
    def ready(self) -> int:
        return sum(slot.is_ready for slot in self.all)

    @property
    def are_hopeless(self) -> bool:
        """Tell whether the breaker is open: every slot waits after too many failures."""
        return bool(self.all) and all(slot.is_in_backoff and slot.backoff.is_hopeless for slot in self.all)
