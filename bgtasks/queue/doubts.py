"""What to make of a turn whose COMMIT was not confirmed: it may have happened, so look before doing it again."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

from bgtasks.queue.engine import Engine
from bgtasks.queue.rows import LIVE, claim_of, in_claim_order
from bgtasks.queue.types import Claim, Holder, Outcome

MADE = "SELECT {columns} FROM bgtasks_task WHERE status = 2 AND locked_by = %(holder)s AND claim IN {tokens}"
WRITTEN = """
SELECT id, attempts FROM bgtasks_completedtask WHERE id IN {ids} AND locked_by = %(holder)s
UNION SELECT task_id, attempt FROM bgtasks_taskattempt WHERE task_id IN {ids} AND worker = %(holder)s
"""
LINGERING = 30.0
"""Seconds for which a COMMIT may still be on its way in the server after the client gave up."""


class Doubts:
    """The tokens of each holder's turns that ended with an error, and when."""

    def __init__(self) -> None:
        self._tokens: dict[str, dict[int, float]] = {}

    def add(self, holder: Holder, token: int) -> None:
        """Note that this turn may or may not have been committed."""
        self._tokens.setdefault(holder.name, {})[token] = monotonic()

    def resolve(self, holder: Holder, found: Sequence[Claim]) -> None:
        """Forget what is decided, after a confirmed turn: claims that were found, and what is long past."""
        if holder.name not in self._tokens:
            return
        tokens, now = self._tokens[holder.name], monotonic()
        decided = {claim.token for claim in found}
        left = {token: at for token, at in tokens.items() if token not in decided and now - at < LINGERING}
        if left:
            self._tokens[holder.name] = left
        else:
            del self._tokens[holder.name]

    def claims_made(self, db: Engine, cursor: Any, holder: Holder) -> list[Claim]:
        """Return the claims of turns in doubt that stand in the table: nobody runs them yet."""
        if holder.name not in self._tokens:
            return []
        tokens, parameters = db.listed("token", list(self._tokens[holder.name]))
        columns = ", ".join(db.connection.ops.quote_name(column) for column in LIVE)
        found = db.execute(cursor, MADE.format(columns=columns, tokens=tokens), holder=holder.name, **parameters)
        return [claim_of(row) for row in in_claim_order(db.live(row) for row in found.fetchall())]

    def without_written(self, db: Engine, cursor: Any, holder: Holder, lost: Sequence[Outcome]) -> list[Outcome]:
        """Return the outcomes that are lost indeed, and were not written by a turn in doubt."""
        if not lost or holder.name not in self._tokens:
            return list(lost)
        ids, parameters = db.listed("id", [one.claim.task_id for one in lost])
        written = set(db.execute(cursor, WRITTEN.format(ids=ids), holder=holder.name, **parameters).fetchall())
        return [one for one in lost if (one.claim.task_id, one.claim.attempts) not in written]
