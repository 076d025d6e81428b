"""How long a process that runs tasks waits for the tasks' database: to connect, for an answer, for a peer that is gone.

Tasks use the same connections: whatever bounds an answer counts for the loop's own calls alone.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from time import monotonic
from types import CodeType, FrameType
from typing import Any

from django.db import OperationalError, connections
from django.db.backends.signals import connection_created

from bgtasks.queue.engines import alias, engine

CONNECT_TIMEOUT = 5
ANSWER_TIMEOUT = 10
LOOK = 1.0
"""Seconds between two looks at what a call waits for: no call that is answered within one costs more than a timer."""
KEEPALIVE = (10, 5, 4)
"""Seconds of silence, seconds between two questions, and how many of them without an answer end a connection."""
GONE_AFTER = 30
"""Seconds after which what was sent must have been received. A query may take as long as it likes."""
CANCEL_TIMEOUT = 1.0


class NoAnswer(OperationalError):
    """The database has not answered in time; whether it did what it was asked is not known."""


def be_bounded(*, runs_tasks: bool = True) -> None:
    """From now on this process gives up connecting, and peers that are gone; without tasks also waiting for an answer.

    What the project's OPTIONS say stands.
    """
    db, options = engine(), connections[alias()].settings_dict["OPTIONS"]
    for name in db.connect_timeouts:
        options.setdefault(name, CONNECT_TIMEOUT)
    for name in () if runs_tasks else db.answer_timeouts:
        options.setdefault(name, ANSWER_TIMEOUT)
    connection_created.connect(_notice_a_gone_peer, dispatch_uid="bgtasks: bounded connections")


def _notice_a_gone_peer(connection: Any, **kwargs: Any) -> None:
    """Have the kernel ask a silent peer whether it is there: one whose host is gone never says so itself."""
    if connection.alias != alias() or "tcp_user_timeout" in connection.settings_dict["OPTIONS"]:
        return
    with (
        suppress(AttributeError, OSError),
        closing(socket.socket(fileno=os.dup(connection.connection.fileno()))) as way,
    ):
        if way.family not in (socket.AF_INET, socket.AF_INET6):
            return
        way.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in zip(("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"), KEEPALIVE, strict=True):
            way.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        way.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_AFTER * 1000)


class Bound:
    """Ends what is asked inside of it with NoAnswer when the database is silent for too long, call by call.

    By an interval timer, in the main thread, between two tasks; and only while the driver waits, as Ctrl-C would end
    it. psycopg 3 looks for signals while it waits; mysqlclient and sqlite3 do not, and nothing is done for them here.
    """

    def __init__(self) -> None:
        self.wait: CodeType | None = None
        """Where the driver waits; None: it cannot be interrupted there."""
        self.is_listening = self.is_listening_for_good = self.is_entered = False
        self.handler_before: Any = None
        self.call: FrameType | None = None
        """The call that was waiting at the last look."""
        self.since = 0.0

    def listen(self) -> None:
        """Install the handler until `close`: a system call less for every use, and no task is blamed for it."""
        self._listen()
        self.is_listening_for_good = self.is_listening

    def close(self) -> None:
        """Leave the process as it was."""
        if self.is_listening:
            signal.signal(signal.SIGALRM, self.handler_before or signal.SIG_DFL)
        self.is_listening = self.is_listening_for_good = False

    def __enter__(self) -> None:
        if not self.is_listening:
            self._listen()
        if self.is_listening:
            self.is_entered = True
            signal.setitimer(signal.ITIMER_REAL, LOOK, LOOK)

    def __exit__(self, *error: object) -> None:
        if self.is_listening:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.is_entered, self.call = False, None
            if not self.is_listening_for_good:
                self.close()

    def on_alarm(self, number: int, frame: FrameType | None) -> None:
        """Look whether the call that waited at the last look still does. Outside of ours the signal is another's."""
        if not self.is_entered:
            if callable(self.handler_before):
                self.handler_before(number, frame)
            return
        call = next((each for each in _frames(frame) if each.f_code is self.wait), None)
        if call is None or call is not self.call:
            self.call, self.since = call, monotonic()
        elif monotonic() - self.since >= ANSWER_TIMEOUT - LOOK:
            self.call = None
            _cancel()
            raise NoAnswer(f"no answer within {ANSWER_TIMEOUT} s")

    def _listen(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self.wait = engine().wait_of_the_driver()
            if self.wait is not None and not self.is_listening:
                self.handler_before = signal.signal(signal.SIGALRM, self.on_alarm)
                self.is_listening = True


bound = Bound()
"""The one of this process: there is but one timer."""


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _cancel() -> None:
    """Ask the server to give up, too: what waits for a lock there would be done whenever it gets it."""
    driver = connections[alias()].connection
    with suppress(Exception):  # it may be gone; psycopg before 3.2 cannot ask without waiting
        driver.cancel_safe(timeout=CANCEL_TIMEOUT)
