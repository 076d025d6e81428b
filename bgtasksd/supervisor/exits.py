"""What follows the end of a worker: reap, explain, report what it held, and decide how soon its place is filled."""

from __future__ import annotations

import logging
import os
import signal
from typing import Any

from bgtasksd.children.exits import Exit
from bgtasksd.scoreboard import WorkState
from bgtasksd.supervisor.child import Cause, Child
from bgtasksd.supervisor.pacing import STEADY_AFTER
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.slots import Slot
from bgtasksd.supervisor.states import State
from bgtasksd.supervisor.verdicts import Verdict, verdict_on

REPEATED_WITHIN = 5.0
"""Seconds: a slot whose task crashed it again so soon waits like any other failure."""
GOOD_TURNS = 10
MOST_NAMED = 5
"""Tasks in the one line that tells of an end."""
RECYCLED = {"max_age": "age", "max_memory": "memory", "max_tasks": "tasks", "reload": "reload"}
OUTCOMES = {Cause.TIME_LIMIT.value: "timed_out", Cause.CANCELLED.value: "cancelled"}
"""How the task of a worker that was killed has ended; else it has crashed."""
STACKS = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})
"""Signals for which faulthandler has written the stacks down."""

logger = logging.getLogger("bgtasksd.supervisor")


def has_ended(situation: Situation, child: Child) -> None:
    """Reap a worker whose pidfd became readable, and draw the consequences."""
    process = child.process
    assert process is not None
    if not process.has_ended():
        return
    child.look()
    if child.tasks or child.state in (State.KILLING, State.UNKILLABLE):
        process.kill_group()  # before its task is released, and before the number can belong to others
    exit_ = process.reap()
    if exit_ == Exit():  # a stray while its pid was still to come
        exit_ = situation.strays_reaped.pop(process.pid, exit_)
    if exit_ is not None:
        conclude(situation, child, exit_)


def vanished(situation: Situation, child: Child, why: str) -> None:
    """Give up a worker that never came up."""
    child.cause = Cause.BOOT_FAILURE
    conclude(situation, child, Exit(), error=why)


def discard(situation: Situation, child: Child) -> None:
    """Clear away a worker whose end could not be accounted for; its tasks are found by maintenance, or by the lease."""
    if not child.is_alive:
        return
    if child.process is not None:
        child.process.send_signal(signal.SIGKILL)
    child.state = State.EXITED
    slot = situation.slots.slot_of(child)
    slot.backoff.failed(situation.clock.now())
    _release(situation, slot, child)


def conclude(situation: Situation, child: Child, exit_: Exit, error: str = "", pid: int | None = None) -> None:
    """Account for an ended worker: one log line, one report, one decision about its place.

    `pid`: of a worker that nobody here got hold of.
    """
    child.look()
    verdict = verdict_on(
        exit_,
        bye=child.draining_for if child.bye == "stopped" and child.draining_for else child.bye,  # TERM says no more
        cause=child.cause,
        has_booted=child.has_booted or bool(child.tasks),
        was_killed=bool(error) or (child.state in (State.KILLING, State.UNKILLABLE) and exit_.signal == signal.SIGKILL),
        oom=exit_.signal == signal.SIGKILL and situation.oom.explains_a_kill(),
    )
    slot = situation.slots.slot_of(child)
    child.enter(State.EXITED, situation.clock.now())
    slot.last_exit = verdict.label
    wait = _pace(situation, slot, child, verdict)
    text = f"pid {pid or child.pid} {_told(situation, child, verdict, error)}"
    _log(situation, child, exit_, verdict, text + (f"; next in {wait:.1f} s" if wait else ""))
    _count(situation, child, verdict)
    if not (verdict.is_planned and child.bye):
        situation.deaths.report(_death(child, verdict))
    _release(situation, slot, child)
    situation.tell_workers()


def _release(situation: Situation, slot: Slot, child: Child) -> None:
    """Give back what the supervisor held for a worker."""
    slot.remove(child)
    child.page.bury()
    situation.loop.forget(child.channel)
    child.channel.close()
    if child.process is not None:
        situation.loop.forget(child.process)
        child.process.close()
    os.close(child.dump)
    for index in (child.page_index, *child.place_indexes):
        situation.board.free(index)


def _death(child: Child, verdict: Verdict) -> dict[str, Any]:
    return {
        "worker": child.worker,
        "ending": verdict.ending,
        "reason": _reason(child, verdict),
        "running": [[task.task_id, task.token] for task in child.charged()],
        "finished": [[entry.task_id, entry.token, entry.duration] for entry in child.page.finished()],
    }


def _reason(child: Child, verdict: Verdict) -> str:
    if child.tasks and verdict.label == "exit_code":
        return f"{verdict.reason}: the worker exited during the task"
    return verdict.reason


def _pace(situation: Situation, slot: Slot, child: Child, verdict: Verdict) -> float:
    """Decide when the place is filled again; return the seconds until then."""
    now = situation.clock.now()
    lived = now - child.spawned_at
    has_progress = child.record.ended > 0 or lived >= situation.options.min_lifetime
    if lived >= STEADY_AFTER and (child.record.ended > 0 or child.record.counter >= GOOD_TURNS):
        slot.backoff.reset()
    slot.is_unplanned = not verdict.is_planned
    if situation.is_stopping or child in slot.leaving or verdict.label == Cause.KILLED:
        return 0.0
    if child.tasks and not verdict.is_planned:
        repeated = now - slot.crashed_in_task_at < REPEATED_WITHIN
        slot.crashed_in_task_at = now
        return slot.backoff.failed(now) if repeated else 0.0  # the crash counts for the task
    return 0.0 if has_progress else slot.backoff.failed(now)


def _count(situation: Situation, child: Child, verdict: Verdict) -> None:
    situation.totals.bury(child.record)
    situation.totals.exits[verdict.label] += 1
    situation.totals.past["cancelled"] += len(child.charged()) if verdict.label == "cancelled" else 0
    if verdict.label in RECYCLED:
        situation.totals.recycled[RECYCLED[verdict.label]] += 1
    elif not verdict.is_planned:
        situation.totals.past["crashed"] += 1
    for task in child.charged() if verdict.ending not in ("stopped", "lease_lost") else ():
        if task.state is WorkState.BUSY:
            situation.executions.add_death(task.task_name, OUTCOMES.get(verdict.label, "crashed"))


def _told(situation: Situation, child: Child, verdict: Verdict, error: str) -> str:
    text = "left: " if verdict.is_planned and child.bye else "died: "
    text += error or _reason(child, verdict)
    charged = child.charged() or child.tasks
    for task in charged[:MOST_NAMED]:
        ran = situation.clock.now() - situation.clock.at(task.started_at)
        text += f"; task {task.task_id} {task.task_name} ran {ran:.1f} s"
    others = len(child.tasks) - len(charged[:MOST_NAMED])
    return text + (f"; {others} more were running" if others else "")


def _log(situation: Situation, child: Child, exit_: Exit, verdict: Verdict, text: str) -> None:
    if child.error:
        text += _indented(child.error)
    if child.state is State.EXITED and (child.cause is not None or child.interruptions or exit_.signal in STACKS):
        text += _indented(child.dumped())
    level = logging.INFO if verdict.is_planned else logging.ERROR
    situation.say(child, text, "worker_exit", level)


def _indented(text: str) -> str:
    return "".join(f"\n    {line}" for line in text.rstrip().splitlines())
