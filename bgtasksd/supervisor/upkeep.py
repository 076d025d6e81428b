"""What maintenance tells the supervisor: the database, renewals, lost and cancelled claims, deaths, figures."""

from __future__ import annotations

import logging
from typing import Any

from bgtasksd import journal
from bgtasksd.children.channel import Message, close_all
from bgtasksd.supervisor import ending
from bgtasksd.supervisor.child import Cause
from bgtasksd.supervisor.link import Link
from bgtasksd.supervisor.loop import NOTHING_NEW
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.waking import Waking, wake

logger = logging.getLogger("bgtasksd.supervisor")


def hear_maintenance(
    situation: Situation, waking: Waking, link: Link, message: Message, descriptors: list[int]
) -> object:
    """Act on one message of maintenance; one that speaks of the queue alone is nothing new."""
    close_all(descriptors)
    kind = message["kind"]
    if kind == "notified":
        notices = [(mark, queue) for mark, queue in message["notices"]]
        waking.hear_other_hosts(notices, are_kept_back=message.get("are_kept_back", False))
        return NOTHING_NEW
    if kind == "booted":
        _booted(situation, link, message)
    elif kind == "turn":
        _turned(situation, message)
    elif kind == "figures":
        _sampled(situation, message)
    elif link in situation.beside:
        link.tell_reload(message)
    elif kind == "error":
        text = str(message["text"])
        logger.error("maintenance cannot start: %s", text, extra={"event": "maintenance_failed"})
        if not situation.was_ready and not situation.error_text:
            situation.error_text = text
    return None


def _booted(situation: Situation, link: Link, message: Message) -> None:
    link.became_ready()
    situation.database.alias = message["alias"]
    situation.database.vendor = message["vendor"]
    if link is situation.maintenance:
        brief_maintenance(situation)


def brief_maintenance(situation: Situation) -> None:
    """Tell a new maintenance process what it works for."""
    situation.deaths.tell_again()  # first: who is neither alive nor reported dead is buried
    situation.tell_workers()


def _turned(situation: Situation, message: Message) -> None:
    now = situation.clock.now()
    situation.turned_at = now
    _note_database(situation, message, now)
    if message.get("renewed"):
        situation.renewed_at = now
    for name in ("released", "reclaimed"):
        situation.totals.past[name] += message.get(name, 0)
    situation.deaths.account(message.get("accounted", ()))
    if message.get("made_ready") or message.get("found_ready"):
        wake(situation, [""])
    for claim in message.get("lost", ()):
        _interrupt(situation, claim, Cause.CLAIM_LOST)
    for claim in message.get("cancel", ()):
        _interrupt(situation, claim, Cause.CANCELLED)


def _sampled(situation: Situation, message: Message) -> None:
    if situation.figures_at is None:
        _announce_waiting(message["queues"])
    situation.queues, situation.queues_left_out = message["queues"], message["left_out"]
    situation.figures_at = situation.clock.now()


def _note_database(situation: Situation, message: Message, now: float) -> None:
    database, is_up = situation.database, bool(message["database_up"])
    if is_up:
        database.contact_at, database.down_since = now, None
    elif database.down_since is None:
        database.down_since = now
    if database.is_reachable is not is_up:
        if not is_up:
            hint = "" if message["is_migrated"] else ". Run: python manage.py migrate"
            text = "database %s not reachable: %s%s"
            logger.warning(text, database.alias, message["error"], hint, extra={"event": "database_unreachable"})
        elif database.is_reachable is False:
            logger.info("database %s reachable again", database.alias, extra={"event": "database_reachable"})
            _excuse_workers(situation, now)
    database.is_reachable, database.is_migrated = is_up, bool(message["is_migrated"])


def _excuse_workers(situation: Situation, now: float) -> None:
    """Give every loop that waited for the database its full time again."""
    for child in situation.slots.children():
        child.counter_moved_at = now


def _interrupt(situation: Situation, claim: dict[str, Any], cause: Cause) -> None:
    """Interrupt the worker that runs a task under this claim, if one still does."""
    for child in situation.slots.children():
        for task in child.page.tasks() if child.is_alive else ():
            if (task.task_id, task.token) == (claim["task_id"], claim["token"]):
                ending.interrupt(situation, child, cause, situation.options.kill_grace, task.sequence)


def _announce_waiting(queues: list[dict[str, Any]]) -> None:
    """Tell people what waited at the start."""
    count = sum(queue["ready"] for queue in queues)
    oldest = max((queue["oldest_ready_age_s"] or 0 for queue in queues), default=0)
    if count:
        journal.announce("waiting", f"{count:,} tasks, oldest {_words(oldest)}")


def _words(seconds: float) -> str:
    """Return a duration as `bgtasks.units` writes it: nothing of bgtasks may be imported here."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{round(seconds / 60)} min"
