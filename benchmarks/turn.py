"""The worker's core without a task function: settle what was claimed, claim the next."""

from __future__ import annotations

import argparse

from benchmarks.database import fill
from benchmarks.measuring import measure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to measure (default 5)")
    parser.add_argument("--batch", type=int, default=1, help="tasks settled and claimed in one turn (default 1)")


def run(options: argparse.Namespace) -> dict[str, float]:
    """Measure turns that settle `batch` successes and claim as many."""
    from bgtasks.queue import claims
    from bgtasks.queue.types import Holder, Outcome, Result

    fill(int(options.seconds * (4000 if options.batch == 1 else 30000)))
    holder = Holder("host:main:1:benchmark", lease=60.0)
    outcomes: list[Outcome] = []

    def turn() -> int:
        nonlocal outcomes
        turned = claims.turn(outcomes, options.batch, holder)
        settled = len(outcomes)
        outcomes = [Outcome(claim, Result.SUCCESSFUL, 0.0) for claim in turned.claims]
        return settled or len(outcomes)

    turn()
    return measure(turn, options.seconds)
