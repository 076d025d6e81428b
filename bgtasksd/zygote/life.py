"""A worker's life in its own process: from the fork over hello and the polling loop to the last word."""

from __future__ import annotations

import faulthandler
import os
import random
import signal
import sys
import time

from bgtasksd import journal
from bgtasksd.children import channel
from bgtasksd.children.adoption import wait_for_adoption
from bgtasksd.children.fork import Mask, answer_nothing
from bgtasksd.children.linux import die_with_parent, offer_to_oom_killer
from bgtasksd.children.process import start_ticks
from bgtasksd.exit_codes import EXIT_DAMAGED, EXIT_SOFTWARE
from bgtasksd.options import Options
from bgtasksd.scoreboard import Page, Places
from bgtasksd.zygote.birth import Birth
from bgtasksd.zygote.line import Line
from bgtasksd.zygote.titles import title

NOT_FOR_US = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""A ^C in the terminal or a signal to the group must not cut a task."""


def live(birth: Birth, options: Options, mask: Mask, *, loaded: bool) -> int:
    """Live as a worker; return the exit code. Every signal is blocked at the beginning."""
    channel.close_all(birth.closing)
    end, board, dump = birth.descriptors
    if not wait_for_adoption(birth.supervisor):
        return EXIT_SOFTWARE
    os.setpgid(0, 0)
    die_with_parent(signal.SIGTERM)
    if os.getppid() != birth.supervisor:
        return EXIT_SOFTWARE
    offer_to_oom_killer()
    reseed()
    page = Page.open(board, birth.page)
    if birth.places:
        page.places = Places([Page.open(board, index) for index in birth.places], birth.concurrency)
    os.close(board)
    line = Line(channel.from_descriptor(end), page)
    hear_signals(line, dump)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    title(f"bgtasksd: worker {birth.slot}")
    if not line.send("hello", worker=birth.worker, pid=os.getpid(), start_ticks=start_ticks(os.getpid())):
        return EXIT_SOFTWARE  # given up already: whoever forked us died before that was told, and the page is another's
    journal.continue_in_child(are_enabled=loaded)
    return work(birth, options, line, loaded=loaded)


def hear_signals(line: Line, dump: int) -> None:
    """Install the worker's handlers: they note what came; SIGUSR2 dumps every stack even out of C code."""
    answer_nothing(NOT_FOR_US)
    signal.signal(signal.SIGTERM, lambda *_: line.drain("stopped"))
    signal.signal(signal.SIGUSR1, lambda *_: line.obey())
    faulthandler.enable(file=dump, all_threads=True)
    faulthandler.register(signal.SIGUSR2, file=dump, all_threads=True)
    line.listen()


def reseed() -> None:
    """Give the process its own random numbers: a fork has its parent's."""
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def work(birth: Birth, options: Options, line: Line, *, loaded: bool) -> int:
    """Load the application if that is still to be done, and run the polling loop until it ends."""
    # only now: with `preload` none this is where Django is imported
    from bgtasksd.zygote import application

    try:
        tasks = None if loaded else list(application.load(options.root).tasks)
        from bgtasksd.zygote.polling import make_polling

        polling = make_polling(birth, options, line)
    except BaseException as error:  # noqa: BLE001 - also a SystemExit in somebody's settings
        line.send("error", **application.failure(error))
        return EXIT_SOFTWARE
    if not line.send("booted", tasks=tasks[:1000] if tasks else None, at=time.monotonic()):
        return EXIT_SOFTWARE
    try:
        reason = polling.run()
        line.reckoning.tell()
        is_said = line.send("bye", reason=reason)
    except BaseException as error:  # noqa: BLE001 - whatever it is: this worker has failed
        line.send("error", **application.failure(error))
        return EXIT_SOFTWARE
    return 0 if is_said or reason != "damaged" else EXIT_DAMAGED
