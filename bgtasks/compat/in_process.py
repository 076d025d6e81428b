"""Running one task in this very process, without a worker: for tests and scripts that never had another way.

The claim, the execution and the settling are those of workers. What a worker adds is missing: nothing ends a task that
runs too long, and nobody but the lease takes it back if this process dies.
"""

from __future__ import annotations

import os
import socket
from dataclasses import replace

from bgtasks import conf, registry
from bgtasks.execution import execute
from bgtasks.queue import claims
from bgtasks.queue.types import Claim, Holder, Outcome, Result, Turn
from bgtasks.worker.announcing import announce_outcome, announce_start

LONGEST_LEASE = 24 * 3600.0
"""Seconds that a claim lasts where the settings allow a task to run for ever."""


def holder(name: str | None = None, queue: str | None = None) -> Holder:
    """Return who claims here: this process under its pid, or whoever a caller says."""
    limit = conf.current().max_run_time or LONGEST_LEASE
    name = name or f"{socket.gethostname()}:in-process:{os.getpid()}"
    return Holder(name[-128:], limit + conf.current().kill_grace, (queue,) if queue else None)


def run_next(queue: str | None = None) -> bool:
    """Run the task that is next, of this queue or of any; say whether there was one."""
    claim = next_claim(holder(queue=queue))
    if claim is None:
        return False
    run(claim)
    return True


def next_claim(here: Holder) -> Claim | None:
    """Claim what is due and known here; names that only other processes know stay in their queue."""
    claims.stage()
    claim = _next_known(here)
    if claim is None and claims.give_rows_to_queues():  # a test's rollback takes rows away that this process knows of
        claim = _next_known(here)
    return claim or _abandoned(here)


def _next_known(here: Holder) -> Claim | None:
    while (claim := claims.take_next(here)) is not None:
        if registry.known(claim) is not None:
            return claim
        claims.turn([Outcome(claim, Result.RELEASED, 0.0)], 0, here)
        here = replace(here, unknown=here.unknown | {claim.task_name})
    return None


def _abandoned(here: Holder) -> Claim | None:
    """Claim what a process like this one claimed longer ago than a task may run. Never what a worker holds."""
    age = conf.current().max_run_time
    queue = here.queues[0] if here.queues else None
    task_id = None if age is None else claims.abandoned(age, queue)
    return None if task_id is None else claims.take(task_id, here, abandoned_for=age)


def run(claim: Claim) -> Outcome:
    """Execute a claim and settle it, with its signals. Ctrl-C gives it back uncharged and goes on to the caller."""
    here = holder(claim.locked_by)
    announce_start(claim)
    outcome = execute(claim)
    if isinstance(outcome.error, KeyboardInterrupt):
        claims.turn([replace(outcome, result=Result.RELEASED)], 0, here)
        raise outcome.error
    return settle(outcome, here)


def settle(outcome: Outcome, here: Holder) -> Outcome:
    """Write an outcome, tell of it, and return it as it was written."""
    turn: Turn = claims.turn([outcome], 0, here)
    announce_outcome(outcome, turn)
    return replace(outcome, repetition=turn.repeated.get(outcome.claim.task_id, outcome.repetition))
