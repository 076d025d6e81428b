"""The worker's core: one transaction settles what is done and claims what is next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bgtasks.queue.doubts import Doubts
from bgtasks.queue.engine import Engine
from bgtasks.queue.engines import engine
from bgtasks.queue.rows import claim_of, in_claim_order, new_token
from bgtasks.queue.settling import Settled, lost_of, settle_all
from bgtasks.queue.types import Claim, Holder, Outcome, Turn

_doubts = Doubts()


def turn(outcomes: Sequence[Outcome], want: int, holder: Holder) -> Turn:
    """Settle all outcomes and claim up to `want` tasks, in one transaction.

    After a database error nothing is known to be written; give the same outcomes to the next turn. That one first
    looks for what was written after all, and returns claims that were made then.
    """
    db = engine()
    token = new_token()
    try:
        with db.transaction() as cursor:
            found = _doubts.claims_made(db, cursor, holder)
            settled = settle_all(db, cursor, outcomes) if outcomes else Settled()
            lost = _doubts.without_written(db, cursor, holder, lost_of(outcomes, settled))
            claims = claim(db, cursor, want - len(found), holder, token) if want > len(found) else []
    except BaseException:
        _doubts.add(holder, token, outcomes)
        raise
    _doubts.resolve(holder, found, outcomes)
    return Turn(found + claims, lost, settled.repeated, settled.cancelled)


def claim(db: Engine, cursor: Any, want: int, holder: Holder, token: int) -> list[Claim]:
    """Claim up to `want` ready tasks, in the order in which they are to run."""
    return [claim_of(row) for row in in_claim_order(db.claim(cursor, want, holder, token))]
