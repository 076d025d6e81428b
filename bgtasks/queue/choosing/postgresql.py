"""What a claim on PostgreSQL chooses: the heads of the queues, merged and locked, as a part of statements."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bgtasks.queue.types import Holder
from bgtasks.queue.watermark import Piece
from bgtasks.queue_filters import QueueFilter, filter_of

EVERY_QUEUE = """
SELECT name FROM bgtasks_queue WHERE paused_at IS NULL OR paused_until <= statement_timestamp()
"""
NAMED_QUEUES = """
SELECT name FROM unnest(%(queues)s::text[]) AS asked(name) WHERE name NOT IN (
    SELECT name FROM bgtasks_queue
    WHERE paused_at IS NOT NULL AND (paused_until IS NULL OR paused_until > statement_timestamp()))
"""
# Names asked for may have no row yet; a pattern is looked for among the rows.
MATCHING_QUEUES = f"""
{NAMED_QUEUES} UNION ALL
SELECT name FROM bgtasks_queue WHERE (paused_at IS NULL OR paused_until <= statement_timestamp())
    AND name LIKE ANY(%(like)s::text[]) AND name <> ALL(%(queues)s::text[])
    AND name <> ALL(%(without)s::text[]) AND NOT name LIKE ANY(%(unlike)s::text[])
"""
# The head of each queue, merged. Only what is taken gets locked: whoever looks at the same time finds the rest.
# The rows seen are locked one after the other, at the place where they were seen: a join, or `status = 1` as the
# partial index has it, let old statistics choose a scan of all ready rows (7 ms of 12,000); by id a plan made when the
# table was small could read it whole for each of them. A row that was moved meanwhile is left to the next claim.
# The limits are hidden. The inner one: knowing it, the planner might find a sort of all the rows it expects in a piece
# no dearer than reading that many in order. The others: where they are known a plan seems cheaper than the one for all
# numbers, and is made anew each time.
CHOSEN = """
seen AS MATERIALIZED (
    SELECT head.* FROM ({queues}) AS served CROSS JOIN LATERAL (
        SELECT id, claim_order, run_at, ctid AS place FROM bgtasks_task
        WHERE status = 1 AND queue = served.name AND run_at <= statement_timestamp() {known} {within}
        ORDER BY claim_order, run_at, id LIMIT (SELECT %(look)s) {lock_seen}
    ) AS head ORDER BY claim_order, run_at, id LIMIT (SELECT %(look)s)
), chosen AS (
    SELECT task.id FROM seen CROSS JOIN LATERAL (
        SELECT id FROM bgtasks_task WHERE ctid = seen.place AND status + 0 = 1 FOR NO KEY UPDATE SKIP LOCKED
    ) AS task LIMIT (SELECT %(want)s))
"""
# Each queue's pieces, if it has any. The comparison of rows is one range of the index.
IN_PIECES = """
SELECT named.name, COALESCE(piece.above, -4294967296) AS above, COALESCE(piece.since, '-infinity') AS since,
    COALESCE(piece.first, 0) AS first, COALESCE(piece.below, 4294967296) AS below
FROM ({queues}) AS named LEFT JOIN unnest(%(piece_queue)s::text[], %(piece_above)s::bigint[],
    %(piece_since)s::timestamptz[], %(piece_first)s::bigint[], %(piece_below)s::bigint[])
    AS piece(queue, above, since, first, below)
    ON piece.queue = named.name
"""
WITHIN = "AND (claim_order, run_at, id) >= (served.above, served.since, served.first) AND claim_order < served.below"


def claiming(
    want: int, holder: Holder, token: int, look: int, pieces: Sequence[Piece]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the clauses and the parameters by which this holder claims."""
    parameters: dict[str, Any] = {
        "want": want,
        "look": look,
        "token": token,
        "holder": holder.name,
        "lease": holder.lease,
    }
    clauses = {"queues": EVERY_QUEUE, "known": "", "within": ""}
    if holder.queues is not None:
        meant = filter_of(holder.queues)
        clauses["queues"] = MATCHING_QUEUES if meant.prefixes else NAMED_QUEUES
        parameters |= _meant(meant)
    if holder.unknown:
        clauses["known"] = "AND task_name <> ALL(%(unknown)s::text[])"
        parameters["unknown"] = sorted(holder.unknown)
    if pieces:
        clauses |= {"queues": IN_PIECES.format(queues=clauses["queues"]), "within": WITHIN}
        columns = zip(*pieces, strict=True)
        parameters |= {f"piece_{name}": list(column) for name, column in zip(Piece._fields, columns, strict=True)}
    return clauses, parameters


def _meant(meant: QueueFilter) -> dict[str, list[str]]:
    return {
        "queues": list(meant.names),
        "like": [_beginning(prefix) for prefix in meant.prefixes],
        "without": list(meant.without_names),
        "unlike": [_beginning(prefix) for prefix in meant.without_prefixes],
    }


def _beginning(prefix: str) -> str:
    """Return the pattern of LIKE for texts that begin so."""
    return re.sub(r"([\\%_])", r"\\\1", prefix) + "%"
