"""Run one claimed task and decide how it ended. What is written for it is the business of the queue."""

from bgtasks.execution.activation import Activation
from bgtasks.execution.body import EXIT_OF_A_COPY, interrupt
from bgtasks.execution.connections import close_connections, leaving_transactions_alone, tidy_connections
from bgtasks.execution.outcomes import OWN_FRAMES, outcome_of
from bgtasks.execution.places import Places
from bgtasks.execution.running import execute, failed, max_attempts, run_time_limit, settles_each, task_of

__all__ = [
    "EXIT_OF_A_COPY",
    "OWN_FRAMES",
    "Activation",
    "Places",
    "close_connections",
    "execute",
    "failed",
    "interrupt",
    "leaving_transactions_alone",
    "max_attempts",
    "outcome_of",
    "run_time_limit",
    "settles_each",
    "task_of",
    "tidy_connections",
]
