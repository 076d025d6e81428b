"""What maintenance tells the supervisor: the database, renewals, lost and cancelled claims, deaths accounted for."""

from __future__ import annotations

import logging
from typing import Any

from bgtasksd import journal
from bgtasksd.children.channel import Message, close_all
from bgtasksd.supervisor import ending
from bgtasksd.supervisor.child import Cause, Child
from bgtasksd.supervisor.situation import Situation

logger = logging.getLogger("bgtasksd.supervisor")


def hear_maintenance(situation: Situation, message: Message, descriptors: list[int]) -> None:
    """Act on one message of maintenance."""
    close_all(descriptors)
    kind = message["kind"]
    if kind == "booted":
        situation.maintenance.became_ready()
        situation.database.alias = message["alias"]
        situation.database.vendor = message["vendor"]
        situation.tell_workers()
        situation.deaths.tell_again()
    elif kind == "turn":
        _turned(situation, message)
    elif kind == "error":
        text = str(message["text"])
        logger.error("maintenance cannot start:\n%s", text, extra={"event": "maintenance_failed"})
        if not situation.was_ready and not situation.error_text:
            situation.error_text = text


def _turned(situation: Situation, message: Message) -> None:
    now = situation.clock.now()
    if situation.turned_at is None and message.get("waiting"):
        _announce_waiting(message["waiting"])
    situation.turned_at = now
    _note_database(situation, message, now)
    if message.get("renewed"):
        situation.renewed_at = now
    if message.get("queues") is not None:
        situation.queues, situation.figures_at = message["queues"], now
    for name in ("released", "reclaimed"):
        situation.totals.past[name] += message.get(name, 0)
    situation.deaths.account(message.get("accounted", ()))
    for claim in message.get("lost", ()):
        _interrupt(situation, claim, Cause.CLAIM_LOST)
    for claim in message.get("cancel", ()):
        _interrupt(situation, claim, Cause.CANCELLED)


def _note_database(situation: Situation, message: Message, now: float) -> None:
    database, is_up = situation.database, bool(message["database_up"])
    if is_up:
        database.contact_at, database.down_since = now, None
    elif database.down_since is None:
        database.down_since = now
    if database.is_reachable is not is_up:
        if not is_up:
            logger.warning("database %s not reachable: %s", database.alias, message.get("error", ""))
        elif database.is_reachable is False:
            logger.info("database %s reachable again", database.alias)
            _excuse_workers(situation, now)
    database.is_reachable = is_up


def _excuse_workers(situation: Situation, now: float) -> None:
    """Give every loop that waited for the database its full time again."""
    for child in situation.slots.children():
        child.counter_moved_at = now


def _interrupt(situation: Situation, claim: dict[str, Any], cause: Cause) -> None:
    """Interrupt the worker that runs a task under this claim, if one still does."""
    for child in situation.slots.children():
        if _runs(child, claim):
            ending.interrupt(situation, child, cause, situation.options.kill_grace)


def _runs(child: Child, claim: dict[str, Any]) -> bool:
    record = child.page.read() if child.is_alive else child.record
    return record.has_task and (record.task_id, record.token) == (claim["task_id"], claim["token"])


def _announce_waiting(waiting: dict[str, Any]) -> None:
    if waiting["count"]:
        oldest = f", oldest {waiting['oldest']}" if waiting.get("oldest") else ""
        journal.announce("waiting", f"{waiting['count']} tasks{oldest}")
