"""What the maintenance process does: `bgtasks.maintenance` for this daemon's workers, reported to its supervisor."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.db import connections

from bgtasks import figures, waking
from bgtasks.checks import mention_database
from bgtasks.maintenance import Maintenance, Report
from bgtasks.maintenance.burial import Burial
from bgtasks.maintenance.cancels import INTERVAL, Cancels
from bgtasks.maintenance.progress import INTERVAL as BETWEEN_NOTES
from bgtasks.maintenance.progress import ProgressNotes
from bgtasks.maintenance.relief import Relief
from bgtasks.queue import claims
from bgtasks.queue.types import Death, Ending
from bgtasks.readable import readable
from bgtasksd import journal
from bgtasksd.children.channel import Channel, ChannelClosed, Message
from bgtasksd.directory import WAKE_NAME
from bgtasksd.maintenance.bounding import bounded
from bgtasksd.maintenance.other_hosts import OtherHosts
from bgtasksd.options import Options
from bgtasksd.scoreboard import Page, claims_on, progress_on
from bgtasksd.slow_tasks import SlowTasks

LONGEST_WAIT = 1.0
BURIAL_PATIENCE = 5.0
"""Seconds that another daemon of this host gets to account for its own dead; at our start we do not wait."""

NOTHING_FOUND: dict[str, Any] = {
    "database_up": True,
    "error": "",
    "is_migrated": True,
    "renewed": False,
    "lost": [],
    "cancel": [],
    "accounted": [],
    "made_ready": 0,
    "found_ready": False,
    "released": 0,
    "reclaimed": 0,
}
"""What a round tells when there is nothing to act on."""


class Duties:
    """One round after the other, until the supervisor says `exit` or is gone."""

    def __init__(self, line: Channel, options: Options, pages: Iterable[Page]) -> None:
        claims.be_patient()
        claims.be_bounded(runs_tasks=False)
        claims.ensure_wal()
        mention_database()
        self.line = line
        self.pages = pages
        self.runtime_dir = options.runtime_dir
        self.workers: list[str] | None = None
        """Who lives; None until the supervisor has said so."""
        self.deaths: dict[str, int] = {}
        self.is_migrated = True
        self.worked_at = 0.0
        self.told: dict[str, Any] = {}
        self.told_at = float("-inf")
        waking.look_in(options.runtime_dir, but=Path(options.runtime_dir, WAKE_NAME))  # its owner hears our reports
        self.maintenance = Maintenance(
            lambda: self.workers or [],
            lease=options.lease,
            poll_interval=options.sleep,
            burial=Burial(),
            sample=figures.queue_figures,
        )
        self.other_hosts = OtherHosts(pages, options.runtime_dir, self.maintenance.expect)
        self.look_after(SlowTasks(pages))

    def look_after(self, slow_tasks: SlowTasks) -> None:
        """Have tasks that take long keep nobody waiting, end when somebody wants it, and show how far they are."""
        self.maintenance.also(Relief(lambda: slow_tasks.found(self.workers or [])).run, interval=0.0)
        self.maintenance.also(Cancels(lambda: self.workers or [], lambda: slow_tasks.are_there).run, INTERVAL)
        self.maintenance.also(ProgressNotes(lambda: progress_on(self.pages)).run, BETWEEN_NOTES)

    def run(self) -> int:
        """Introduce yourself, then listen and work in turns."""
        self.line.send("booted", **_database())
        while True:
            self.wait()
            try:
                if not self.listen():
                    return 0
            except ChannelClosed:
                return 0
            self.other_hosts.hear()
            if told := self.other_hosts.to_pass_on():
                self.line.send("notified", **told)
            is_due = not self.maintenance.seconds_until_next() or time.monotonic() - self.worked_at >= LONGEST_WAIT
            if self.workers is not None and is_due:
                self.work()

    def wait(self) -> None:
        """Sleep until something is due or somebody says something."""
        seconds, is_briefed = LONGEST_WAIT, self.workers is not None
        sources, at_most = self.other_hosts.sources(may_listen=is_briefed and not self.maintenance.failures)
        if is_briefed:
            seconds = min(seconds, self.maintenance.seconds_until_next())
        readable([self.line.fileno(), *sources], min(seconds, at_most))

    def listen(self) -> bool:
        """Act on every message that has come; False for `exit`."""
        while (received := self.line.receive()) is not None:
            message, _descriptors = received
            if message["kind"] == "workers":
                self.workers = message["names"]
            elif message["kind"] == "scheduled":
                self.maintenance.expect(message["seconds"])
            elif message["kind"] == "death":
                self.deaths[message["worker"]] = message["id"]
                self.maintenance.report_death(_death(message))
            elif message["kind"] == "free":
                self.other_hosts.somebody_is_free()
            elif message["kind"] == "exit":
                return False
            else:
                journal.obeys(message)
        return True

    def work(self) -> None:
        """Do one round and report it. What a worker holds before and after it, but not by the table, it has lost."""
        self.worked_at = time.monotonic()
        renewed = self.pages_of_workers()
        before = claims_on(renewed)
        report = self.maintenance.run_due()
        if report.is_database_up or report.error:  # else it waits, and knows nothing new
            self.is_migrated = not report.are_tables_missing
        after = claims_on(renewed)
        lost = (before & after) - report.renewal.held if report.renewal else set()
        if report.queues is not None:  # by themselves: whatever their size, the rest is told
            self.line.send("figures", **bounded(report.queues))
        self.tell(
            {
                "database_up": report.is_database_up,
                "error": report.error[:500],
                "is_migrated": self.is_migrated,
                "renewed": report.renewal is not None,
                "lost": [_claim(*each) for each in lost],
                "cancel": [_claim(task_id, token) for task_id, token, _worker in report.cancel_requested],
                "accounted": [self.deaths.pop(name) for name in report.accounted if name in self.deaths],
                "made_ready": report.made_ready,
                "found_ready": report.found_ready,
                **_taken(report),
            }
        )
        self.maintenance.burial.patience = BURIAL_PATIENCE

    def pages_of_workers(self) -> list[Page]:
        """Return the pages of those whose leases we renew: of others, told of a little later, nothing is known."""
        numbers = {int(name.rpartition(":")[2], 16) for name in self.workers or ()}
        return [page for page in self.pages if page.worker_id in numbers]

    def tell(self, found: dict[str, Any]) -> None:
        """Tell the supervisor what a round has found; of rounds that find nothing one a second is enough."""
        now = time.monotonic()
        if found != NOTHING_FOUND or self.told != NOTHING_FOUND or now - self.told_at >= LONGEST_WAIT:
            self.told, self.told_at = found, now
            self.line.send("turn", **found)


def _database() -> dict[str, Any]:
    return {"alias": claims.alias(), "vendor": connections[claims.alias()].vendor}


def _death(message: Message) -> Death:
    return Death(
        worker=message["worker"],
        ending=Ending(message["ending"]),
        reason=message["reason"],
        running=tuple((task_id, token) for task_id, token in message["running"]),
        finished=tuple((task_id, token, duration) for task_id, token, duration in message["finished"]),
    )


def _claim(task_id: int, token: int) -> dict[str, int]:
    return {"task_id": task_id, "token": token}


def _taken(report: Report) -> dict[str, Any]:
    """Return how many tasks were released from our dead workers, and how many taken from others."""
    counts = {"released": 0, "reclaimed": 0}
    for each in report.releases:
        tasks = [*each.finished, *each.retried, *each.failed, *each.cancelled, *each.given_back]
        counts["released" if each.worker in report.accounted else "reclaimed"] += len(tasks)
    return counts
