"""The one way to end a worker, whatever the reason: drain, interrupt, dump, kill; and what if even that fails."""

from __future__ import annotations

import logging
import signal

from bgtasksd.children.process import wait_channel
from bgtasksd.scoreboard import Record
from bgtasksd.scoreboard.board import empty
from bgtasksd.supervisor.child import REASONS, Cause, Child, Interruption
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.states import ENDING, State

DUMP_TIME = 0.5
"""Seconds from the order to dump the stacks to SIGKILL."""
UNKILLABLE_AFTER = 10.0
REMINDER = 60.0


def drain(situation: Situation, child: Child, why: str, *, within: float | None = None) -> None:
    """Have a worker finish the task at hand, take no other and leave; `within` is all the time that gets."""
    now = situation.clock.now()
    if within is not None:
        child.drain_deadline = now + within
    child.draining_for = child.draining_for or why
    if child.state in ENDING or child.state is State.SPAWNING:
        return  # a worker that has not yet said hello is told when it does
    if child.state not in (State.DRAINING, State.INTERRUPTING):
        child.enter(State.DRAINING, now)
    child.channel.send("drain", reason=why)
    assert child.process is not None
    child.process.send_signal(signal.SIGTERM)
    child.process.send_signal(signal.SIGCONT)  # a stopped process keeps TERM pending


def interrupt(situation: Situation, child: Child, cause: Cause, grace: float, sequence: int | None = None) -> None:
    """Interrupt a task of a worker, or all; after `grace` the worker is killed. What is just over stays as it is."""
    if child.state in ENDING or child.process is None:
        return
    child.look()  # once more right before acting
    for task in child.running().values():
        if sequence in (None, task.sequence) and task.sequence not in child.interruptions:
            _interrupt(situation, child, task, Interruption(cause, situation.clock.now(), grace))


def _interrupt(situation: Situation, child: Child, task: Record, interruption: Interruption) -> None:
    child.interruptions[task.sequence], child.grace = interruption, interruption.grace
    situation.given_back += interruption.cause is Cause.STOP
    if child.state is not State.INTERRUPTING:
        child.enter(State.INTERRUPTING, interruption.at)
    situation.say(child, f"task {task.task_id} {task.task_name} interrupted: {interruption.cause}", "interrupted")
    send_order(child, task.sequence, interruption.cause)


def send_order(child: Child, sequence: int, cause: Cause) -> None:
    """Write the order into the page and have the worker look at it."""
    assert child.process is not None
    child.page.give_order(sequence, REASONS[cause])
    child.process.send_signal(signal.SIGUSR1)
    child.process.send_signal(signal.SIGCONT)


def kill(situation: Situation, child: Child, cause: Cause) -> None:
    """Dump the stacks of a worker, then kill it and its group."""
    if child.state in ENDING:
        return
    if cause is Cause.STOP:
        told = [sequence for sequence, each in child.interruptions.items() if each.cause is cause]
        situation.given_back += sum(task.sequence not in told for task in child.tasks)
    child.cause = cause
    child.enter(State.KILLING, situation.clock.now())
    if child.process is None:
        return  # no pid: the line is cut, and what comes up finds nobody
    empty(child.dump)
    child.process.send_signal(signal.SIGUSR2)
    child.process.send_signal(signal.SIGCONT)


def kill_now(situation: Situation, child: Child, cause: Cause) -> None:
    """Kill without a dump."""
    kill(situation, child, cause)
    if child.state is State.KILLING:
        _strike(child)


def advance(situation: Situation, child: Child) -> None:
    """Take the next step of an escalation when it is due."""
    elapsed = situation.clock.now() - child.since
    if child.state is State.INTERRUPTING:
        _insist(situation, child)
    elif child.state is State.KILLING:
        if child.step == 0 and elapsed >= DUMP_TIME:
            _strike(child)
        elif elapsed >= UNKILLABLE_AFTER:
            _give_up(situation, child)
    elif child.state is State.UNKILLABLE and elapsed >= REMINDER * (child.step + 1):
        child.step += 1
        _remind(situation, child)


def _insist(situation: Situation, child: Child) -> None:
    """Tell tasks that do not end once more; kill the worker for one that has not ended in its time."""
    now = situation.clock.now()
    for sequence, each in child.interruptions.items():
        if now - each.at >= each.grace:
            kill(situation, child, each.cause)
            return
        if now - each.at >= each.grace / 2 and not each.is_repeated:
            each.is_repeated = True
            send_order(child, sequence, each.cause)  # one raised in a destructor or callback was swallowed by Python


def next_step_at(child: Child) -> float | None:
    """Return when `advance` has something to do."""
    if child.state is State.INTERRUPTING:
        return min((each.next_step_at for each in child.interruptions.values()), default=None)
    if child.state is State.KILLING:
        return child.since + (DUMP_TIME if child.step == 0 else UNKILLABLE_AFTER)
    return None


def _strike(child: Child) -> None:
    child.step = 1
    if child.process is not None:
        child.process.send_signal(signal.SIGKILL)
        child.process.kill_group()


def _give_up(situation: Situation, child: Child) -> None:
    """It survives SIGKILL: go on without it, and keep its task claimed."""
    child.enter(State.UNKILLABLE, situation.clock.now())
    slot = situation.slots.slot_of(child)
    if child is slot.child and len(situation.slots.children()) < 2 * situation.slots.target:
        slot.child = None
        slot.leaving.append(child)
        slot.is_unplanned = True
    _remind(situation, child)


def _remind(situation: Situation, child: Child) -> None:
    where = wait_channel(child.pid) if child.pid else "?"
    situation.say(child, f"pid {child.pid} survives SIGKILL, waiting in {where}", "unkillable", logging.ERROR)
