"""How the maintenance process begins: as a bare fork of the supervisor, or out of the zygote with all that is there."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import traceback

from bgtasksd import journal
from bgtasksd.children import channel
from bgtasksd.children.adoption import wait_for_adoption
from bgtasksd.children.fork import Mask, answer_nothing
from bgtasksd.children.linux import die_with_parent
from bgtasksd.exit_codes import EXIT_SOFTWARE
from bgtasksd.options import Options
from bgtasksd.scoreboard import Pages

UNANSWERED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
"""It leaves by order or when the supervisor is gone, never by a signal meant for a whole group."""


def serve(line: channel.Channel, *, options: Options, mask: Mask, dump: int, board: int) -> int:
    """Live as the maintenance process that the supervisor has forked; it loads Django by itself."""
    supervisor = os.getppid()
    die_with_parent(signal.SIGKILL)
    hear_signals(dump, mask)
    journal.continue_in_child()
    try:
        load(options.root)
    except BaseException as error:  # noqa: BLE001 - also a SystemExit in somebody's settings
        return fail(line, error)
    die_with_parent(None)  # from here it finishes its statement and leaves by the end of its line
    if os.getppid() != supervisor:
        return EXIT_SOFTWARE
    return work(line, options, board)


def serve_loaded(line: channel.Channel, *, options: Options, mask: Mask, dump: int, board: int, supervisor: int) -> int:
    """Live as the maintenance process that the zygote has forked: 5.5 MB of its own instead of 36, and up at once."""
    if not wait_for_adoption(supervisor):
        return EXIT_SOFTWARE
    hear_signals(dump, mask)
    journal.continue_in_child(are_enabled=True)
    return work(line, options, board)


def hear_signals(dump: int, mask: Mask) -> None:
    """Answer no signal but the one that asks for the stacks."""
    answer_nothing(UNANSWERED)
    faulthandler.register(signal.SIGUSR2, file=dump, all_threads=True)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def load(root: str) -> None:
    """Set Django up, without the modules of tasks: broken application code must not stop a release."""
    sys.path.insert(0, root)
    import django  # only here: this process starts as a bare fork of the supervisor

    django.setup()
    journal.continue_in_child()


def work(line: channel.Channel, options: Options, board: int) -> int:
    """Do the duties until the end."""
    try:
        from bgtasksd.maintenance.duties import Duties  # imports models: only after the set-up

        duties = Duties(line, options, Pages(board))
    except BaseException as error:  # noqa: BLE001 - whatever it is: it cannot start
        return fail(line, error)
    return duties.run()


def fail(line: channel.Channel, error: BaseException) -> int:
    """Tell the supervisor why it cannot start; return the exit code."""
    line.send("error", text="".join(traceback.format_exception(error))[-channel.LARGEST // 4 :])
    return EXIT_SOFTWARE
