"""The supervisor's hold on zygote and maintenance: start one, hear it, restart it with backoff, end it."""

from __future__ import annotations

import enum
import logging
import os
import signal
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from bgtasksd.children import channel
from bgtasksd.children.channel import Channel, ChannelClosed, Message
from bgtasksd.children.exits import Exit
from bgtasksd.children.fork import Mask, fork
from bgtasksd.children.process import Process
from bgtasksd.scoreboard.board import unnamed_memory
from bgtasksd.supervisor.clock import Clock
from bgtasksd.supervisor.loop import Loop, Rank, nothing
from bgtasksd.supervisor.pacing import STEADY_AFTER, Backoff

DUMP_TIME = 0.5
ANSWER_TIMEOUT = 10.0

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
        self._process: Process | None = None
        self._channel: Channel | None = None

    arguments: Callable[[], dict[str, Any]] = dict
    inherited: Callable[[], Sequence[int]] = list
    on_message: Callable[[Message, list[int]], None] = nothing
    boot_timeout = 120.0
    longest_silence: float | None = None
    """Seconds without a message after which it is ended; None: it may be silent."""

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
        return self._process.pid if self._process else None

    @property
    def is_ready(self) -> bool:
        return self.state is LinkState.READY

    @property
    def is_gone(self) -> bool:
        return self._process is None

    def descriptors(self) -> list[int]:
        """Return what other children close."""
        held = [each.fileno() for each in (self._process, self._channel) if each is not None]
        return [*held, self.dump]

    def send(self, kind: str, descriptors: Sequence[int] = (), **fields: Any) -> bool:
        """Send it a message; False when it is not there."""
        return self._channel is not None and self._channel.send(kind, descriptors, **fields)

    def ask(self, kind: str, descriptors: Sequence[int] = (), **fields: Any) -> bool:
        """Send a message that is to be answered soon."""
        if self.asked_at is None:
            self.asked_at = self.clock.now()
        return self.send(kind, descriptors, **fields)

    def next_at(self) -> float | None:
        """Return when there is something to do: a start, or a deadline."""
        if self._process is None:
            return self.backoff.not_before if self.is_wanted else None
        if self.kill_at is not None:
            return self.kill_at
        if self.state is LinkState.STARTING:
            return self.started_at + self.boot_timeout
        if self.asked_at is not None:
            return self.asked_at + ANSWER_TIMEOUT
        return None if self.longest_silence is None else self.heard_at + self.longest_silence

    def run(self) -> None:
        """Start it when it is missing, end it when it is silent."""
        at = self.next_at()
        if at is None or at > self.clock.now():
            return
        if self._process is None:
            self.start()
        elif self.kill_at is not None:
            self.kill_at = self.clock.now() + 10
            self._process.send_signal(signal.SIGKILL)
        else:
            self.dump_and_kill()

    def start(self) -> None:
        """Fork it."""
        os.ftruncate(self.dump, 0)
        ours, theirs = channel.pair()
        closing = [*self.inherited(), ours.fileno()]
        try:
            pid = fork(lambda mask: self._be(theirs, closing, mask))
        except OSError as error:
            ours.close()
            delay = self.backoff.failed(self.clock.now())
            logger.error("%s not started: %s; next try in %.1f s", self.name, error.strerror, delay)
            return
        finally:
            theirs.close()
        self._process, self._channel = Process(pid), ours
        self.state, self.kill_at, self.asked_at = LinkState.STARTING, None, None
        self.started_at = self.heard_at = self.clock.now()
        self.loop.watch(self._process, Rank.EXIT, self._has_ended)
        self.loop.watch(ours, Rank.MESSAGE, self._hear)

    def _be(self, theirs: Channel, closing: list[int], mask: Mask) -> int:
        """Be the child: let go of what is the supervisor's, then call the entry."""
        channel.close_all(closing)
        module, _, function = self.entry.partition(":")
        serve = getattr(import_module(module), function)
        code: int = serve(theirs, mask=mask, dump=self.dump, **self.arguments())
        return code

    def became_ready(self) -> None:
        """Note that it is up."""
        if self.state is LinkState.STARTING:
            self.state = LinkState.READY

    def expect_replacement(self) -> None:
        """Note that it is about to leave for a good reason."""
        self.is_leaving = True

    def dump_and_kill(self) -> None:
        """End it with its stacks in the dump file: it has been silent too long."""
        assert self._process is not None
        logger.error("%s pid %s is silent: it is ended", self.name, self.pid, extra={"event": f"{self.name}_stuck"})
        self._process.send_signal(signal.SIGUSR2)
        self._process.send_signal(signal.SIGCONT)
        self.kill_at = self.clock.now() + DUMP_TIME

    def end(self, grace: float) -> None:
        """Ask it to leave, kill it after `grace`."""
        self.is_wanted = False
        if self._process is None or self.state is LinkState.ENDING:
            return
        patience = grace if self.is_ready else 0.0
        self.state = LinkState.ENDING
        self.send("exit")
        self.kill_at = self.clock.now() + patience

    def _hear(self) -> None:
        assert self._channel is not None
        while self._channel is not None:
            try:
                received = self._channel.receive()
            except ChannelClosed:
                self.loop.forget(self._channel)  # its death is told by the pidfd
                return
            if received is None:
                return
            self.heard_at, self.asked_at = self.clock.now(), None
            self.on_message(*received)

    def _has_ended(self) -> None:
        assert self._process is not None
        assert self._channel is not None
        self._hear()
        exit_ = self._process.reap()
        if exit_ is None:
            return
        self.loop.forget(self._process)
        self.loop.forget(self._channel)
        self._process.close()
        self._channel.close()
        was, pid = self.state, self.pid
        self._process = self._channel = None
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
