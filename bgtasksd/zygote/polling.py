"""The polling loop of `bgtasks` in a slot: its limits ask before leaving, its observer writes the page."""

from __future__ import annotations

from typing import Any

from bgtasks import exceptions, execution, waking
from bgtasks.limits import Limits
from bgtasks.queue.types import Holder
from bgtasks.worker import SharingWorker, Worker
from bgtasksd.options import Options
from bgtasksd.scoreboard import Reason
from bgtasksd.zygote.birth import Birth
from bgtasksd.zygote.line import Line
from bgtasksd.zygote.observer import SlotObserver
from bgtasksd.zygote.places_observer import PlacesObserver

INTERRUPTIONS: dict[Reason, type[exceptions.TaskInterruption]] = {
    Reason.TIME_LIMIT: exceptions.TaskTimeout,
    Reason.STOP: exceptions.TaskInterrupted,
    Reason.CANCELLED: exceptions.TaskCancelled,
    Reason.CLAIM_LOST: exceptions.ClaimLost,
}


SELDOM = 3
"""Intervals between two looks of this host's workers by themselves: maintenance looks in each for all of them."""


class GatedLimits(Limits):
    """Limits that ask before the worker leaves, so that never all workers leave at once."""

    line: Line
    asked = ""

    def reached(self) -> str:
        """Return the limit once the supervisor lets this worker go. A count is obeyed at once: no further task."""
        reason = super().reached()
        if reason == "max_tasks":
            return reason
        if reason := reason or self.line.wish:
            self.ask(reason)
        return self.line.granted

    def ask(self, reason: str) -> None:
        """Tell the supervisor that this worker has reached a limit; once."""
        if not self.asked:
            self.asked = reason
            self.line.send("limit", reason=reason)

    def are_held(self) -> bool:
        """Say whether the supervisor wants no further task to be started: one word of the page, 0.1 µs."""
        return self.line.page.is_held

    def remaining(self) -> float:
        """Return the seconds until time alone reaches a limit; once asked for, the answer wakes the worker."""
        return float("inf") if self.asked else super().remaining()


class Polling:
    """The loop of `bgtasks`, and the wait for the leave of a worker that has done its count."""

    def __init__(self, worker: Worker, limits: GatedLimits, line: Line) -> None:
        self.worker = worker
        self.limits = limits
        self.line = line

    def run(self) -> str:
        """Run tasks until told to leave; return why."""
        reason = self.worker.run()
        if reason == "max_tasks":
            self.limits.ask(reason)
            while not self.line.granted and not self.line.drain_reason:
                self.line.wait(1.0)
                self.worker.observer.turned(0)
        return reason


def make_polling(birth: Birth, options: Options, line: Line) -> Polling:
    """Return the loop for this slot."""
    wanted = GatedLimits(options.max_age, options.max_tasks, options.max_memory)
    limits = wanted.drawn(slot=(birth.slot - 1) % birth.workers, of=birth.workers)
    assert isinstance(limits, GatedLimits)
    limits.line = line
    worker = _make_worker(birth, options, line, limits)
    waking.look_in(options.runtime_dir)
    line.on_drain = worker.drain
    if line.drain_reason:
        worker.drain(line.drain_reason)
    return Polling(worker, limits, line)


def _make_worker(birth: Birth, options: Options, line: Line, limits: Limits) -> Worker:
    """Return the worker, with several places if coroutines may run side by side; orders reach its tasks."""
    holder = Holder(name=birth.worker, lease=options.lease, queues=birth.queues)
    common: dict[str, Any] = {
        "limits": limits,
        "wait": line.wait,
        "poll_interval": options.sleep,
        "sharers": SELDOM * birth.sharers,
    }
    if birth.concurrency == 1:
        line.on_order = lambda sequence, reason: execution.interrupt(sequence, INTERRUPTIONS[reason])
        return Worker(holder, observer=SlotObserver(line, options.max_run_time), **common)
    places = execution.Places(birth.concurrency)
    line.select = places.select
    line.on_order = lambda sequence, reason: places.interrupt(sequence, INTERRUPTIONS[reason])
    return SharingWorker(holder, places=places, observer=PlacesObserver(line, options.max_run_time), **common)
