"""The maintenance process: `bgtasks.maintenance` for this daemon's workers, and reports to its supervisor."""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import sys
import traceback

from bgtasksd import journal
from bgtasksd.children.channel import LARGEST, Channel, ChannelClosed
from bgtasksd.children.fork import Mask, answer_nothing
from bgtasksd.children.linux import die_with_parent
from bgtasksd.options import Options
from bgtasksd.scoreboard import Board

UNANSWERED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
"""It leaves by order or when the supervisor is gone, never by a signal meant for a whole group."""
LONGEST_WAIT = 1.0


def serve(line: Channel, options: Options, board: Board, mask: Mask, *, dump: int) -> int:
    """Live as the maintenance process, from the fork to the end."""
    supervisor = os.getppid()
    die_with_parent(signal.SIGKILL)
    answer_nothing(UNANSWERED)
    faulthandler.register(signal.SIGUSR2, file=dump, all_threads=True)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    journal.continue_in_child()
    try:
        duties = _load(line, options, board)
    except BaseException:  # noqa: BLE001 - also a SystemExit in somebody's settings
        line.send("error", text=traceback.format_exc()[-LARGEST // 4 :])
        return 70
    die_with_parent(None)  # from here it finishes its statement and leaves by the end of its line
    if os.getppid() != supervisor:
        return 70
    return duties.run()


def _load(line: Channel, options: Options, board: Board) -> Duties:
    """Set Django up, without the modules of tasks: broken application code must not stop a release."""
    sys.path.insert(0, options.root)
    import django  # only here: this process starts as a bare fork of the supervisor

    django.setup()
    journal.continue_in_child()
    return Duties(line, options, board)


class Duties:
    """One round after the other, until the supervisor says `exit` or is gone."""

    def __init__(self, line: Channel, options: Options, board: Board) -> None:
        self.line = line
        self.options = options
        self.board = board
        self.names: list[str] = []

    def run(self) -> int:
        self.line.send("booted", alias="default", vendor="sqlite")
        while True:
            self.line.send("turn", database_up=True, renewed=True)
            select.select([self.line], [], [], 1)
            try:
                received = self.line.receive()
            except ChannelClosed:
                return 0
            if received and received[0]["kind"] == "exit":
                return 0
