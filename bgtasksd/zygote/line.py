"""The worker's line to its supervisor: messages and signals noted, waited for, and passed on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from bgtasks.readable import readable
from bgtasksd import journal
from bgtasksd.children.channel import Channel, ChannelClosed
from bgtasksd.scoreboard import Page, Reason
from bgtasksd.zygote.reckoning import Reckoning


def _nobody(*told: object) -> None:
    """Stand for a loop that is not there yet."""


class Line:
    """One end of the channel, the wakeup pipe, and the worker's page with the order in it."""

    def __init__(self, channel: Channel, page: Page) -> None:
        self.channel = channel
        self.page = page
        self.pid = os.getpid()
        self.is_open = True
        self.drain_reason = ""
        """Why to take no more tasks; set by a signal handler, too."""
        self.granted = ""
        """The limit for which the supervisor lets this worker leave."""
        self.wish = ""
        """Why the supervisor wants this worker to ask for its leave."""
        self.is_woken = False
        """Somebody has said that there is work, since the last wait."""
        self.rests = 0
        """How often this worker had nothing to do."""
        self.select: Callable[[Sequence[int], float], Sequence[int]] = readable
        """Sleeps until a descriptor is readable: a worker with several places lets coroutines run meanwhile."""
        self.on_drain: Callable[[str], None] = _nobody
        self.on_order: Callable[[int, Reason], None] = _nobody
        self.reckoning = Reckoning(self.send)
        self._wakeup: tuple[int, int] = (-1, -1)

    def listen(self) -> None:
        """Have signals wake whoever waits."""
        self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)

    def descriptors(self) -> tuple[int, ...]:
        """Return what the line consists of."""
        return (self.channel.fileno(), *self._wakeup)

    def send(self, kind: str, **fields: Any) -> bool:
        """Tell the supervisor something; False when it does not listen, which is its loss."""
        return self.is_open and self.channel.send(kind, **fields)

    def wait(self, seconds: float) -> bool:
        """Sleep until a message or a signal comes, or the time is over. Say whether it was a wake."""
        self.rests += 1
        if self.page.hear_hold():  # no task is started here, and none before the next look at the page
            self.send("resting")
        if self.page.is_rest_awaited:
            self.page.await_nothing()
            self.send("free")
        seconds = 0.0 if self.is_woken else seconds
        sources = [self._wakeup[0], self.channel.fileno()] if self.is_open else [self._wakeup[0]]
        if self._wakeup[0] in self._select(sources, max(0.0, seconds)):
            self._empty_wakeup()
        self.read()
        is_woken, self.is_woken = self.is_woken, False
        return is_woken

    def _select(self, sources: Sequence[int], seconds: float) -> Sequence[int]:
        """Return what has come within so many seconds. What was kept back is told meanwhile."""
        first = min(seconds, self.reckoning.due_in())
        ready = self.select(sources, first)
        if ready or first == seconds:
            return ready
        self.reckoning.tell()
        return self.select(sources, seconds - first)

    def _empty_wakeup(self) -> None:
        try:
            while len(os.read(self._wakeup[0], 4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def read(self) -> None:
        """Act on the messages that have come."""
        while self.is_open:
            try:
                received = self.channel.receive()
            except ChannelClosed:
                self.is_open = False
                self.drain("stopped")
                return
            if received is None:
                return
            self._act_on(received[0])

    def _act_on(self, message: dict[str, Any]) -> None:
        if message["kind"] == "drain":
            self.drain(message.get("reason", "stopped"))
        elif message["kind"] == "retire":
            self.granted = message["reason"]
        elif message["kind"] == "ask":
            self.wish = message["reason"]
        elif message["kind"] == "wake":
            self.is_woken = True
        else:
            journal.obeys(message)

    def drain(self, reason: str) -> None:
        """Take no more tasks. Called from a signal handler: plain attributes only."""
        if not self.drain_reason:
            self.drain_reason = reason
        self.on_drain(self.drain_reason)

    def obey(self) -> None:
        """Interrupt the tasks that the orders in the page name. Called from a signal handler."""
        for order in self.page.orders():
            self.on_order(*order)
