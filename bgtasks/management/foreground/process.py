"""The worker, its maintenance, its time limits and its signals, put together in one process and one thread."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

from django.db import Error

from bgtasks import conf
from bgtasks.exceptions import TaskInterrupted
from bgtasks.execution import Places, close_connections, leaving_transactions_alone
from bgtasks.identity import worker_name
from bgtasks.limits import Limits
from bgtasks.maintenance import Maintenance, Report
from bgtasks.maintenance.cancels import INTERVAL, Cancels
from bgtasks.management.foreground.bell import Bell
from bgtasks.management.foreground.deadline import Deadline, lease_for
from bgtasks.management.foreground.deadlines import Deadlines
from bgtasks.management.foreground.ears import Ears
from bgtasks.management.foreground.scribe import Scribe
from bgtasks.queue import claims
from bgtasks.queue.types import Claim, Holder, Outcome
from bgtasks.waking import READY, SCHEDULED
from bgtasks.worker import Observer, Pace, SharingWorker, Worker

logger = logging.getLogger("bgtasks.worker")

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGTSTP, signal.SIGHUP)
"""Finish the task at hand and leave; the second one interrupts it, and it goes back to its queue."""
IGNORED = (signal.SIGUSR1, signal.SIGUSR2)
"""A no-op handler, not SIG_IGN: that would be inherited by what tasks start."""


MOMENT, MOST = 0.02, 20
"""Seconds of work, and tasks, to claim at once: nobody gives back what waits here if a task turns out slow."""
SHORTEST_POLL = 0.05
"""Seconds: `--sleep 0` is not meant to burn a processor."""


class Foreground(Observer):
    """One worker that looks after itself. While a task runs nothing else does: maintenance comes between tasks.

    With several places it comes whenever the coroutines wait.
    """

    def __init__(
        self, *, queues: tuple[str, ...] | None, poll_interval: float, limits: Limits, concurrency: int = 1
    ) -> None:
        settings = conf.current()
        name = worker_name(socket.gethostname(), "process_tasks", 1)
        grace = settings.kill_grace if concurrency == 1 else 2 * settings.kill_grace
        lease = lease_for(settings.max_run_time or None, grace)
        poll_interval = max(SHORTEST_POLL, poll_interval)
        self.bell = Bell()
        self.ears = Ears()
        self.scribe = Scribe()
        self.maintenance = Maintenance(
            lambda: [name], lease=settings.lease, renewal=lease, poll_interval=max(1.0, poll_interval)
        )
        holder = Holder(name, lease=lease, queues=queues)
        parts: dict[str, Any] = {
            "limits": limits, "observer": self, "wait": self.wait, "poll_interval": poll_interval
        }  # fmt: skip
        self.executing = 0
        """How many tasks run."""
        self.deadline = Deadline(name, lease, grace)
        if concurrency == 1:
            self.worker = Worker(holder, pace=Pace(MOMENT, MOST), **parts)
        else:
            self.share(holder, Places(concurrency), parts)
        self.handlers_before: dict[int, Any] = {}
        self.listen()

    def share(self, holder: Holder, places: Places, parts: dict[str, Any]) -> None:
        """Run coroutines side by side: each has a time limit and can be cancelled, and the loop turns while we wait."""
        self.worker = SharingWorker(holder, places=places, **parts)
        self.deadline = Deadlines(holder.name, holder.lease, self.deadline.kill_grace, places.interrupt)
        self.bell.select, places.on_end = places.select, self.bell.ring
        cancels = Cancels(lambda: [holder.name], lambda: bool(self.executing))
        self.maintenance.also(cancels.run, INTERVAL)

    def run(self) -> str:
        """Run tasks until there is a reason to leave; return it. Signal handlers are as before afterwards."""
        try:
            with leaving_transactions_alone():
                reason = self.worker.run()
                if reason == "duration":
                    self.reclaim_before_leaving()
            return reason
        finally:
            self.deadline.close()
            for number, handler in self.handlers_before.items():
                signal.signal(number, handler)
            self.bell.close()
            self.ears.close()

    def drain(self, reason: str = "stopped") -> None:
        """Finish the task at hand and leave; an idle worker leaves at once. Also for other threads."""
        self.worker.drain(reason)
        self.bell.ring()

    def reclaim_before_leaving(self) -> None:
        """Stay a little if tasks of a host that went silent are to be taken back: that takes a lease of contact.

        Where cron starts all there is, no process would ever have been there for so long.
        """
        at_most = 2 * self.maintenance.contact.lease
        deadline, is_told = time.monotonic() + at_most, False
        try:
            while not self.worker.asked_to_leave and time.monotonic() < deadline and claims.has_expired():
                if not is_told:
                    logger.info("staying for at most %.0f s, to take back tasks of workers that went silent", at_most)
                is_told = True
                self.maintenance.run_due()
                self.bell.sleep(min(1.0, self.maintenance.seconds_until_next()))
        except Error as error:
            logger.warning("database=%s tasks of workers that went silent were left: %s", claims.alias(), error)
        close_connections()

    # Signals

    def listen(self) -> None:
        """Install the handlers, where this thread may."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in STOPPING:
            self.handlers_before[number] = signal.signal(number, self.on_stop)
        for number in IGNORED:
            self.handlers_before[number] = signal.signal(number, _do_nothing)

    def on_stop(self, number: int, frame: object) -> None:
        if not self.worker.asked_to_leave:
            self.worker.drain("stopped")
            if self.executing:
                _write(b"bgtasks: finishing the running task; once more to interrupt it and give it back\n")
        else:
            self.worker.give_up()
            self.deadline.sequence = self.worker.sequence
            self.deadline.interrupt_now(TaskInterrupted)

    # What the worker tells

    def turned(self, want: int) -> None:
        self.look_after()
        if want:
            self.deadline.before_claim()

    def claimed(self, claims: Sequence[Claim]) -> None:
        self.deadline.after_claim()

    def started(self, claim: Claim, sequence: int) -> None:
        self.executing += 1
        self.deadline.start(claim, sequence)

    def progressed(self, claim: Claim, text: str) -> None:
        self.scribe.note(claim, text)

    def finished(self, claim: Claim, outcome: Outcome) -> None:
        self.deadline.finish(claim)
        self.scribe.rest()
        self.executing -= 1

    def idle(self) -> None:
        self.deadline.rest()

    def look_after(self) -> Report:
        """Do what maintenance is due; a running task that is to be cancelled is told."""
        report = self.maintenance.run_due()
        is_cancelled = bool(report.cancel_requested) and self.deadline.cancel(report.cancel_requested)
        if self.deadline.look() or is_cancelled:
            self.bell.ring()
        return report

    def wait(self, seconds: float) -> bool:
        """Do what maintenance is due, and otherwise sleep; come back early for a signal, or for new work: then true."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.look_after().has_made_ready:
                return True
            if self.ears.open_if_due(is_database_up=not self.maintenance.failures):
                return True
            left = min(left, self.maintenance.seconds_until_next(), self.ears.seconds_until_next())
            has_rung = self.bell.sleep(left, self.ears.descriptors())
            if self.hears_of_work():
                return True
            if has_rung and self.bell.was_rung:
                return False
        return False

    def hears_of_work(self) -> bool:
        """Take in what others have told; say whether there may be something to claim."""
        notices = self.ears.heard()
        for notice in notices:
            if notice.kind == SCHEDULED:
                self.maintenance.expect(notice.seconds)
        return any(notice.kind == READY for notice in notices)


def _write(text: bytes) -> None:
    """Write to stderr from a signal handler: no lock, no buffer."""
    with contextlib.suppress(OSError):
        os.write(2, text)


def _do_nothing(number: int, frame: object) -> None:
    """Handle a signal."""
