"""The loop with several places: coroutines run side by side while it waits; what else there is runs alone."""

from __future__ import annotations

import time
from typing import Any

from bgtasks import output
from bgtasks.execution import Places, settles_each
from bgtasks.queue.types import Claim, Holder, Outcome, Result
from bgtasks.worker.loop import Worker
from bgtasks.worker.pace import SharingPace, is_coroutine
from bgtasks.worker.telling import INTERVAL, Telling


class SharingWorker(Worker):
    """Claims as many tasks as it has free places, and writes down what is over while the others go on.

    Whatever its loop does in between, a turn above all, holds all coroutines up for these milliseconds.
    """

    def __init__(self, holder: Holder, *, places: Places, **options: Any) -> None:
        super().__init__(holder, pace=SharingPace(most=places.count), **options)
        self.places = places
        self.is_closed = False
        """Nothing is started before all places are free: one task runs alone, or is to."""
        self.telling = Telling()
        places.is_leaving, places.tell = self.is_leaving, self.telling.note
        self.sleep, self.wait = self.wait, self.wait_and_collect

    def want(self) -> int:
        """Return how many tasks to claim: at most as many as there are free places."""
        if not self.places.taken:
            self.is_closed = False
        return 0 if self.is_closed else min(super().want(), self.places.free)

    def run_batch(self) -> None:
        """Start what was claimed, and let it run if there is no room for more."""
        super().run_batch()
        if self.places.taken and not (self.unstarted or self.unwritten or self.want()):
            self.let_run()

    def makes_way_for(self, claim: Claim) -> bool:
        """Begin nothing that cannot run beside what runs: give it back to others, and wait until nothing runs."""
        if self.places.taken and self.knows(claim) and (self.is_closed or not _can_share(claim)):
            self.is_closed = True
            self.pace.be_modest()
            self.give_back(self.unstarted.take_all(self.holder))
            return False
        return super().makes_way_for(claim)

    def begin(self, claim: Claim) -> None:
        """Give a coroutine a place; run anything else to its end."""
        if not is_coroutine(claim):
            super().begin(claim)
        elif self.starts(claim):
            self.limits.tasks += 1
            self.pace.shared()
            self.is_closed = not _can_share(claim)
            self.places.start(claim, self.sequence)
        else:
            self.unwritten.add(Outcome(claim, Result.RELEASED, 0.0))

    def wait_and_collect(self, seconds: float) -> object:
        """Wait, which is when coroutines run, and take over how some of them have ended."""
        woken = self.sleep(min(seconds, INTERVAL) if self.places.taken else seconds)
        self.telling.write_if_due()
        self.places.obey()
        for outcome in self.places.outcomes():
            self.leave_if_a_copy()
            self.observer.finished(outcome.claim, outcome)
            self.unwritten.add(outcome, is_urgent=settles_each(outcome.claim))
            if not self.places.taken:
                self.clean_up(outcome.claim)
        return woken

    def clean_up(self, last: Claim) -> None:
        """Put right what tasks have changed in the process: only while none runs, for it may want them so."""
        self.surroundings.environment.threads |= self.places.shared.threads
        if self.surroundings.put_right(last, self.observer):
            self.drain("damaged")

    def rest(self) -> None:
        """Wait for the next look at the queue; or for what runs, whichever comes first."""
        if not self.places.taken:
            self.places.shared.rest()
            super().rest()
        elif self.contact.failures:
            self.wait_for_the_database()
        else:
            self.let_run()

    def let_run(self) -> None:
        """Let what runs go on until this loop has something to do: to write, to claim, to leave."""
        self.observer.idle()
        output.flush_folded()
        self.resting.worked(self.sequence)
        look_at = time.monotonic() + self.resting.pause()
        while self.places.taken and not self.is_finished() and not self.unwritten.are_due:
            left = look_at - time.monotonic() if self.want() else self.poll_interval
            if left <= 0:
                return
            if self.wait(min(left, self.unwritten.due_in(), self.limits.remaining())) and self.want():
                self.resting.is_alert = True
                return
            self.observer.idle()

    def leave(self) -> None:
        """Wait for what runs, and write down what is over meanwhile; then leave as any worker does."""
        while self.places.taken:
            self.observer.idle()
            if self.contact.failures:
                self.wait_for_the_database()
            else:
                self.wait(min(self.unwritten.due_in(), self.poll_interval))
            if self.unstarted or self.unwritten.are_due:
                self.turn()
        super().leave()
        self.places.close()


def _can_share(claim: Claim) -> bool:
    """Say whether a task may run beside others: a coroutine that has not taken a worker down before."""
    return is_coroutine(claim) and not claim.crashes
