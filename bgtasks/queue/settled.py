"""What a transaction has written of claimed tasks, and the one ending that a cancel request leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bgtasks import waking
from bgtasks.models import Status
from bgtasks.queue.engine import Ended, Engine
from bgtasks.queue.rows import storable

FREE = "claim = NULL, locked_by = NULL, locked_at = NULL, locked_until = NULL, progress = NULL"


class Settled:
    """What settling brought: the ids written, those that ended by a cancel request, and their repetitions."""

    def __init__(self) -> None:
        self.ids: set[int] = set()
        self.cancelled: set[int] = set()
        self.repeated: dict[int, int] = {}


def end(db: Engine, cursor: Any, ended: Sequence[Ended]) -> list[tuple[int, int]]:
    """Move to the history what still has its claim; return (id, repeat) of that. Who waits for it is woken in time."""
    finished = db.finish(cursor, ended)
    if finished:
        waking.over(db.connection, [task_id for task_id, _ in finished])
    return finished


def cancel_instead(db: Engine, cursor: Any, held: tuple[int, int], settled: Settled, error: str | None) -> None:
    """End as cancelled what still has its claim: only a cancel request kept it from being written."""
    ended = Ended(held[0], held[1], Status.CANCELLED, None if error is None else storable(error))
    if end(db, cursor, [ended]):
        settled.ids.add(held[0])
        settled.cancelled.add(held[0])
