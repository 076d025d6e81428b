"""The loop: turn, execute, rest, leave. One task at a time, one thread, and an end only between two tasks."""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Callable, Sequence

from bgtasks import output, registry
from bgtasks.execution import EXIT_OF_A_COPY, close_connections, execute, settles_each
from bgtasks.forks import shielding_children
from bgtasks.limits import Limits
from bgtasks.queue import claims
from bgtasks.queue.types import Claim, Holder, Outcome, Result, Turn
from bgtasks.worker.announcing import announce_outcome, announce_start, announce_the_dead
from bgtasks.worker.batch import Unstarted, Unwritten
from bgtasks.worker.contact import Contact
from bgtasks.worker.observer import Observer
from bgtasks.worker.pace import Pace
from bgtasks.worker.refusals import is_refusal, write_singly
from bgtasks.worker.registration import knowing, process_of
from bgtasks.worker.reporting import report_outcome
from bgtasks.worker.resting import Resting, pause_after, rest_connections
from bgtasks.worker.surroundings import Surroundings

logger = logging.getLogger("bgtasks.worker")

SEQUENCES = itertools.count(1)
"""Never used twice in a process: by them a task is interrupted, and a late interrupt is void."""


class Worker:
    """Runs tasks until it is told to drain or has done enough."""

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        holder: Holder,
        *,
        limits: Limits | None = None,
        observer: Observer | None = None,
        wait: Callable[[float], object] = time.sleep,
        poll_interval: float = 5.0,
        sharers: int = 1,
        pace: Pace | None = None,
    ) -> None:
        self.holder = holder
        self.limits = limits or Limits()
        self.observer = observer or Observer()
        self.wait = wait
        """Sleeps at most that many seconds; returns early when woken, which is true, or signalled."""
        self.poll_interval = poll_interval
        self.resting = Resting(poll_interval, sharers)
        self.pace = pace or Pace()
        self.unstarted = Unstarted()
        self.unwritten = Unwritten()
        self.sequence = 0
        """The number of the task at hand, by which it can be interrupted."""
        self.asked_to_leave = ""
        self.limit_reached = ""
        self.gives_up = False
        self.contact = Contact(holder.name)
        self.is_registered = False
        self.announced_at = 0.0
        self.surroundings: Surroundings

    def run(self) -> str:
        """Claim, execute, settle; until told to drain or a limit is reached. Return why it left."""
        claims.bound.listen()
        self.surroundings = Surroundings(self.observer.descriptors)
        with shielding_children(self.surroundings.environment.handlers):
            while not self.is_finished():
                if self.turn():  # settles what is done and claims what is next
                    self.run_batch()
                else:
                    self.rest()
            self.leave()  # settles the rest, gives back what was not started
        claims.bound.close()
        return self.asked_to_leave or self.limit_reached

    def drain(self, reason: str = "stopped") -> None:
        """Finish the task at hand and leave. Safe in a signal handler: it only sets an attribute."""
        self.asked_to_leave = self.asked_to_leave or reason

    def is_leaving(self) -> bool:
        """Say whether it was told to leave."""
        return bool(self.asked_to_leave)

    def give_up(self) -> None:
        """Leave even if an outcome could not be written: its task will run again when its lease ends."""
        self.gives_up = True

    def is_finished(self) -> bool:
        """Say whether there is a reason to leave. What `drain` sets meanwhile is never overwritten."""
        if not self.asked_to_leave and not self.limit_reached:
            self.limit_reached = self.limits.reached()
        return bool(self.asked_to_leave or self.limit_reached)

    def may_start(self) -> bool:
        """Say whether another task is to be started."""
        return not self.is_finished() and not self.limits.are_held()

    def turn(self) -> bool:
        """Settle and claim in one transaction; say whether there is something to run.

        If the database refuses, all is kept for the next turn.
        """
        self.leave_if_a_copy()
        want = self.want()
        self.observer.turned(want)
        try:
            with claims.bound:
                self.register()
                if not self.may_start():
                    self.give_back(self.unstarted.take_all(self.holder))
                turn = claims.turn(self.unwritten.outcomes, want, self.holder)
        except Exception as error:  # noqa: BLE001 - whatever it is, outcomes are kept and the worker lives
            return self.turn_was_refused(error)
        self.contact.succeeded()
        settled = self.unwritten.take()
        if want:
            self.pace.claimed(len(turn.claims))
        self.conclude(settled, turn)
        if len(turn.claims) == want > 0:
            self.observer.more_ready()
        return self.can_start()

    def can_start(self) -> bool:
        """Say whether there are claims to start that are ours beyond doubt. The start follows at once.

        If a turn came between, a database that takes half a second for it would bring no task to its start.
        """
        try:
            if self.unstarted and not self.unstarted.are_certain:
                with claims.bound:
                    self.unstarted.make_certain(self.holder)
        except Exception as error:  # noqa: BLE001 - the worker lives, and tries again
            self.contact.failed(error)
            return False
        return bool(self.unstarted)

    def want(self) -> int:
        """Return how many tasks to claim: none as long as there are some that were not started."""
        if self.unstarted or not self.may_start():
            return 0
        return min(self.pace.want(), self.limits.tasks_left())

    def conclude(self, settled: list[Outcome], turn: Turn) -> None:
        """Tell what a turn has settled, and take over what it has claimed."""
        self.unstarted.add(turn.claims)
        self.observer.settled(settled)
        self.observer.claimed(turn.claims)
        for outcome in settled:
            report_outcome(outcome, turn, self.holder.name)
            if announce_outcome(outcome, turn):
                self.observer.idle()  # receivers take their time, and the loop moves

    def turn_was_refused(self, error: Exception) -> bool:
        """Wait for a database that is away. If it refuses what was to be written, write that one by one, and go on."""
        if not self.unwritten or not is_refusal(error):
            self.contact.failed(error)
            return False
        logger.warning(
            "database=%s refused a turn, its outcomes are written one by one: %s: %s",
            claims.alias(), type(error).__name__, error,
            extra={"event": "turn_refused", "worker": self.holder.name},
        )  # fmt: skip
        with claims.bound:
            written = write_singly(self.unwritten.outcomes, self.holder)
        self.unwritten.keep(written.left)
        self.conclude(written.settled, written.turn)
        if written.error is not None:
            self.contact.failed(written.error)
            return False
        return self.can_start() if self.unstarted else self.turn()

    def run_batch(self) -> None:
        """Run what was claimed, until it is time to write down what is over."""
        while self.unstarted and self.may_start() and self.makes_way_for(self.unstarted.first):
            self.begin(self.unstarted.take_first())

    def makes_way_for(self, claim: Claim) -> bool:
        """Keep nothing waiting behind a task that may be slow; say whether it may start before the next turn."""
        is_alone = self.pace.wants_alone(claim)
        if is_alone and len(self.unstarted) > 1:
            self.pace.be_modest()
            self.give_back(self.unstarted.take_rest())
        return not (self.unwritten.are_due or (is_alone and self.unwritten)) and self.unstarted.are_certain

    def begin(self, claim: Claim) -> None:
        """Run one claimed task to its end."""
        self.unwritten.add(self.execute(claim), is_urgent=settles_each(claim))

    def give_back(self, rest: Sequence[Claim]) -> None:
        """Let the next turn put claims that were not started back into their queues."""
        for claim in rest:
            self.unwritten.add(Outcome(claim, Result.RELEASED, 0.0))

    def execute(self, claim: Claim) -> Outcome:
        """Run one claimed task, and clean up behind it. One that cannot be run here goes back untouched."""
        if not self.starts(claim):
            return Outcome(claim, Result.RELEASED, 0.0)
        outcome = execute(claim, self.sequence, is_leaving=self.is_leaving, tell=self.observer.progressed)
        self.observer.finished(claim, outcome)
        self.pace.note(claim, outcome.duration)
        self.limits.tasks += 1
        self.leave_if_a_copy()
        if self.surroundings.put_right(claim, self.observer):
            self.drain("damaged")
        return outcome

    def starts(self, claim: Claim) -> bool:
        """Tell that a task is about to run, unless it is not to be run here."""
        self.sequence = next(SEQUENCES)  # before the look at `is_finished`: what follows a drain names this task
        if not self.may_start() or claim.is_unwanted or not self.knows(claim):
            return False
        self.observer.started(claim, self.sequence)
        announce_start(claim)
        return True

    def knows(self, claim: Claim) -> bool:
        """Say whether the task's function is here; if not, never claim that name again."""
        if registry.known(claim) is not None:
            return True
        if claim.task_name not in self.holder.unknown:
            self.holder = knowing(self.holder, claim)
        return False

    def leave_if_a_copy(self) -> None:
        """End a process that a task has forked: there is one worker, and it is not the copy."""
        if self.surroundings.environment.is_a_copy():
            os._exit(EXIT_OF_A_COPY)

    def rest(self) -> None:
        """Wait for the next look at the queue, or for the database to come back."""
        self.observer.idle()
        output.flush_folded()
        rest_connections()
        if not self.contact.failures and time.monotonic() - self.announced_at >= self.poll_interval:
            self.announced_at = time.monotonic()
            announce_the_dead()
        if self.contact.failures:
            self.wait_for_the_database()
            return
        self.resting.worked(self.sequence)
        for seconds in self.resting.pieces(self.resting.pause()):
            if self.is_finished():
                return
            if self.wait(min(seconds, self.limits.remaining())):
                self.resting.is_alert = True
                return
            self.observer.idle()

    def wait_for_the_database(self) -> None:
        """Wait for the next try. New tasks do not shorten that: where others can connect, we may be one too many."""
        until = time.monotonic() + pause_after(self.contact.failures)
        while (left := until - time.monotonic()) > 0 and not (self.is_finished() and self.gives_up):
            if not self.wait(min(left, self.limits.remaining())):
                return

    def register(self) -> None:
        """Tell the others of this worker, once."""
        if not self.is_registered:
            if self.contact.failures:  # the row may have been written by a try that nobody confirmed
                claims.forget(self.holder.name)
            claims.register(process_of(self.holder))
            self.is_registered = True

    def leave(self) -> None:
        """Settle the rest, and forget this worker."""
        self.settle_the_rest()
        try:
            with claims.bound:
                claims.forget(self.holder.name)
        except Exception as error:  # noqa: BLE001 - the row is found and removed by the next maintenance
            logger.debug("worker=%s its row stays: %s", self.holder.name, error)
        output.flush_folded(now=True)
        close_connections()

    def settle_the_rest(self) -> None:
        """Try until every outcome is written or somebody is impatient; look once for a claim that nobody confirmed."""
        is_in_doubt = self.contact.failures > 0
        while self.unwritten or self.unstarted or is_in_doubt:
            is_in_doubt = False
            self.turn()  # which gives back what it finds
            if self.contact.failures and (self.gives_up or not (self.unwritten or self.unstarted)):
                return
            if self.contact.failures:
                self.observer.idle()
                self.wait_for_the_database()
