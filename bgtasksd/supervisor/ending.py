"""The one way to end a worker, whatever the reason: drain, interrupt, dump, kill; and what if even that fails."""

from __future__ import annotations

import logging
import os
import signal

from bgtasksd.children.process import wait_channel
from bgtasksd.scoreboard import WorkState
from bgtasksd.supervisor.child import REASONS, Cause, Child
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


def interrupt(situation: Situation, child: Child, cause: Cause, grace: float) -> None:
    """Interrupt the task of a worker; after `grace` the worker is killed. Nothing happens if the task is just over."""
    if child.state in ENDING or child.state is State.INTERRUPTING:
        return
    child.record = child.page.read()  # once more right before acting
    if child.record.state is not WorkState.BUSY or child.process is None:
        return
    child.cause, child.grace = cause, grace
    situation.given_back += cause is Cause.STOP
    child.interrupted_sequence = child.record.sequence
    child.enter(State.INTERRUPTING, situation.clock.now())
    situation.say(child, f"task {child.record.task_id} {child.record.task_name} interrupted: {cause}", "interrupted")
    send_order(child)


def send_order(child: Child) -> None:
    """Write the order into the page and have the worker look at it."""
    assert child.cause is not None
    assert child.process is not None
    child.page.give_order(child.interrupted_sequence, REASONS[child.cause])
    child.process.send_signal(signal.SIGUSR1)
    child.process.send_signal(signal.SIGCONT)


def kill(situation: Situation, child: Child, cause: Cause) -> None:
    """Dump the stacks of a worker, then kill it and its group."""
    if child.state in ENDING:
        return
    situation.given_back += cause is Cause.STOP and child.cause is not Cause.STOP and child.record.has_task
    child.cause = cause
    child.enter(State.KILLING, situation.clock.now())
    if child.process is None:
        return  # no pid: the line is cut, and what comes up finds nobody
    os.ftruncate(child.dump, 0)
    os.lseek(child.dump, 0, os.SEEK_SET)
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
        if elapsed >= child.grace:
            assert child.cause is not None
            kill(situation, child, child.cause)
        elif elapsed >= child.grace / 2 and child.step == 0:
            child.step = 1
            send_order(child)  # one raised in a destructor or callback was swallowed by Python
    elif child.state is State.KILLING:
        if child.step == 0 and elapsed >= DUMP_TIME:
            _strike(child)
        elif elapsed >= UNKILLABLE_AFTER:
            _give_up(situation, child)
    elif child.state is State.UNKILLABLE and elapsed >= REMINDER * (child.step + 1):
        child.step += 1
        _remind(situation, child)


def next_step_at(child: Child) -> float | None:
    """Return when `advance` has something to do."""
    if child.state is State.INTERRUPTING:
        return child.since + (child.grace / 2 if child.step == 0 else child.grace)
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
    if child is slot.child and len(situation.slots.children()) < 2 * len(situation.slots):
        slot.child = None
        slot.leaving.append(child)
        slot.is_unplanned = True
    _remind(situation, child)


def _remind(situation: Situation, child: Child) -> None:
    where = wait_channel(child.pid) if child.pid else "?"
    situation.say(child, f"pid {child.pid} survives SIGKILL, waiting in {where}", "unkillable", logging.ERROR)
