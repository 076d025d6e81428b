"""What a claim on MySQL chooses: the heads of the queues are looked at, then what is wanted is locked, by id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bgtasks.queue.engine import Engine, Row, looked_at
from bgtasks.queue.rows import LIVE, TIMES
from bgtasks.queue.types import Holder
from bgtasks.queue.watermark import Piece
from bgtasks.queue_filters import filter_of

BY_ID = "FORCE INDEX (PRIMARY)"
QUEUES = """
SELECT name, paused_at IS NOT NULL AND (paused_until IS NULL OR paused_until > {now}) FROM bgtasks_queue
"""
# The index is named: a statistic taken at the wrong moment must not bring a sort of all ready rows.
HEAD = """
SELECT {columns} FROM bgtasks_task FORCE INDEX (bgtasks_task_ready)
WHERE status = 1 AND {within} AND run_at <= {now} {known}
ORDER BY claim_order, run_at, id LIMIT %(look)s {lock}
"""
# Times travel as text, decoded when somebody looks: the driver spends 5 µs on each. Not renamed, or ORDER BY sorts.
COLUMNS = ", ".join(f"CAST(`{name}` AS CHAR)" if name in TIMES else f"`{name}`" for name in LIVE)
LOCK_CHOSEN = f"""
SELECT {COLUMNS}, CAST({{now}} AS CHAR) FROM bgtasks_task {BY_ID}
WHERE id IN {{ids}} AND status = 1 FOR UPDATE SKIP LOCKED
"""


def open_queues(db: Engine, cursor: Any, holder: Holder) -> list[str]:
    """Return the names of the queues that it serves and that are not paused."""
    cursor.execute(QUEUES.format(now=db.now))
    paused = dict(cursor.fetchall())
    if holder.queues is None:
        return [name for name, is_paused in paused.items() if not is_paused]
    # A name asked for may be written otherwise than in its row: most collations take both for one queue.
    alike = {name.casefold(): is_paused for name, is_paused in paused.items()}
    asked = filter_of(holder.queues).among(paused)
    return [name for name in asked if not paused.get(name, alike.get(name.casefold()))]


def locked(db: Engine, cursor: Any, queues: list[str], want: int, holder: Holder) -> list[Row]:
    """Lock the rows to be claimed; return them, each with the time at its end."""
    unknown, parameters = db.listed("unknown", sorted(holder.unknown))
    known = {"known": f"AND task_name NOT IN {unknown}" if holder.unknown else ""}
    rows: list[Row] = []
    for pieces in dict.fromkeys((db.pieces, ())):
        heads, named = _heads(db, queues, pieces)
        parameters |= named
        is_short = False
        if len(heads) > 1 or want > 1:
            rows, is_short = _lock_merged(db, cursor, heads, want, known, parameters)
        if len(rows) < want and not is_short:
            rows = _lock_heads(db, cursor, heads, want, known, parameters)
        if len(rows) >= want:
            break
    return rows


def _heads(db: Engine, queues: list[str], pieces: Sequence[Piece]) -> tuple[list[str], dict[str, Any]]:
    """Return a condition for each range of the index that is to be looked at, and their parameters."""
    heads: list[str] = []
    parameters: dict[str, Any] = {f"queue{at}": name for at, name in enumerate(queues)}
    for at, name in enumerate(queues):
        own = [piece for piece in pieces if piece.queue == name] or [Piece(name, None, None, None, None)]
        for number, (_, above, since, first, below) in enumerate(own):
            ranges = [f"queue = %(queue{at})s"]
            if since is not None:
                parameters[f"since{at}_{number}"] = db.to_database(since)
                begin = f"{ranges[0]} AND claim_order = {above} AND run_at"
                heads.append(f"{begin} = %(since{at}_{number})s AND id >= {first}")
                heads.append(f"{begin} > %(since{at}_{number})s")
            ranges += [f"claim_order > {above}"] * (above is not None)
            ranges += [f"claim_order < {below}"] * (below is not None)
            heads.append(" AND ".join(ranges))
    return heads, parameters


def _lock_heads(
    db: Engine, cursor: Any, heads: list[str], want: int, known: dict[str, str], parameters: dict[str, Any]
) -> list[Row]:
    """Lock as many as are wanted at each head: nobody can be in the way."""
    found: list[Row] = []
    columns = f"{COLUMNS}, CAST({db.now} AS CHAR)"
    for head in heads:
        sql = HEAD.format(columns=columns, within=head, now=db.now, lock=db.skip_locked, **known)
        cursor.execute(sql, {**parameters, "look": want})
        found += cursor.fetchall()
    return found


def _lock_merged(
    db: Engine, cursor: Any, heads: list[str], want: int, known: dict[str, str], parameters: dict[str, Any]
) -> tuple[list[Row], bool]:
    """Look at the head of each queue, then lock no more than what is wanted; say whether that was all.

    By id: a whole row found and locked through another index costs 80 µs, looked at and then locked 30.
    """
    columns, look = "id, claim_order, run_at", looked_at(want)
    merged = " UNION ALL ".join(
        f"({HEAD.format(columns=columns, within=head, now=db.now, lock='', **known)})" for head in heads
    )
    sql = f"{merged} ORDER BY claim_order, run_at, id LIMIT %(look)s"
    cursor.execute(sql, {**parameters, "look": look})
    seen = [row[0] for row in cursor.fetchall()]
    rows: list[Row] = []
    at = 0
    while at < len(seen) and len(rows) < want:
        chunk = seen[at : at + want - len(rows)]
        at += len(chunk)
        cursor.execute(LOCK_CHOSEN.format(ids=in_one_order(chunk), now=db.now))
        rows += cursor.fetchall()
    return rows, len(seen) < look


def in_one_order(ids: Iterable[int]) -> str:
    """Return ids as `(1, 2)`, in one order for everybody: who locks in another one deadlocks."""
    return f"({', '.join(map(str, sorted(map(int, ids))))})"
