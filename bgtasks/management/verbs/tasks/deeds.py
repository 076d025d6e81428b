"""What can be done to tasks: with which of them, by which function of the queue, and in which words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bgtasks.management.verbs.statuses import OVER, WAITING


@dataclass(frozen=True, slots=True)
class Deed:
    """One of them."""

    name: str
    done: str
    summary: str
    examples: str
    fits: tuple[str, ...]
    """Statuses of the tasks that it can be done with."""
    usually: tuple[str, ...]
    """Those that `--all` means if none is named."""
    do: Callable[[Sequence[int]], tuple[int, int]]
    """Does it to those that can be, and returns to how many; and how many of these were only asked to end."""
    words: str

    def told(self, done: int, asked: int) -> str:
        """Return what was done, for people."""
        tasks = "1 task" if done - asked == 1 else f"{done - asked:,} tasks"
        text = f"{tasks} {self.words}"
        if not asked:
            return text
        running = f"{asked:,} running {'task' if asked == 1 else 'tasks'} asked to end"
        return running if done == asked else f"{text}, {running}"

    def why_not(self, status: str) -> str:
        """Return why it cannot be done with a task of this status."""
        fix = ": cancel it first" if status == "running" else ""
        return f"is {status}{fix}"


def _retry(ids: Sequence[int]) -> tuple[int, int]:
    from bgtasks.queue import claims  # imports models

    with claims.whole():  # in this order: what is run and over in between is not run again
        claims.retry(ids)
        return claims.run_now(ids), 0


def _cancel(ids: Sequence[int]) -> tuple[int, int]:
    from bgtasks.queue import claims  # imports models

    cancelled = claims.cancel_many(ids)
    return len(cancelled.ended) + len(cancelled.asked), len(cancelled.asked)


def _delete(ids: Sequence[int]) -> tuple[int, int]:
    from bgtasks.queue import claims  # imports models

    return claims.delete_waiting(ids) + claims.delete_completed(ids), 0


DEEDS = {
    "retry": Deed(
        "retry", "put back", "Put tasks that are over back into their queues, and start waiting ones now.",
        """examples:
  bgtasksd tasks retry 48213 48214
  bgtasksd tasks retry --all --since 1h --error ConnectionError --dry-run
  bgtasksd tasks retry --all --queue mail --rate 50/s --yes

A task keeps its id and is ready at once, its attempts counted anew; its failed attempts stay on record. With --all
and no --status the failed ones are meant.""",
        (*WAITING, *OVER), ("failed",), _retry, "put back in the queue",
    ),
    "cancel": Deed(
        "cancel", "cancelled", "Cancel tasks: waiting ones at once, running ones on whatever host they run.",
        """examples:
  bgtasksd tasks cancel 48213
  bgtasksd tasks cancel --all --name 'shop.*' --dry-run

A running task gets TaskCancelled raised, and is killed with its process if it does not end within KILL_GRACE.""",
        (*WAITING, "running"), (*WAITING, "running"), _cancel, "cancelled",
    ),
    "delete": Deed(
        "delete", "deleted", "Delete tasks that wait or are over, and the record of their attempts.",
        """examples:
  bgtasksd tasks delete 48213 --yes
  bgtasksd tasks delete --all --status cancelled --queue mail

Running ones are left alone. Old history goes by itself: bgtasksd prune --help.""",
        (*WAITING, *OVER), (*WAITING, *OVER), _delete, "deleted",
    ),
}  # fmt: skip
