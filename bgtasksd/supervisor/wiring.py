"""The parts of one supervisor together: who hears whom, and which descriptors they hold. Nothing happens here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bgtasksd.supervisor.run import Supervisor


def introduce(supervisor: Supervisor) -> None:
    """Tell the parts of each other."""
    situation, loop = supervisor.situation, supervisor.situation.loop
    loop.on_signals = supervisor.on_signals
    loop.on_gap = supervisor.on_gap
    situation.events.on_event = lambda event: supervisor.following.say("", **event)
    interval = getattr(supervisor.notifier, "watchdog_interval", None)
    loop.longest_wait = min(loop.longest_wait, interval or 1.0)
    situation.deaths.on_report = lambda death: situation.maintenance.send("death", **death)
    situation.on_free, situation.on_more = supervisor.waking.hear_at_last, supervisor.waking.hear_of_more
    supervisor.generations.introduce(supervisor.options)


def descriptors(supervisor: Supervisor) -> list[int]:
    """Return what zygote and maintenance close: everything of ours but the scoreboard."""
    situation = supervisor.situation
    found = [*situation.loop.descriptors(), supervisor.lock.fileno()]
    found += [*supervisor.servers.descriptors(), *supervisor.waking.descriptors()]
    for each in situation.helpers():
        found += each.descriptors()
    notifier = getattr(supervisor.notifier, "fileno", lambda: None)()
    found += [] if notifier is None else [notifier]
    for child in situation.slots.children():
        found += [child.channel.fileno(), child.dump]
        found += [child.process.fileno()] if child.process else []
    return found
