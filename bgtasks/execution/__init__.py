"""Run one claimed task and decide how it ended. What is written for it is the business of the queue."""

from bgtasks.execution.body import interrupt
from bgtasks.execution.outcomes import outcome_of
from bgtasks.execution.running import execute, run_time_limit

__all__ = ["execute", "interrupt", "outcome_of", "run_time_limit"]
