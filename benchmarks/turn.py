"""The worker's core without a task function: settle what was claimed, claim the next."""

from __future__ import annotations

from benchmarks.database import fill
from benchmarks.measuring import measure


def run(seconds: float, batch: int) -> dict[str, float]:
    """Measure turns that settle `batch` successes and claim as many."""
    from bgtasks.queue import claims
    from bgtasks.queue.types import Holder, Outcome, Result

    fill(int(seconds * (4000 if batch == 1 else 30000)))
    holder = Holder("host:main:1:benchmark", lease=60.0)
    outcomes: list[Outcome] = []

    def turn() -> int:
        nonlocal outcomes
        turned = claims.turn(outcomes, batch, holder)
        settled = len(outcomes)
        outcomes = [Outcome(claim, Result.SUCCESSFUL, 0.0) for claim in turned.claims]
        return settled or len(outcomes)

    turn()
    return measure(turn, seconds)
