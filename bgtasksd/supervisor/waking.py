"""Who is woken when there is something to do: one idle worker, and by it the next. Floods become a few looks."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from typing import Any

from bgtasksd.scoreboard import WorkState
from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.loop import NOTHING_NEW, Rank
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.states import WORKING
from bgtasksd.supervisor.wake_socket import WakeSocket

SHORTEST_DEAFNESS, LONGEST_DEAFNESS = 0.002, 0.02
"""Seconds after a notice in which no other is heard: what comes meanwhile is taken together."""
FULL_DEAFNESS = 0.1
"""The same when every worker is busy, and will look by itself; the first that has nothing to do ends it."""
CLOSE = 0.01
"""Seconds between two notices that are the beginning of many; to rest after one alone would cost a turn more."""
FILLING = 4
"""Datagrams that may wait while all are busy: half of what the kernel keeps."""
PATIENCE = 0.1
"""Seconds in which a woken worker begins to look; another one is woken later."""
REMEMBERED = 256
OVERFLOWING = 8
"""Datagrams at once after which some may have been lost: the kernel keeps ten, where nobody has raised that."""

logger = logging.getLogger("bgtasksd.supervisor")


class Waking:
    """The wake socket in the loop, deaf for a moment after each of many notices."""

    def __init__(self, situation: Situation, socket: WakeSocket) -> None:
        self.situation = situation
        self.socket = socket
        self.deafness = 0.0
        self.heard_at = float("-inf")
        self.hears_at: float | None = None
        """When a socket that is not watched at the moment is read again."""
        self.marks: deque[str] = deque(maxlen=REMEMBERED)
        """Of the last notices: the database brings them once more."""

    def open(self) -> None:
        """Make the socket and watch it. Raises OSError."""
        if self.socket.socket is not None:
            self.situation.loop.forget(self.socket.socket)
        self.socket.open()
        self.hears_at, self.deafness = None, 0.0
        self.situation.loop.watch(self.socket.socket, Rank.MESSAGE, self.hear)

    def take_over(self, handed: list[Any] | None) -> None:
        """Go on with the socket that the program before this one has left, if it had one."""
        if handed is not None:
            self.socket.take_over(handed)
            self.situation.loop.watch(self.socket.socket, Rank.MESSAGE, self.hear)

    def is_in_place(self) -> bool:
        """Return whether enqueuing processes find us."""
        return self.socket.is_in_place() or not self.situation.options.wake

    def open_again(self) -> None:
        """Make the socket again. Raises OSError."""
        self.open()

    def descriptors(self) -> list[int]:
        """Return what children close."""
        return [] if self.socket.socket is None else [self.socket.socket.fileno()]

    def close(self) -> None:
        """Remove the socket."""
        if self.socket.socket is not None:
            self.situation.loop.forget(self.socket.socket)
        self.socket.close()

    def next_at(self) -> float | None:
        """Return when the socket is read again."""
        return self.hears_at

    def run(self) -> object:
        """Read the socket again when its time has come."""
        if self.hears_at is not None and self.hears_at <= self.situation.clock.now():
            self.hear()
        return NOTHING_NEW

    def hear(self) -> object:
        """Act on what has come; when much comes the socket rests, until its time has come and nothing with it."""
        calls, count = self.socket.receive()
        now = self.situation.clock.now()
        if not count:
            if self.hears_at is not None and self.hears_at <= now:
                self._rest_no_more()
            return NOTHING_NEW
        self.marks.extend(call.mark for call in calls)
        if self._are_all_busy():
            fills_in = (self.deafness or FULL_DEAFNESS) * FILLING / count
            self._rest(now, max(LONGEST_DEAFNESS, min(FULL_DEAFNESS, fills_in)))
        else:
            wake(self.situation, {call.queue for call in calls if call.queue is not None})
            if self.hears_at is not None or now - self.heard_at < CLOSE:
                self._rest(now, min(LONGEST_DEAFNESS, max(SHORTEST_DEAFNESS, 2 * self.deafness)))
        self.heard_at = now
        due = [call.seconds for call in calls if call.seconds is not None]
        if due or count >= OVERFLOWING:
            self.situation.maintenance.send("scheduled", seconds=0.0 if count >= OVERFLOWING else min(due))
        return NOTHING_NEW

    def hear_at_last(self) -> object:
        """Read the socket now, if it rests: there is somebody who can be woken."""
        for child in self.situation.slots.children():
            child.page.await_nothing()
        self.situation.maintenance.send("free")
        if self.hears_at is None:
            return NOTHING_NEW
        self.hears_at = self.situation.clock.now()
        return self.hear()

    def hear_of_more(self, child: Child) -> None:
        """Wake another one than this worker, which has found more than it takes."""
        if not self._are_all_busy(but=child):
            wake(self.situation, [""], but=child)

    def _are_all_busy(self, but: Child | None = None) -> bool:
        """Tell whether nobody can be woken; then the first that has nothing to do says so."""
        children = self.situation.slots.children()
        others = [child for child in children if child is not but]
        if not children or not all(map(_is_busy, others)):
            return False
        for child in children:
            child.page.await_rest()
        return all(map(_is_busy, others))  # once more: one may have come to rest before it was asked for its word

    def _rest(self, now: float, seconds: float) -> None:
        if self.hears_at is None:
            self.situation.loop.forget(self.socket.socket)
        self.deafness = seconds
        self.hears_at = now + seconds

    def _rest_no_more(self) -> None:
        self.hears_at, self.deafness = None, 0.0
        self.situation.loop.watch(self.socket.socket, Rank.MESSAGE, self.hear)

    def hear_other_hosts(self, notices: Iterable[tuple[str, str]], *, are_kept_back: bool = False) -> None:
        """Act on what the database has told, as (mark, queue), but for what came by the socket before.

        The next ones may be kept back because all seemed to be busy: until we tell that one is not.
        """
        if self.socket.socket is not None:
            self.hear()
        unheard = {queue for mark, queue in notices if mark not in self.marks}
        if unheard:
            wake(self.situation, unheard)
        if are_kept_back and not self._are_all_busy():
            self.situation.maintenance.send("free")


def wake(situation: Situation, queues: Iterable[str], but: Child | None = None) -> None:
    """Wake one worker for each of these queues; for an unnamed one, a worker of each kind."""
    slots = situation.slots
    working = [(slot.queues, child) for slot in slots for child in slot.children() if child.state in WORKING]
    for queue in queues:
        serving = [group.queues for group in slots.groups if not queue or situation.serves(group.queues, queue)]
        for each in [serving] if queue else [[kind] for kind in serving]:
            _wake_one([child for kind, child in working if kind in each and child is not but], situation)


def _wake_one(children: list[Child], situation: Situation) -> None:
    """Wake an idle worker, or one about to look; nobody if one was woken that has not yet begun to look.

    Whoever has not answered its last wake is the last choice: it may be stopped, or hang in a connection that is dead.
    """
    now = situation.clock.now()
    willing: list[tuple[tuple[bool, bool], Child, int]] = []
    for child in children:
        state, counter = child.page.glance()
        if _is_taken(child, state):
            continue
        is_silent = child.woken == counter
        if is_silent and now - child.woken_at < PATIENCE:
            return
        willing.append(((is_silent, state != WorkState.IDLE), child, counter))
    for _, child, counter in sorted(willing, key=lambda each: each[0]):
        if child.channel.send("wake"):
            child.woken, child.woken_at = counter, now
            return


def _is_busy(child: Child) -> bool:
    """Tell whether a wake is of no use to this worker; one that has not booted, or leaves, counts as idle."""
    return child.state in WORKING and _is_taken(child, child.page.glance()[0])


def _is_taken(child: Child, state: int) -> bool:
    """Tell whether a worker in this state looks by itself before it rests: when its task is over, or when it may."""
    return child.page.is_held or (state == WorkState.BUSY and not child.has_room_beside)
