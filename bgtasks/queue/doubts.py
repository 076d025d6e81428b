"""What to make of a turn whose COMMIT was not confirmed: it may have happened, so look before doing it again."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

from bgtasks.queue.engine import Engine
from bgtasks.queue.rows import claim_of, in_claim_order
from bgtasks.queue.settling import ENDINGS
from bgtasks.queue.types import Claim, Holder, Outcome, Result

MADE = "SELECT {columns} FROM bgtasks_task WHERE status = 2 AND locked_by = %(holder)s AND claim IN {tokens}"
WRITTEN = """
SELECT id, attempts, outcome FROM bgtasks_completedtask WHERE id IN {ids} AND locked_by = %(holder)s
UNION ALL SELECT task_id, attempt, 0 FROM bgtasks_taskattempt
WHERE task_id IN {ids} AND worker = %(holder)s AND crashed = %(crashed)s
"""
LINGERING = 30.0
"""Seconds for which a COMMIT may still be on its way in the server after the client gave up."""


class Doubts:
    """What each holder's turns that ended with an error wanted to write: the tokens drawn, the outcomes given."""

    def __init__(self) -> None:
        self._tokens: dict[str, dict[int, float]] = {}
        self._outcomes: dict[str, set[tuple[int, int]]] = {}

    def has(self, holder: Holder) -> bool:
        """Return whether there is anything to look for."""
        return holder.name in self._tokens

    def add(self, holder: Holder, token: int, outcomes: Sequence[Outcome]) -> None:
        """Note that this turn may or may not have been committed."""
        self._tokens.setdefault(holder.name, {})[token] = monotonic()
        self._outcomes.setdefault(holder.name, set()).update(map(_held, outcomes))

    def resolve(self, holder: Holder, found: Sequence[Claim], outcomes: Sequence[Outcome]) -> None:
        """Forget what a confirmed turn has decided, and what is long past."""
        if holder.name not in self._tokens:
            return
        now, decided = monotonic(), {claim.token for claim in found}
        tokens = self._tokens.pop(holder.name).items()
        left = {token: at for token, at in tokens if token not in decided and now - at < LINGERING}
        pending = self._outcomes.pop(holder.name).difference(map(_held, outcomes))
        if left:
            self._tokens[holder.name] = left
            self._outcomes[holder.name] = pending

    def claims_made(self, db: Engine, cursor: Any, holder: Holder) -> list[Claim]:
        """Return the claims of turns in doubt that stand in the table: nobody runs them yet."""
        if holder.name not in self._tokens:
            return []
        tokens, parameters = db.listed("token", list(self._tokens[holder.name]))
        made = MADE.format(columns=db.live_columns, tokens=tokens)
        found = db.execute(cursor, made, holder=holder.name, **parameters).fetchall()
        return [claim_of(row, db.row_time) for row in in_claim_order(found)]

    def without_written(self, db: Engine, cursor: Any, holder: Holder, lost: Sequence[Outcome]) -> list[Outcome]:
        """Return what is lost indeed: not written by a turn in doubt, nor by maintenance from the ring."""
        doubtful = self._outcomes.get(holder.name, set()).intersection(map(_held, lost))
        doubtful |= {_held(one) for one in lost if one.result is Result.SUCCESSFUL}
        if not doubtful:
            return list(lost)
        ids, parameters = db.listed("id", [task_id for task_id, _ in sorted(doubtful)])
        # A crash was recorded by whoever took the task away: that claim is lost.
        parameters |= {"holder": holder.name, "crashed": False}
        written = set(db.execute(cursor, WRITTEN.format(ids=ids), **parameters).fetchall())
        return [one for one in lost if _held(one) not in doubtful or _ending(one) not in written]


def _held(one: Outcome) -> tuple[int, int]:
    return one.claim.task_id, one.claim.token


def _ending(one: Outcome) -> tuple[int, int, int]:
    return one.claim.task_id, one.claim.attempts, int(ENDINGS.get(one.result, 0))
