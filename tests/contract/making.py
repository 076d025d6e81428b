"""Short words for the contract tests: a new task, a holder, an outcome, and the rows as they are now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from bgtasks.arguments import encode, hash_of
from bgtasks.models import CompletedTask, Task
from bgtasks.queue import claims
from bgtasks.queue.types import Claim, Holder, Outcome, Result

LEASE = 60.0


def unsaved(name: str = "tests.one", *args: Any, **columns: Any) -> Task:
    """Return a task that asks for `name(*args)`, due now unless `run_at` says otherwise."""
    params = encode(args, {})
    return Task(
        task_name=name,
        task_params=params,
        task_hash=hash_of(name, params),
        **{"run_at": None, **columns},
    )


def enqueued(name: str = "tests.one", *args: Any, **columns: Any) -> Task:
    return claims.enqueue(unsaved(name, *args, **columns))


def holder(number: int = 1, **fields: Any) -> Holder:
    return Holder(name=f"host:main:{number}:nonce", **{"lease": LEASE, **fields})


def claim(want: int = 1, by: Holder | None = None) -> list[Claim]:
    return claims.turn([], want, by or holder()).claims


def claim_one(by: Holder | None = None) -> Claim:
    (claimed,) = claim(1, by)
    return claimed


def settle(outcome: Outcome) -> list[Outcome]:
    """Settle one outcome in a turn that claims nothing; return what was lost."""
    return claims.turn([outcome], 0, holder()).lost


def success(claimed: Claim) -> Outcome:
    return Outcome(claimed, Result.SUCCESSFUL, 0.1)


def failure(claimed: Claim, result: Result = Result.RETRY, retry_in: float = 6.0) -> Outcome:
    return Outcome(claimed, result, 0.1, ValueError("no"), "Traceback: no", retry_in)


def other(claimed: Claim, result: Result) -> Outcome:
    return Outcome(claimed, result, 0.1)


def live(task_id: int) -> Task:
    return Task.objects.get(id=task_id)


def completed(task_id: int) -> CompletedTask:
    return CompletedTask.objects.get(id=task_id)


def names(found: list[Claim]) -> list[str]:
    return [one.task_name for one in found]


def ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


def ahead(seconds: float) -> Any:
    return timezone.now() + timedelta(seconds=seconds)
