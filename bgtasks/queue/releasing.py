"""Taking tasks from workers: confirmed dead (release), silent for a whole lease (reclaim), or held up (relieve)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from bgtasks.models import Status
from bgtasks.queue.attempts import record_one
from bgtasks.queue.engine import Ended, Engine
from bgtasks.queue.engines import engine
from bgtasks.queue.giving_back import give_back_behind, give_back_held
from bgtasks.queue.rows import storable
from bgtasks.queue.settled import Settled
from bgtasks.queue.settling import GUARD, finish, retry_one
from bgtasks.queue.types import Death, Ending, Release, Slow
from bgtasks.queue.verdicts import Held, Verdict, exception_of, verdict

COLUMNS = "id, claim, attempts, crashes, max_attempts, locked_by, locked_at"
HELD_BY = f"SELECT {COLUMNS} FROM bgtasks_task WHERE status = 2 AND locked_by = %(worker)s ORDER BY id"
# By the database's clock and by the caller's reckoning: it may have been put forward a moment ago.
# A worker seen since is alive: somebody else's lock has kept its host from renewing this very row.
EXPIRED = """
status = 2 AND locked_until < {now} AND locked_until < %(reckoned)s AND NOT EXISTS (
    SELECT 1 FROM bgtasks_workerprocess AS process
    WHERE process.name = bgtasks_task.locked_by AND process.last_seen_at > {since})
"""
SILENT = f"SELECT DISTINCT locked_by FROM bgtasks_task WHERE {EXPIRED} AND locked_by NOT IN {{own}} LIMIT %(limit)s"
EXPIRED_OF = f"SELECT {COLUMNS} FROM bgtasks_task WHERE {EXPIRED} AND locked_by = %(worker)s ORDER BY id"
ANY_EXPIRED = "SELECT 1 FROM bgtasks_task WHERE status = 2 AND locked_until < {now} LIMIT 1"
CRASH = f"UPDATE bgtasks_task SET crashes = crashes + 1 WHERE {GUARD}"
FORGET = "DELETE FROM bgtasks_workerprocess WHERE name = %(worker)s"


def release(death: Death) -> Release:
    """Settle, retry or give back everything that a dead worker held, in one transaction. Harmless if done twice."""
    db = engine()
    released, running = Release(death.worker, [], [], [], [], []), set(death.running)
    with db.transaction() as cursor:
        _finish_written_down(db, cursor, death.finished, released)
        rows = db.execute(cursor, HELD_BY + db.lock, worker=death.worker).fetchall()
        _give_back(
            db, cursor, [row for row in rows if row[:2] not in running], released, are_suspects=death.are_suspects
        )
        for row in rows:
            if row[:2] in running:
                _judge(db, cursor, row, death.ending, death.reason, released)
        db.execute(cursor, FORGET, worker=death.worker)
    return released


def reclaim(reckoned: float, limit: int = 100, *, own: Collection[str] = (), silence: float = 0.0) -> list[Release]:
    """Take what up to `limit` workers hold whose lease has expired on the database's clock, but our `own` living ones.

    A worker that was seen within `silence` seconds keeps what it has.

    `reckoned`: what that clock should show, in seconds since 1970, if nobody has set it meanwhile; a lease must have
    expired by that too. Whether this host may take anything (its contact must have been continuous) the caller knows.
    """
    db = engine()
    workers, parameters = db.listed("own", sorted(own) or [""])
    limits = {"reckoned": db.at(reckoned), "silence": -silence}
    sql = SILENT.format(now=db.now, since=db.after("silence"), own=workers)
    with db.connection.cursor() as cursor:
        found = db.execute(cursor, sql, limit=limit, **limits, **parameters).fetchall()
    return [_reclaim_from(db, worker, limits) for (worker,) in sorted(found)]


def _reclaim_from(db: Engine, worker: str, limits: dict[str, Any]) -> Release:
    """Take what a worker held: what it ran is charged, if that was all; of several, nobody knows which one it ran."""
    released = Release(worker, [], [], [], [], [])
    reason = f"worker {worker} has not been heard of for a whole lease"
    with db.transaction() as cursor:
        held = len(db.execute(cursor, HELD_BY, worker=worker).fetchall())
        sql = EXPIRED_OF.format(now=db.now, since=db.after("silence")) + db.skip_locked
        rows = db.execute(cursor, sql, worker=worker, **limits).fetchall()
        if held > 1:
            _give_back(db, cursor, rows, released, are_suspects=True)
        else:
            for row in rows:
                _judge(db, cursor, row, Ending.CRASHED, reason, released)
    return released


def relieve(slow: Slow) -> Release:
    """Settle what a worker with a slow task has finished, and give back what waits behind it; the worker lives on."""
    db = engine()
    released, settled = Release(slow.worker, [], [], [], [], []), Settled()
    with db.transaction() as cursor:
        _finish_written_down(db, cursor, slow.finished, released)
        give_back_behind(db, cursor, slow, settled)
    _note(released.given_back, released.cancelled, settled)
    return released


def has_expired() -> bool:
    """Say whether there is a task whose lease has expired on the database's clock."""
    db = engine()
    with db.connection.cursor() as cursor:
        return db.execute(cursor, ANY_EXPIRED.format(now=db.now)).fetchone() is not None


def _finish_written_down(
    db: Engine, cursor: Any, finished: Iterable[tuple[int, int, float]], released: Release
) -> None:
    """Settle what the worker had finished but not yet written to the database."""
    settled = Settled()
    ended = [Ended(task_id, token, Status.SUCCESSFUL) for task_id, token, _ in sorted(finished)]
    finish(db, cursor, ended, settled)
    released.finished.extend(sorted(settled.ids))


def _judge(db: Engine, cursor: Any, row: tuple[Any, ...], ending: Ending, reason: str, released: Release) -> None:
    held = Held(*row[:5])
    decided = verdict(ending, held, reason)
    if not decided.is_charged:
        _give_back(db, cursor, [row], released)
        return
    if decided.status in (Status.FAILED, Status.CANCELLED):
        _end(db, cursor, held, decided, released)
    else:
        settled = Settled()
        claim, crash = (held.task_id, held.token), int(decided.is_crash)
        retry_one(db, cursor, claim, settled, delay=decided.delay, error=decided.reason, crash=crash)
        _note(released.retried, released.cancelled, settled)
    _record(db, cursor, row, ending, decided)


def _end(db: Engine, cursor: Any, held: Held, decided: Verdict, released: Release) -> None:
    if decided.is_crash:
        db.execute(cursor, CRASH, id=held.task_id, token=held.token)
    settled = Settled()
    error = storable(decided.reason)
    finish(db, cursor, [Ended(held.task_id, held.token, decided.status, error)], settled)
    (released.cancelled if decided.status == Status.CANCELLED else released.failed).extend(settled.ids)


def _give_back(
    db: Engine, cursor: Any, rows: Sequence[tuple[Any, ...]], released: Release, *, are_suspects: bool = False
) -> None:
    settled = Settled()
    give_back_held(db, cursor, [(row[0], row[1]) for row in rows], settled, crash=int(are_suspects))
    _note(released.given_back, released.cancelled, settled)


def _note(written: list[int], cancelled: list[int], settled: Settled) -> None:
    written.extend(sorted(settled.ids - settled.cancelled))
    cancelled.extend(sorted(settled.cancelled))


def _record(db: Engine, cursor: Any, row: tuple[Any, ...], ending: Ending, decided: Verdict) -> None:
    """Keep the attempt; a worker announces it later, for maintenance runs no receivers of signals."""
    started_at = row[6] and db.to_python(row[6])
    attempt = {"task_id": row[0], "attempt": row[2], "worker": row[5] or "", "started_at": started_at}
    crashed = decided.is_crash
    record_one(db, cursor, attempt, exception_of(ending), decided.reason, crashed=crashed, announced=False)
