"""Renewing the leases of a host's living workers, without ever waiting for a locked row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bgtasks.queue.engine import Engine
from bgtasks.queue.engines import engine
from bgtasks.queue.rows import id_list
from bgtasks.queue.types import Renewal
from bgtasks.queue.upkeep import database_now

# A row locked by its own worker's settling needs no renewal.
RENEWABLE = "SELECT id FROM bgtasks_task WHERE status = 2 AND locked_by IN {workers} ORDER BY id"
RENEW = "UPDATE bgtasks_task {by_id} SET locked_until = {until} WHERE id IN ({ids})"
# The time comes also where nothing is held.
HELD = """
SELECT {now}, id, claim, locked_by, cancel_requested_at
FROM (SELECT 1 AS one) AS clock LEFT JOIN bgtasks_task ON status = 2 AND locked_by IN {workers}
"""
SEEN = "SELECT id FROM bgtasks_workerprocess WHERE name IN {workers} ORDER BY id"
TOUCH = "UPDATE bgtasks_workerprocess SET last_seen_at = {now} WHERE id IN ({ids})"


def renew(workers: Sequence[str], lease: float) -> Renewal:
    """Let the claims of these workers last `lease` seconds from now; say what they hold and what shall be cancelled."""
    if not workers:
        return Renewal(set(), [], database_now())
    db = engine()
    listed, parameters = db.listed("worker", sorted(workers))
    with db.transaction() as cursor:
        _prolong(db, cursor, listed, parameters, lease)
        rows = db.execute(cursor, HELD.format(now=db.now, workers=listed), **parameters).fetchall()
    held = [claim for _, *claim in rows if claim[0] is not None]
    return Renewal(
        {(task_id, token) for task_id, token, _, _ in held},
        [(task_id, token, worker) for task_id, token, worker, requested_at in held if requested_at is not None],
        db.to_python(rows[0][0]),
    )


def _prolong(db: Engine, cursor: Any, workers: str, parameters: dict[str, Any], lease: float) -> None:
    rows = db.execute(cursor, RENEWABLE.format(workers=workers) + db.skip_locked, **parameters).fetchall()
    if rows:
        sql = RENEW.format(by_id=db.by_id, until=db.after("lease"), ids=id_list(rows))
        db.execute(cursor, sql, lease=db.lasting(lease))
    rows = db.execute(cursor, SEEN.format(workers=workers) + db.skip_locked, **parameters).fetchall()
    if rows:
        db.execute(cursor, TOUCH.format(now=db.now, ids=id_list(rows)))
