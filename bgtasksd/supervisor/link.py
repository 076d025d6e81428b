"""The supervisor's hold on zygote and maintenance: start one, hear it, restart it with backoff, end it."""

from __future__ import annotations

import enum
import logging
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from bgtasksd.children.channel import Channel, ChannelClosed, Message
from bgtasksd.children.exits import Exit
from bgtasksd.children.fork import why
from bgtasksd.children.process import Process
from bgtasksd.scoreboard.board import empty, unnamed_memory
from bgtasksd.supervisor.births import fork_serving
from bgtasksd.supervisor.clock import Clock
from bgtasksd.supervisor.loop import NOTHING_NEW, Loop, Rank, nothing
from bgtasksd.supervisor.pacing import STEADY_AFTER, Backoff
from bgtasksd.supervisor.source import Source

DUMP_TIME = 0.5
ANSWER_TIMEOUT = 10.0
ZYGOTE_GRACE, MAINTENANCE_GRACE = 1.0, 2.0
"""Seconds that each gets to leave when asked to."""

logger = logging.getLogger("bgtasksd.supervisor")


class LinkState(enum.StrEnum):
    """Where zygote or maintenance is."""

    DOWN = "down"
    STARTING = "starting"
    READY = "ready"
    ENDING = "ending"


class Link:
    """One process of ours that is no worker."""

    def __init__(self, name: str, entry: str, loop: Loop, clock: Clock, longest_backoff: float) -> None:
        self.name = name
        self.entry = entry
        """`module:function`, called in the child: nothing of it is imported here."""
        self.loop = loop
        self.clock = clock
        self.backoff = Backoff(longest_backoff)
        self.state = LinkState.DOWN
        self.dump = unnamed_memory(f"bgtasksd-{name}")
        self.told: dict[str, Message] = {}
        """What it has said that somebody may still want to know, by kind."""
        self.process: Process | None = None
        self.channel: Channel | None = None

    arguments: Callable[[], dict[str, Any]] = dict
    inherited: Callable[[], Sequence[int]] = list
    source: Source | None = None
    """Where it comes from if it is not always forked here."""
    on_message: Callable[[Message, list[int]], object] = nothing
    boot_timeout = 120.0
    longest_silence: float | None = None
    """Seconds without a message after which it is ended; None: it may be silent."""

    preloads = False
    """It loads the application before it serves."""
    is_wanted = True
    is_leaving = False
    """It ends for a good reason: the next one follows at once."""
    started_at = 0.0
    heard_at = 0.0
    asked_at: float | None = None
    """When it was asked for something that it has not answered since."""
    kill_at: float | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def is_ready(self) -> bool:
        return self.state is LinkState.READY

    @property
    def is_starting(self) -> bool:
        return self.state is LinkState.STARTING

    @property
    def is_to_come(self) -> bool:
        """Tell whether it is not there yet, and nothing went wrong."""
        return self.process is None and not self.backoff.failures

    @property
    def is_gone(self) -> bool:
        return self.process is None

    @property
    def is_awaited(self) -> bool:
        """Tell whether a zygote was asked to fork it."""
        return self.source is not None and self.source.asked is not None

    def descriptors(self) -> list[int]:
        """Return what other children close."""
        held = [each.fileno() for each in (self.process, self.channel) if each is not None]
        return [*held, self.dump, *(self.source.descriptors() if self.source else ())]

    def send(self, kind: str, descriptors: Sequence[int] = (), **fields: Any) -> bool:
        """Send it a message; False when it is not there."""
        return self.channel is not None and self.channel.send(kind, descriptors, **fields)

    def ask(self, kind: str, descriptors: Sequence[int] = (), **fields: Any) -> bool:
        """Send a message that is to be answered soon."""
        if self.asked_at is None:
            self.asked_at = self.clock.now()
        return self.send(kind, descriptors, **fields)

    def next_at(self) -> float | None:
        """Return when there is something to do: a start, or a deadline."""
        if self.process is None:
            return self._starts_at() if self.is_wanted else None
        if self.kill_at is not None:
            return self.kill_at
        if self.state is LinkState.STARTING:
            return self.started_at + self.boot_timeout
        if self.asked_at is not None:
            return self.asked_at + ANSWER_TIMEOUT
        return None if self.longest_silence is None else self.heard_at + self.longest_silence

    def _starts_at(self) -> float:
        """Return when to start it, or to start it again if the zygote does not answer."""
        if self.source is None:
            return self.backoff.not_before
        if self.is_awaited:
            return 0.0 if self.source.is_lost else self.started_at + ANSWER_TIMEOUT
        return max(self.backoff.not_before, self.source.starts_at(self.backoff.failures))

    def run(self) -> None:
        """Start it when it is missing, end it when it is silent."""
        at = self.next_at()
        if at is None or at > self.clock.now():
            return
        if self.is_awaited:
            self.not_started("no word of it from the zygote")
        elif self.process is None:
            self.start()
        elif self.kill_at is not None:
            self.kill_at = self.clock.now() + 10
            self.process.send_signal(signal.SIGKILL)
        else:
            self.dump_and_kill()

    def start(self) -> None:
        """Fork it, or have the zygote fork it."""
        empty(self.dump)
        self.told.clear()
        try:
            if self.source is None or not self.source.ask(self.dump, self.backoff.failures):
                closing = [each for each in self.inherited() if each != self.dump]
                self.hold(*fork_serving(self.entry, closing, {"dump": self.dump, **self.arguments()}))
        except OSError as error:
            self.not_started(why(error))
            return
        self.state, self.kill_at, self.asked_at = LinkState.STARTING, None, None
        self.started_at = self.heard_at = self.clock.now()

    def not_started(self, reason: str) -> None:
        """Try again later."""
        self._forget_asked()
        delay = self.backoff.failed(self.clock.now())
        text = "%s not started: %s; next try in %.1f s"
        logger.error(text, self.name, reason, delay, extra={"event": f"{self.name}_not_started"})

    def _forget_asked(self) -> None:
        if self.source is not None and self.is_awaited:
            self.source.forget()
            self.state = LinkState.DOWN

    def is_here(self, pid: int, pidfd: int) -> None:
        """Take hold of the process that the zygote has forked."""
        assert self.source is not None
        self.hold(Process(pid, pidfd), self.source.take_line())

    def hold(self, process: Process, line: Channel) -> None:
        """Watch it and hear it."""
        self.process, self.channel = process, line
        self.loop.watch(process, Rank.EXIT, self._has_ended)
        self.loop.watch(line, Rank.MESSAGE, self._hear)

    def became_ready(self) -> None:
        """Note that it is up."""
        if self.state is LinkState.STARTING:
            self.state = LinkState.READY

    def expect_replacement(self) -> None:
        """Note that it is about to leave for a good reason."""
        self.is_leaving = True

    def dump_and_kill(self) -> None:
        """End it with its stacks in the dump file: it has been silent too long."""
        assert self.process is not None
        logger.error("%s pid %s is silent: it is ended", self.name, self.pid, extra={"event": f"{self.name}_stuck"})
        self.process.send_signal(signal.SIGUSR2)
        self.process.send_signal(signal.SIGCONT)
        self.kill_at = self.clock.now() + DUMP_TIME

    def end(self, grace: float) -> None:
        """Ask it to leave, kill it after `grace`."""
        self.is_wanted = False
        self._forget_asked()
        if self.process is None or self.state is LinkState.ENDING:
            return
        patience = grace if self.is_ready else 0.0
        self.state = LinkState.ENDING
        self.send("exit")
        self.kill_at = self.clock.now() + patience

    def tell_reload(self, message: Message) -> None:
        """Keep a message of one that does not serve yet; a failure is final there."""
        self.told[message["kind"]] = message
        if message["kind"] == "error":
            self.is_wanted, self.is_leaving = False, True

    def give_up(self) -> None:
        """End it at once, or never start it again; what it says when it ends is no failure."""
        self.is_wanted = False
        self._forget_asked()
        if self.process is not None and self.state is not LinkState.ENDING:
            self.state, self.kill_at = LinkState.ENDING, self.clock.now() + 10
            self.process.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Give back what outlasts its process."""
        os.close(self.dump)

    def _hear(self) -> object:
        assert self.channel is not None
        found: object = NOTHING_NEW
        while self.channel is not None:
            try:
                received = self.channel.receive()
            except ChannelClosed:
                self.loop.forget(self.channel)  # its death is told by the pidfd
                break
            if received is None:
                return found
            self.heard_at, self.asked_at = self.clock.now(), None
            if self.on_message(*received) is not NOTHING_NEW:
                found = None
        return None

    def _has_ended(self) -> None:
        assert self.process is not None
        assert self.channel is not None
        self._hear()
        exit_ = self.process.reap()
        if exit_ is None:
            return
        self.loop.forget(self.process)
        self.loop.forget(self.channel)
        self.process.close()
        self.channel.close()
        was, pid = self.state, self.pid
        self.process = self.channel = None
        self.state, self.kill_at = LinkState.DOWN, None
        is_expected, self.is_leaving = self.is_leaving or was is LinkState.ENDING, False
        if not is_expected:
            self._note_failure(exit_, pid)

    def _note_failure(self, exit_: Exit, pid: int | None) -> None:
        now = self.clock.now()
        if now - self.started_at >= STEADY_AFTER:
            self.backoff.reset()
        delay = self.backoff.failed(now)
        logger.error(
            "%s pid %s ended: %s; the next one in %.1f s%s",
            self.name,
            pid,
            exit_,
            delay,
            _indented(os.pread(self.dump, 65536, 0).decode(errors="replace")),
            extra={"event": f"{self.name}_ended"},
        )


def _indented(text: str) -> str:
    return "".join(f"\n    {line}" for line in text.splitlines())
