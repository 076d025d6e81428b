"""What zygotes say: that they are up, whom they have forked, why not; and the workers each new one is given to hold."""

from __future__ import annotations

import logging

from bgtasksd.children import channel
from bgtasksd.children.channel import Message
from bgtasksd.supervisor import exits
from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.hearing import announce_tasks, application_failed, attach
from bgtasksd.supervisor.link import Link
from bgtasksd.supervisor.situation import Situation

logger = logging.getLogger("bgtasksd.supervisor")


def hear_zygote(situation: Situation, zygote: Link, message: Message, descriptors: list[int]) -> None:
    """Act on one message of a zygote."""
    if message["kind"] in ("maintenance_forked", "maintenance_not_forked"):
        _hear_of_maintenance(situation, zygote, message, descriptors)
        return
    child = situation.slots.find(message.get("worker", ""))
    if message["kind"] == "forked":
        if child is not None and len(descriptors) == 1:
            _is_forked(situation, zygote, child, message["pid"], descriptors)
    elif message["kind"] == "fork_failed" and child is not None and child.process is None:
        exits.vanished(situation, child, f"fork: {message['error']}")
    else:
        _hear_of_itself(situation, zygote, message)
    channel.close_all(descriptors)


def _is_forked(situation: Situation, zygote: Link, child: Child, pid: int, descriptors: list[int]) -> None:
    if child.process is None:  # else its hello was here before
        attach(situation, child, pid, descriptors.pop())
    if zygote is not situation.zygote:
        hand_over(situation, child)  # it leaves, and its workers stay


def _hear_of_maintenance(situation: Situation, zygote: Link, message: Message, descriptors: list[int]) -> None:
    """Hand the process to whoever awaits it. Nobody: it leaves, for the end of its line that we had is closed."""
    for link in (situation.maintenance, *situation.beside):
        if link.source is not None and link.source.awaits(zygote, message["number"]):
            if descriptors:
                link.is_here(message["pid"], descriptors.pop())
            else:
                link.not_started(f"fork: {message['error']}")
            break
    channel.close_all(descriptors)


def _hear_of_itself(situation: Situation, zygote: Link, message: Message) -> None:
    kind = message["kind"]
    if kind == "ready":
        _is_ready(situation, zygote, message)
    elif kind == "unsafe":
        found = ", ".join(message["found"])
        logger.warning("preloading this application is not safe (%s): every worker imports it by itself", found)
        zygote.preloads = False
        zygote.expect_replacement()
    elif zygote in situation.beside:
        zygote.tell_reload(message)
    elif kind == "error":
        logger.error("the application cannot be loaded: %s", message["text"], extra={"event": "application_failed"})
        application_failed(situation, message)


def _is_ready(situation: Situation, zygote: Link, message: Message) -> None:
    zygote.became_ready()
    if message.get("tasks") is not None and not situation.was_ready:
        announce_tasks(message["tasks"])
    if zygote is situation.zygote:
        hand_over_workers(situation)


def hand_over_workers(situation: Situation) -> None:
    """Give a new zygote the workers of the one before."""
    for child in situation.slots.children():
        hand_over(situation, child)


def hand_over(situation: Situation, child: Child) -> None:
    """Give the zygote a worker that another one has forked: it ends it should the supervisor die."""
    if child.process is not None and child.is_alive:
        held = [child.process.pidfd, situation.board.descriptor]
        pages = {"page": child.page_index, "places": child.place_indexes, "concurrency": child.concurrency}
        child.is_unheld = not situation.zygote.send("adopt", held, pid=child.process.pid, **pages)


def hand_over_what_is_owed(situation: Situation) -> None:
    """Give it those for which its line had no room; a zygote that is not ready is given all once it is."""
    if not situation.zygote.is_ready:
        return
    for child in situation.slots.children():
        if child.is_unheld:
            hand_over(situation, child)
            if child.is_unheld:
                break  # no room yet for the others either
