"""The worker's core: one transaction settles what is done and claims what is next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic

from django.db import OperationalError

from bgtasks import waking
from bgtasks.queue import watermark
from bgtasks.queue.doubts import Doubts
from bgtasks.queue.engine import Ended, Engine, Row
from bgtasks.queue.engines import engine
from bgtasks.queue.rows import claim_of, in_claim_order, new_token
from bgtasks.queue.settled import Settled
from bgtasks.queue.settling import ENDINGS, lost_of, settle_all
from bgtasks.queue.types import Claim, Holder, Outcome, Result, Turn
from bgtasks.queue.watermark import Place

TRIES = 3
"""Of a turn that others were in the way of: a deadlock undoes it whole, and it can begin anew at once."""

_doubts = Doubts()


def turn(outcomes: Sequence[Outcome], want: int, holder: Holder) -> Turn:
    """Settle all outcomes and claim up to `want` tasks, in one transaction.

    After a database error nothing is known to be written; give the same outcomes to the next turn. That one first
    looks for what was written after all, and returns claims that were made then.
    """
    db = engine()
    token = new_token()
    mark, begun = watermark.of(holder.name), monotonic()
    db.pieces = mark.pieces(begun)
    try:
        found, turned = _tried(db, outcomes, want, holder, token)
    except BaseException:
        _doubts.add(holder, token, outcomes)
        mark.forget()
        raise
    _doubts.resolve(holder, found, outcomes)
    if want:
        full = turned.claims if len(turned.claims) >= want else []
        if full:
            mark.claimed(map(_place, full), full[-1].locked_at, is_bounded=bool(db.pieces), now=begun)
        else:
            mark.forget()
    if any(one.result is Result.RELEASED for one in outcomes):
        mark.forget()
    return turned


def _tried(db: Engine, outcomes: Sequence[Outcome], want: int, holder: Holder, token: int) -> tuple[list[Claim], Turn]:
    tries = 1
    while True:
        try:
            return _in_a_statement(db, outcomes, want, holder, token) or _in_a_transaction(
                db, outcomes, want, holder, token
            )
        except OperationalError as error:
            if tries == TRIES or not db.is_deadlock(error):
                raise
            tries += 1


def _in_a_transaction(
    db: Engine, outcomes: Sequence[Outcome], want: int, holder: Holder, token: int
) -> tuple[list[Claim], Turn]:
    """Return the claims of earlier turns in doubt that were found, and the whole turn, these included."""
    with db.transaction() as cursor:
        found = _doubts.claims_made(db, cursor, holder)
        settled = settle_all(db, cursor, outcomes) if outcomes else Settled()
        lost = _doubts.without_written(db, cursor, holder, lost_of(outcomes, settled))
        rows: Iterable[Row] = db.claim(cursor, want - len(found), holder, token) if want > len(found) else ()
    return found, Turn(found + _claims(db, rows), lost, settled.repeated, settled.cancelled)


def _in_a_statement(
    db: Engine, outcomes: Sequence[Outcome], want: int, holder: Holder, token: int
) -> tuple[list[Claim], Turn] | None:
    """Do the same in one statement, if that is all it takes, and what is left over in a transaction."""
    if (
        not (want or outcomes)
        or not db.is_between_transactions()
        or _doubts.has(holder)
        or not all(map(_is_plain, outcomes))
    ):
        return None
    ended = [Ended(one.claim.task_id, one.claim.token, ENDINGS[one.result]) for one in outcomes]
    done = db.at_once(ended, want, holder, token)
    if done is None:
        return None
    if done.finished:
        waking.over(db.connection, done.finished)
    left = [one for one in outcomes if one.claim.task_id not in done.finished]
    claims = _claims(db, done.rows)
    if not left and not done.may_be_more:
        return [], Turn(claims, [], {})
    rest = _in_a_transaction(db, left, want - len(claims), holder, token)[1]
    return [], Turn(claims + rest.claims, rest.lost, rest.repeated, rest.cancelled)


def _is_plain(one: Outcome) -> bool:
    is_plain = one.result is Result.SUCCESSFUL and one.kept is None and one.progress is None
    return is_plain and not one.error_text and one.claim.row["repeat"] <= 0


def _place(claim: Claim) -> Place:
    return Place(claim.row["claim_order"], claim.run_at, claim.task_id, claim.queue)


def _claims(db: Engine, rows: Iterable[Row]) -> list[Claim]:
    row_time = db.row_time
    return [claim_of(row, row_time) for row in in_claim_order(rows)]
