"""Which duty is due when, in which order, and what to do when the database is away. Runs no code of the application."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DataError, Error, IntegrityError

from bgtasks.execution import close_connections
from bgtasks.maintenance.burial import Burial
from bgtasks.maintenance.contact import Contact
from bgtasks.maintenance.latecomers import FIRST_LOOK, Latecomers
from bgtasks.maintenance.old_history import INTERVAL, OldHistory
from bgtasks.maintenance.report import Report
from bgtasks.queue import claims
from bgtasks.queue.types import Death, Ending, Release

logger = logging.getLogger("bgtasks.maintenance")

QUEUES_INTERVAL = 60.0
BURY_INTERVAL = 10.0
SAMPLE_INTERVAL = 5.0
IDLE_SAMPLE_INTERVAL = 30.0
"""Seconds between two samples while nothing is ready; a look that finds something makes the next one due."""
CROWDED = 0.01
"""Seconds until the next look for due tasks when there are more of them, or another host is at it."""
REFUSALS = (DataError, IntegrityError)
"""What a database says that is there, of the rows alone: another duty may do better."""
AGAIN = 10.0
"""Seconds until a duty that failed is tried again, at the latest."""
LONGEST_PAUSE = 5.0
"""Seconds between two tries to reach a database that is away."""


@dataclass
class Duty:
    """One thing to do every so often."""

    run: Callable[[Report], float | None]
    """Does it, and returns the seconds until it is to be done again if these are not the interval."""
    interval: float
    due_at: float = 0.0


class Maintenance:
    """The duties of one host, or of one stand-alone worker."""

    is_due_expected = False
    """Something is due by the time of the next look: then it is made ready first, and looked for afterwards."""

    def __init__(
        self,
        holders: Callable[[], Sequence[str]],
        *,
        lease: float,
        renewal: float | None = None,
        poll_interval: float = 5.0,
        burial: Burial | None = None,
        sample: Callable[[], list[dict[str, Any]]] | None = None,
    ) -> None:
        self.holders = holders
        """The living workers whose leases are ours to renew."""
        self.renewal = renewal or lease
        """How long a renewed claim lasts; it is a lease unless nobody renews it while the task runs."""
        self.contact, self.burial = Contact(lease), burial or Burial()
        self.sample = sample
        self.deaths: list[Death] = []
        self.latecomers = Latecomers(lease / 3)
        self.old_history = OldHistory()
        self.failures, self.retry_at = 0, 0.0
        self.renewed_at: float | None = None
        """Monotonic; None: never."""
        self.looking_again = Duty(self.look_again, BURY_INTERVAL, due_at=float("inf"))
        self.staging = Duty(self.stage, poll_interval)
        self.sampling = Duty(self.take_sample, SAMPLE_INTERVAL)
        self.duties = [
            Duty(self.renew, lease / 3),
            Duty(self.release, float("inf")),
            self.staging,
            Duty(self.reclaim, lease / 3),
            Duty(self.bury, BURY_INTERVAL),
            self.looking_again,
            Duty(self.old_history.prune, INTERVAL),
            Duty(self.give_rows_to_queues, QUEUES_INTERVAL),
        ]
        if sample is not None:
            self.duties.append(self.sampling)

    def run_due(self, now: float | None = None) -> Report:
        """Do what is due, in order. With the database away nothing is lost: it is all due again a little later."""
        now = time.monotonic() if now is None else now
        report = Report(is_database_up=self.failures == 0)
        if now < self.retry_at:
            return report
        with claims.bound:
            for duty in self.duties:
                if duty.due_at <= now and not self._do(duty, now, report):
                    break
        return report

    def seconds_until_next(self, now: float | None = None) -> float:
        """Return how long nothing is due."""
        now = time.monotonic() if now is None else now
        return max(0.0, self.retry_at - now, min(duty.due_at for duty in self.duties) - now)

    def also(self, run: Callable[[Report], float | None], interval: float) -> None:
        """Take on one more duty."""
        self.duties.append(Duty(run, interval))

    def expect(self, seconds: float) -> None:
        """Look for due tasks in so many seconds at the latest: somebody has scheduled one."""
        due_at = time.monotonic() + seconds
        if due_at < self.staging.due_at:
            self.staging.due_at, self.is_due_expected = due_at, True

    def report_death(self, death: Death) -> None:
        """Remember a worker confirmed dead, to be accounted for in the next round, or in the first that succeeds."""
        self.deaths.append(death)
        self.duties[1].due_at = 0.0

    def _do(self, duty: Duty, now: float, report: Report) -> bool:
        """Do one duty; return False if the database is away."""
        try:
            seconds = duty.run(report)
        except Exception as error:
            if isinstance(error, Error) and not isinstance(error, REFUSALS):
                self._note_failure(error, now, report)
                return False
            logger.exception("duty=%s failed; the others go on", duty.run.__name__)
            seconds = min(duty.interval, AGAIN)
        else:
            self._note_success(report)
        wait = duty.interval * random.uniform(0.9, 1.0) if seconds is None else seconds  # noqa: S311 - no secret
        duty.due_at = now + wait
        return True

    def _note_failure(self, error: Error, now: float, report: Report) -> None:
        self.contact.lost()
        self.failures += 1
        pause = min(LONGEST_PAUSE, 0.1 * 2.0 ** min(self.failures - 1, 10))
        self.retry_at = now + pause * random.uniform(0.8, 1.0)  # noqa: S311 - no secret
        report.is_database_up, report.error = False, f"{type(error).__name__}: {error}".strip()
        report.are_tables_missing = claims.are_missing(error)
        if self.failures == 1:
            logger.info("database=%s maintenance waits for it: %s", claims.alias(), report.error)
        close_connections(claims.alias())

    def _note_success(self, report: Report) -> None:
        report.is_database_up = True
        self.failures = 0

    # The duties, in their order

    def renew(self, report: Report) -> None:
        """Renew the leases of our living workers; this is also the write that contact is measured by."""
        report.renewal = claims.renew(self.holders(), self.renewal)
        report.cancel_requested += report.renewal.cancel_requested
        self.renewed_at = time.monotonic()
        self.contact.succeeded(self.renewed_at, report.renewal.now.timestamp())

    def release(self, report: Report) -> None:
        """Account for the workers reported dead."""
        while self.deaths:
            death = self.deaths[0]
            try:
                self._release(death, report)
            except REFUSALS:
                self.deaths.append(self.deaths.pop(0))  # the others do not wait for one that cannot be written
                raise
            self.deaths.pop(0)
            report.accounted.append(death.worker)

    def stage(self, report: Report) -> float | None:
        """Make due tasks ready, and come back when the next one is due."""
        seconds = 0.0 if self.is_due_expected else None
        if not self.is_due_expected:
            seconds, report.found_ready = claims.look()
        if seconds is not None and seconds <= 0:
            report.staged = claims.stage()
            seconds, report.found_ready = claims.look()
        self.is_due_expected = seconds is not None and seconds < self.staging.interval
        if report.found_ready:
            self.sampling.due_at = 0.0
        if seconds is None:
            return None
        return min(self.staging.interval, seconds if seconds > 0 else CROWDED)

    def reclaim(self, report: Report) -> None:
        """Take what other hosts have been silent about for a whole lease, if our own contact is beyond doubt."""
        now = time.monotonic()
        if self.contact.is_continuous(now):
            reckoned, silence = self.contact.reckoned(now), self.contact.lease
            for release in claims.reclaim(reckoned, own=self.holders(), silence=silence):
                self._note_release(release, "its host has been silent for a whole lease", report)

    def bury(self, report: Report) -> None:
        """Release what workers held whose processes on this host are gone, and that nobody has reported."""
        spoken_for = {*self.holders(), *(death.worker for death in self.deaths)}
        for death in self.burial.found(spoken_for, time.monotonic()):
            self._release(death, report)

    def look_again(self, report: Report) -> float:
        """Give back what workers claimed that were dead and released already; it was never started."""
        reason = "claimed by a worker that was gone"
        while (worker := self.latecomers.next_due(time.monotonic())) is not None:
            self._note_release(claims.release(Death(worker, Ending.STOPPED, reason)), reason, report)
            self.latecomers.looked()
        return self.latecomers.seconds_until_next(time.monotonic())

    def give_rows_to_queues(self, report: Report) -> None:
        """Let claims find the queues that somebody filled in SQL."""
        claims.give_rows_to_queues()

    def take_sample(self, report: Report) -> float | None:
        """Read the figures of the queues."""
        report.queues = self.sample() if self.sample is not None else []
        return None if any(queue["ready"] for queue in report.queues) else IDLE_SAMPLE_INTERVAL

    def _release(self, death: Death, report: Report) -> None:
        self._note_release(claims.release(death), death.reason, report)
        self.latecomers.expect(death.worker, time.monotonic())
        self.looking_again.due_at = min(self.looking_again.due_at, time.monotonic() + FIRST_LOOK)

    def _note_release(self, release: Release, reason: str, report: Report) -> None:
        report.releases.append(release)
        if release.retried:
            self.expect(0.0)
        told = {name: getattr(release, name) for name in ("finished", "retried", "failed", "cancelled", "given_back")}
        facts = " ".join(f"{name}={','.join(map(str, ids))}" for name, ids in told.items() if ids)
        if facts:
            extra = {"event": "release", "worker": release.worker, **told}
            logger.warning("worker=%s reason=%r %s", release.worker, reason, facts, extra=extra)
