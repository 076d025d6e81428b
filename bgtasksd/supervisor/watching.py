"""The look at the scoreboard in every turn: what each worker does, and which of its deadlines have passed."""

from __future__ import annotations

from functools import partial

from bgtasksd.children.process import run_state
from bgtasksd.scoreboard import WorkState
from bgtasksd.supervisor import ending, exits
from bgtasksd.supervisor.child import Cause, Child
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.states import ENDING, WORKING, State

HELLO_TIMEOUT = 10.0
LOOK_AT_PROC = 5.0
STATES = {WorkState.IDLE: State.IDLE, WorkState.BUSY: State.BUSY, WorkState.FINISHING: State.FINISHING}


class Watching:
    """Reads every record, moves the states along, and hands what is overdue to `ending`."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.looked_at = 0.0

    def next_at(self) -> float | None:
        """Return the nearest deadline of any worker."""
        due = [at for child in self.situation.slots.children() if (at := self.deadline(child)) is not None]
        return min(due, default=None)

    def run(self) -> None:
        """Look at every worker."""
        now = self.situation.clock.now()
        for child in self.situation.slots.children():
            self.situation.loop.guard(partial(self.look_at, child, now), partial(exits.discard, self.situation, child))
        if now - self.looked_at >= LOOK_AT_PROC:
            self.looked_at = now
            self.notice_stopped()

    def look_at(self, child: Child, now: float) -> None:
        """Bring one worker's state up to date and end what is overdue."""
        if child.has_booted:
            self.note(child, now)
        at = self.deadline(child)
        if at is None or at > now:
            return
        step = ending.next_step_at(child)
        if (step is not None and step <= now) or child.state is State.UNKILLABLE:
            ending.advance(self.situation, child)
        else:
            self.end_overdue(child, now)

    def note_all(self) -> None:
        """Take the records over as they are, before a gap is left out: deadlines of tasks from before it move too."""
        now = self.situation.clock.now()
        for child in self.situation.slots.children():
            child.counter_moved_at = now
            if child.has_booted:
                self.note(child, now)

    def note(self, child: Child, now: float) -> None:
        """Take over what the worker's record says."""
        before = child.record
        child.look()
        record = child.record
        if record.counter != before.counter or record.sequence != before.sequence or record.state != before.state:
            child.counter_moved_at = now
        self.note_tasks(child)
        if child.state is State.INTERRUPTING and not child.interruptions:
            if child.drain_deadline is not None:  # it gets a moment to write the outcome and to leave
                child.drain_deadline = max(child.drain_deadline, now + child.grace)
            child.enter(State.DRAINING if child.draining_for else STATES.get(record.state, State.IDLE), now)
        elif child.state in WORKING and (state := STATES.get(record.state, child.state)) is not child.state:
            child.enter(state, now)

    def note_tasks(self, child: Child) -> None:
        """Keep the time limits of what runs, each as it was at the first sight, and forget what is over."""
        clock, running, known = self.situation.clock, child.running(), child.task_deadlines
        child.task_deadlines = {
            sequence: known.get(sequence) or clock.at(task.deadline)
            for sequence, task in running.items()
            if task.deadline
        }
        if child.state is State.INTERRUPTING:
            child.interruptions = {
                sequence: each for sequence, each in child.interruptions.items() if sequence in running
            }

    def deadline(self, child: Child) -> float | None:
        """Return when something is to be done about a worker."""
        if child.state is State.SPAWNING:
            return child.since + HELLO_TIMEOUT
        if child.state in (State.BOOTING, State.DRAINING) and not child.has_booted:
            return _least(child.since + self.situation.options.boot_timeout, child.drain_deadline)
        if child.state is State.UNKILLABLE:
            return child.since + ending.REMINDER * (child.step + 1)
        step = ending.next_step_at(child)
        if child.state in ENDING:
            return step
        if child.record.state is WorkState.BUSY:
            untold = child.running().keys() - child.interruptions.keys()
            limits = [at for sequence, at in child.task_deadlines.items() if sequence in untold]
            return _least(step, *limits, child.drain_deadline if untold else None)
        return _least(self.idle_deadline(child), child.drain_deadline)

    def idle_deadline(self, child: Child) -> float | None:
        """Return when a loop that does not move counts as stuck; never while the database is away."""
        if self.situation.database.is_reachable is False or not child.has_booted:
            return None
        options = self.situation.options
        return child.counter_moved_at + max(options.idle_timeout, 4 * options.sleep)

    def end_overdue(self, child: Child, now: float) -> None:
        """Act on a deadline that has passed."""
        situation, grace = self.situation, self.situation.options.kill_grace
        if child.drain_deadline is not None and now >= child.drain_deadline and child.process is not None:
            if child.record.state is WorkState.BUSY:
                ending.interrupt(situation, child, Cause.STOP, grace)
            else:
                ending.kill(situation, child, Cause.STOP)
        elif child.process is None:
            exits.vanished(situation, child, f"no hello within {HELLO_TIMEOUT:g} s")
        elif not child.has_booted:
            situation.warn(child, f"pid {child.pid} did not boot in time", "boot_timeout")
            ending.kill(situation, child, Cause.BOOT_FAILURE)
        elif child.record.state is WorkState.BUSY:
            for sequence, at in child.task_deadlines.items():
                if at <= now:
                    ending.interrupt(situation, child, Cause.TIME_LIMIT, grace, sequence)
        else:
            ending.drain(situation, child, "stuck")
            ending.kill(situation, child, Cause.STUCK)

    def notice_stopped(self) -> None:
        """Say which workers somebody has stopped with a signal: they hold their tasks and do nothing."""
        for child in self.situation.slots.children():
            is_stopped = child.pid is not None and run_state(child.pid) in ("T", "t")
            if is_stopped and not child.was_stopped:
                self.situation.warn(child, f"pid {child.pid} is stopped (SIGSTOP)", "stopped")
            child.was_stopped = is_stopped


def _least(*moments: float | None) -> float | None:
    return min((at for at in moments if at is not None), default=None)
