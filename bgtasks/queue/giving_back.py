"""Claims that were not started: back to their queues, uncharged; or kept, under a fresh token."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from bgtasks import waking
from bgtasks.queue import watermark
from bgtasks.queue.engine import Engine
from bgtasks.queue.engines import engine
from bgtasks.queue.rows import id_list
from bgtasks.queue.settled import FREE, Settled, cancel_instead
from bgtasks.queue.types import Claim, Holder, Slow

HELD = "SELECT id, claim, cancel_requested_at FROM bgtasks_task {by_id} WHERE id IN ({ids}) AND status = 2 ORDER BY id"
BEHIND = """
SELECT id, claim, cancel_requested_at FROM bgtasks_task
WHERE status = 2 AND locked_by = %(worker)s AND claim = %(token)s AND id NOT IN {kept} ORDER BY id
"""
GIVE_BACK = f"""
UPDATE bgtasks_task {{by_id}} SET status = 1, attempts = attempts - 1, {FREE},
    crashes = CASE WHEN crashes < %(crash)s THEN %(crash)s ELSE crashes END
WHERE id IN ({{ids}}) AND status = 2
"""
KEEP = """
UPDATE bgtasks_task {by_id} SET claim = %(fresh)s, locked_until = {until}
WHERE id IN ({ids}) AND claim IN {tokens} AND status = 2
"""
KEPT = (
    "SELECT id, cancel_requested_at FROM bgtasks_task {by_id} WHERE id IN ({ids}) AND claim = %(fresh)s AND status = 2"
)


def give_back(claims: Iterable[Claim], *, worker: str) -> list[int]:
    """Put claimed tasks that were not started back into their queues, uncharged; return the ids still held."""
    db = engine()
    settled = Settled()
    watermark.of(worker).forget()
    with db.transaction() as cursor:
        give_back_held(db, cursor, [(claim.task_id, claim.token) for claim in claims], settled)
    return sorted(settled.ids)


def give_back_behind(db: Engine, cursor: Any, slow: Slow, settled: Settled) -> None:
    """Give back what a worker claimed together with a slow task and has not started.

    The worker renews what is left of its batch under a fresh token before it starts the next one: if it was faster,
    nothing is found here.
    """
    kept, parameters = db.listed("kept", [slow.running[0], *sorted(task_id for task_id, _, _ in slow.finished)])
    parameters |= {"worker": slow.worker, "token": slow.running[1]}
    rows = db.execute(cursor, BEHIND.format(kept=kept) + db.skip_locked, **parameters).fetchall()
    _free(db, cursor, rows, settled)


def keep(claims: Sequence[Claim], fresh: int, holder: Holder) -> list[Claim]:
    """Renew claims that were not started under a fresh token, and return those that were still held.

    After a database error nothing is known: repeat it with the same token, as often as need be.
    """
    db = engine()
    ids = id_list(sorted((claim.task_id,) for claim in claims))
    tokens, parameters = db.listed("token", sorted({fresh, *(claim.token for claim in claims)}))
    parameters |= {"fresh": fresh, "lease": db.lasting(holder.lease)}
    with db.transaction() as cursor:
        sql = KEEP.format(by_id=db.by_id, until=db.after("lease"), ids=ids, tokens=tokens)
        db.execute(cursor, sql, **parameters)
        rows = db.execute(cursor, KEPT.format(by_id=db.by_id, ids=ids), fresh=fresh).fetchall()
    unwanted = {task_id: requested_at is not None for task_id, requested_at in rows}
    return [
        replace(claim, token=fresh, is_unwanted=unwanted[claim.task_id])
        for claim in claims
        if claim.task_id in unwanted
    ]


def give_back_held(
    db: Engine, cursor: Any, held: Collection[tuple[int, int]], settled: Settled, *, crash: int = 0
) -> None:
    """Put what still has its claim (id, token) back into its queue, its attempt not charged; `crash` 1 marks it."""
    wanted = set(held)
    if wanted:
        sql = HELD.format(by_id=db.by_id, ids=id_list(sorted(wanted))) + db.lock
        rows = db.execute(cursor, sql).fetchall()
        _free(db, cursor, [row for row in rows if (row[0], row[1]) in wanted], settled, crash)


def _free(db: Engine, cursor: Any, rows: Sequence[Any], settled: Settled, crash: int = 0) -> None:
    """Give back locked rows; one that somebody wants cancelled ends instead."""
    free = [row for row in rows if row[2] is None]
    if free:
        db.execute(cursor, GIVE_BACK.format(by_id=db.by_id, ids=id_list(free)), crash=crash)
        settled.ids.update(row[0] for row in free)
        waking.ready(db.connection, "")
    for task_id, token, requested_at in rows:
        if requested_at is not None:
            cancel_instead(db, cursor, (task_id, token), settled, None)
