"""Why a worker ended, in words and in the terms of the queue. Pure: decided from facts, nothing is done here."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from bgtasksd.children.exits import Exit
from bgtasksd.exit_codes import EXIT_DAMAGED
from bgtasksd.supervisor.child import Cause

RETIRED = frozenset({"max_age", "max_memory", "max_tasks", "reload", "scale", "retired", "stopped", "damaged"})
"""What a worker may say when it leaves by itself."""

REASONS = RETIRED | frozenset(Cause) | {"out_of_memory", "signal", "exit_code"}
"""Every end of a worker has exactly one of these."""

ENDINGS = {
    Cause.TIME_LIMIT: ("limit", "killed: it ran into its time limit and did not end when interrupted"),
    Cause.MEMORY_LIMIT: ("limit", "killed: it ran into its memory limit (--max-memory-kill)"),
    Cause.STOP: ("stopped", "killed: the daemon was stopping"),
    Cause.CANCELLED: ("cancelled", "killed: the task was cancelled and did not end when interrupted"),
    Cause.CLAIM_LOST: ("lease_lost", "killed: its claim was lost and the task did not end when interrupted"),
    Cause.STUCK: ("crashed", "killed: its loop had not moved for too long"),
    Cause.KILLED: ("operator", "killed by an operator"),
    Cause.BOOT_FAILURE: ("crashed", "killed: it did not boot in time"),
}
"""How the queue treats the task (`bgtasks.queue.types.Ending`), and the words."""


ORDERED = frozenset({Cause.STOP, Cause.CANCELLED, Cause.KILLED})
"""Somebody wanted it: nothing has failed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one worker ended."""

    label: str
    """What `last_exit` shows."""
    ending: str
    """What becomes of its task."""
    reason: str
    """For people; also recorded with the task."""
    is_planned: bool
    """It left by itself at a limit or when told; nothing has failed."""


def verdict_on(exit_: Exit, *, bye: str, cause: Cause | None, has_booted: bool, was_killed: bool, oom: bool) -> Verdict:
    """Decide why a worker ended.

    `cause` counts only if it `was_killed` by us; `oom`: the kernel's counter has risen.
    """
    if was_killed and cause is not None:
        ending, reason = ENDINGS[cause]
        return Verdict(cause.value, ending, reason, is_planned=cause in ORDERED)
    if exit_.code == EXIT_DAMAGED or (exit_.code == 0 and bye):
        return _left(bye or "damaged")
    if exit_.signal is not None:
        return _died_of(exit_, oom=oom)
    if not has_booted:
        return Verdict("boot_failure", "crashed", f"{exit_} while booting", is_planned=False)
    return Verdict("exit_code", "crashed", str(exit_), is_planned=False)


def _left(bye: str) -> Verdict:
    """It left by itself, and said why, or could not: a task had taken its line to us."""
    if bye == Cause.STUCK:  # told to leave because its loop stood still, it still could
        return Verdict(bye, "stopped", "its loop had not moved for too long", is_planned=False)
    return Verdict(bye if bye in RETIRED else "retired", "stopped", bye, is_planned=bye != "damaged")


def _died_of(exit_: Exit, *, oom: bool) -> Verdict:
    if exit_.signal != signal.SIGKILL:
        return Verdict("signal", "crashed", str(exit_), is_planned=False)
    if oom:
        return Verdict("out_of_memory", "crashed", "SIGKILL: out of memory", is_planned=False)
    return Verdict("signal", "crashed", "SIGKILL: killed from outside", is_planned=False)
