"""The keys of `top`: a question at the bottom line, then an order to the daemon, or a verb run beside the view."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bgtasks.output import one_line
from bgtasksd.cli.glance import tasks_of
from bgtasksd.cli.screen import ESCAPE, GONE, Screen
from bgtasksd.connection import Connection, NoAnswer, Refused
from bgtasksd.status import Sight

KEYS = "p pause or resume a queue   r retire   k kill   q quit"
QUIT = frozenset({"q", "Q", GONE})
RUBBED_OUT = frozenset({"\x7f", "\b"})
MESSAGE_TIME = 8.0
"""Seconds for which it is shown what became of an order."""


class Watched(Protocol):
    """The daemon in view."""

    sight: Sight

    def look(self) -> None: ...
    def lines(self) -> list[str]: ...


@dataclass
class Question:
    """What is asked at the bottom line, and who takes the answer."""

    text: str
    then: Callable[[str], None]
    typed: str = ""


class Steering:
    """Draws, reads keys and acts on them, until `q`."""

    def __init__(self, watched: Watched, screen: Screen, interval: float) -> None:
        self.watched = watched
        self.screen = screen
        self.interval = interval
        self.question: Question | None = None
        self.message, self.said_at = "", float("-inf")
        self.errand: subprocess.Popen[str] | None = None
        self.turning = "", False
        """The queue that the errand pauses (True) or resumes."""
        self.turned: dict[str, tuple[float, bool]] = {}
        """When that was done with each queue: the figures may know of it half a minute later."""

    def run(self) -> int:
        """Show the daemon until told to quit."""
        due = time.monotonic()
        while True:
            if time.monotonic() >= due:
                self.watched.look()
                due = time.monotonic() + self.interval  # counted from here: a slow terminal is not overrun
            self._hear_errand()
            self.screen.draw(self.watched.lines(), self._last_line())
            key = self.screen.key(min(due - time.monotonic(), 0.2 if self.errand else self.interval))
            if key is not None and self._press(key):
                return 0

    def _last_line(self) -> str:
        if self.question is not None:
            return f" {self.question.text} {self.question.typed}_"
        if time.monotonic() - self.said_at < MESSAGE_TIME:
            return f" {one_line(self.message)}"
        return f" {KEYS}"

    def _press(self, key: str) -> bool:
        """Act on a key; tell whether it was the one to quit."""
        if self.question is not None and key != GONE:
            self._answer(self.question, key)
        elif key in QUIT:
            return True
        elif key == "p":
            self.question = Question("queue to pause, or to resume:", self._pause)
        elif key == "r":
            self.question = Question("slot to retire (all: *):", self._retire)
        elif key == "k":
            self.question = Question("slot to kill:", self._ask_whether_to_kill)
        return False

    def _answer(self, question: Question, key: str) -> None:
        if key == ESCAPE:
            self.question = None
        elif key in "\r\n":
            self.question = None
            if question.typed.strip():
                question.then(question.typed.strip())
        elif key in RUBBED_OUT:
            question.typed = question.typed[:-1]
        elif key.isprintable():
            question.typed += key

    def _say(self, text: str) -> None:
        self.message, self.said_at = text, time.monotonic()

    def _pause(self, queue: str) -> None:
        """Run the verb: it works through the database, and so needs the project."""
        settings = self.watched.sight.facts["settings"]
        is_paused = self._is_paused(queue)
        verb = "resume" if is_paused else "pause"
        command = [verb, *(["--settings", settings] if settings else []), "--", queue]
        self.turning = queue, not is_paused
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        program = [sys.executable, "-m", "bgtasksd", *command]
        self.errand = subprocess.Popen(program, text=True, **pipes)  # noqa: S603 - our own program, without a shell
        self._say(f"bgtasksd {' '.join(command)} …")

    def _is_paused(self, queue: str) -> bool:
        facts = self.watched.sight.facts
        at, was_paused = self.turned.get(queue, (float("-inf"), False))
        if time.monotonic() - at < (facts["figures_age_s"] or 0.0) + self.interval:
            return was_paused
        return any(each["paused"] for each in facts["queues"] if each["name"] == queue)

    def _hear_errand(self) -> None:
        if self.errand is None or self.errand.poll() is None:
            return
        assert self.errand.stdout is not None
        told = " ".join(self.errand.stdout.read(2000).split())
        self.errand.stdout.close()
        failed = "" if self.errand.returncode == 0 else f"exit code {self.errand.returncode}: "
        if not failed:
            queue, is_paused = self.turning
            self.turned[queue] = time.monotonic(), is_paused
        self.errand = None
        self._say(failed + told)

    def _retire(self, slot: str) -> None:
        slots = [] if slot == "*" else [self._slot(slot)]
        if None not in slots:
            self._order("retire", slots=slots)

    def _ask_whether_to_kill(self, text: str) -> None:
        slot = self._slot(text)
        if slot is None:
            return
        workers = self.watched.sight.facts["workers"]
        worker = next((each for each in workers if each["slot"] == slot), None)
        if worker is None:
            self._say(f"there is no slot {slot}")
            return
        doing = f" in {tasks_of(worker)}" if worker["task"] else ""
        text = f"kill the worker of slot {slot}, pid {worker['pid']}{doing}? That counts as an attempt. [y/N]"
        self.question = Question(text, lambda said: self._kill(slot, said))

    def _kill(self, slot: int, said: str) -> None:
        if said.lower() in ("y", "yes"):
            self._order("kill", slot=slot)

    def _slot(self, text: str) -> int | None:
        if text.isdigit():
            return int(text)
        self._say(f"{text!r} is no slot: their numbers stand at the left")
        return None

    def _order(self, command: str, **arguments: Any) -> None:
        try:
            with Connection(self.watched.sight.directory, patience=2.0) as connection:
                connection.ask(command, **arguments)
        except (Refused, OSError, NoAnswer, ValueError, KeyError) as error:
            self._say(f"{command}: {error}")
        else:
            self._say(f"{command}: accepted")
