"""Which problems a daemon has, and what to type about each. Values in, values out."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from datetime import datetime, timedelta

from bgtasksd.facts import Facts, Problem

MIGRATE = "python manage.py migrate"
LATE = 30.0
"""Seconds that a shortage of workers or of the database is passed over."""
FORGOTTEN = timedelta(hours=24)
"""After so long a pause without an end may have been forgotten."""
UNSERVED = 60.0
"""Seconds that a ready task waits before it is said that nobody serves its queue."""
YOUNG = 5.0
"""Seconds within which a worker may not have said what it serves."""
STALE = 60.0
"""Seconds after which queue figures are no longer news."""


def problems(facts: Facts) -> list[Problem]:
    """Return what is wrong, errors first. A daemon that is starting or stopping as told has no shortage of workers."""
    found = list(_worker_problems(facts)) if facts.was_ready and not facts.is_stopping else []
    found += _other_problems(facts)
    return sorted(found, key=lambda problem: problem.severity != "error")


def _worker_problems(facts: Facts) -> Iterable[Problem]:
    if facts.is_failed:
        text = "every worker failed again and again; trying once a minute"
        yield Problem("breaker_open", "error", None, text, "bgtasksd status --json")
    if facts.short_for_s is not None and facts.short_for_s >= LATE:
        text = f"{facts.ready} of {facts.workers_target} workers are ready"
        yield Problem("workers_below_target", "error", None, text, "bgtasksd status")
    for worker in facts.workers:
        if worker.state == "backoff":
            text = f"slot {worker.slot} waits after failures; the last exit: {worker.last_exit}"
            yield Problem("slot_in_backoff", "error", str(worker.slot), text, "bgtasksd status --json")
    yield from _reload_problems(facts)
    if facts.zygote.get("pid") is None:
        yield Problem("zygote_down", "warning", None, "no worker can be forked at the moment", "bgtasksd status")


def _reload_problems(facts: Facts) -> Iterable[Problem]:
    if facts.reload_failure:
        text = f"the last reload failed, the code before it goes on: {facts.reload_failure.splitlines()[0]}"
        yield Problem("reload_failed", "warning", None, text, "bgtasksd reload --wait")
    in_charge = facts.zygote["generation"]
    others = [f"w{each.slot}" for each in facts.workers if each.generation not in (None, in_charge)]
    if others and not facts.is_reloading:
        text = f"not every worker has the code of generation {in_charge}: {', '.join(others)} not"
        yield Problem("generations_mixed", "warning", None, text, "bgtasksd reload --wait")


def _other_problems(facts: Facts) -> Iterable[Problem]:
    for slot, pid in facts.unkillable:
        text = f"pid {pid} survives SIGKILL; its task stays claimed"
        yield Problem("worker_unkillable", "error", str(slot), text, f"cat /proc/{pid}/stack")
    yield from _maintenance_problems(facts)
    if facts.database_down_s is not None and facts.database_down_s >= LATE:
        text = f"no contact for {facts.database_down_s:.0f} s"
        fix = "python manage.py dbshell" if facts.is_migrated else MIGRATE
        yield Problem("database_unreachable", "error", facts.database["alias"], text, fix)
    if not facts.is_migrated:
        text = "tables of bgtasks are missing in the database"
        yield Problem("migrations_missing", "warning", facts.database["alias"], text, MIGRATE)
    if facts.is_directory_lost:
        text = "lock or control socket were removed under the running daemon"
        yield Problem("runtime_dir_lost", "error", None, text, f"kill -TERM {facts.pid}")
    yield from _queue_problems(facts)
    if facts.was_ready and facts.figures_age_s is not None and facts.figures_age_s > STALE:
        text = f"queue figures are {facts.figures_age_s:.0f} s old"
        yield Problem("figures_stale", "warning", None, text, "bgtasksd status")


def _queue_problems(facts: Facts) -> Iterable[Problem]:
    now = datetime.fromisoformat(facts.started_at) + timedelta(seconds=facts.uptime_s)
    for queue in facts.queues:
        name, pause = queue["name"], queue["pause"] or {}
        paused_for = now - datetime.fromisoformat(pause["since"]) if pause.get("since") else timedelta()
        if paused_for > FORGOTTEN and not pause["until"]:
            text = f"paused for {paused_for // timedelta(hours=1)} h"
            yield Problem("queue_paused_long", "warning", name, text, f"bgtasksd resume {shlex.quote(name)}")
        is_alone = queue["workers"] == 0 and not queue["paused"] and not _are_new(facts)
        if is_alone and (queue["oldest_ready_age_s"] or 0) > UNSERVED:
            text = "tasks are ready, and no worker on any host serves this queue"
            yield Problem("queue_without_worker", "warning", name, text, f"bgtasksd start --queue {shlex.quote(name)}")


def _are_new(facts: Facts) -> bool:
    """Tell whether the queues' figures may know no worker of this host yet: all were new then, as after a start."""
    oldest = max((worker.age_s for worker in facts.workers), default=None)
    return oldest is not None and oldest - (facts.figures_age_s or 0.0) < YOUNG


def _maintenance_problems(facts: Facts) -> Iterable[Problem]:
    if facts.ready_for_s is None or facts.is_stopping:
        return
    if facts.maintenance.get("pid") is None and facts.maintenance.get("state") != "starting":
        yield Problem("maintenance_down", "error", None, "maintenance is being started again", "bgtasksd status")
    renewal = facts.maintenance.get("last_renewal_s")
    since = facts.ready_for_s if renewal is None else renewal  # hardly a claim is older than READY
    if since > facts.renewal_limit_s:
        text = f"no lease was renewed for {since:.0f} s"
        yield Problem("renewal_late", "error", None, text, "bgtasksd status")
