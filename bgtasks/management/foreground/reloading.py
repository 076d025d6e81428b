"""`--dev`: a new process whenever code changes, but never in the middle of a task."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from django.utils import autoreload

CHANGED = 3
"""The exit code by which a child asks for its successor; Django's."""
PR_SET_PDEATHSIG = 1


def is_the_child() -> bool:
    """Say whether this process is the one that runs tasks, and not the one that starts it anew."""
    return os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true"


def run_children() -> int:
    """Start this command again and again, as long as code changes; return how the last one ended."""
    # Django's own parent kills its child a quarter of a second after Ctrl-C: that would cut a task.
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, frame: object) -> None:
        if child is not None:
            child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    for number in (signal.SIGINT, signal.SIGTSTP):
        signal.signal(number, _do_nothing)  # a terminal sends these to the child itself
    environment = {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"}
    leave_with_us = _leaving_with_its_parent()
    while True:
        child = subprocess.Popen(  # noqa: S603
            autoreload.get_child_arguments(),
            env=environment,
            close_fds=False,
            preexec_fn=leave_with_us,  # noqa: PLW1509 - there is no other thread here
        )
        code = child.wait()
        if code != CHANGED:
            return code


def _leaving_with_its_parent() -> Callable[[], None] | None:
    """Return what a child does first so that it drains when this process is killed: nobody would start it anew."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def leave_with_us() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return leave_with_us


def _do_nothing(number: int, frame: object) -> None:
    """Handle a signal; SIG_IGN would be inherited by the child."""


def watch(on_change: Callable[[], None]) -> None:
    """Call `on_change` in another thread when a file of the project changes."""
    reloader = autoreload.get_reloader()

    def changed(sender: Any, file_path: Any, **kwargs: Any) -> bool:
        on_change()
        return True  # Django is not to end the process: that is done after the task

    autoreload.file_changed.connect(changed, weak=False)
    main = threading.main_thread()
    threading.Thread(target=reloader.run, args=(main,), name="bgtasks-autoreload", daemon=True).start()


def leave_for_successor() -> None:
    """End this process so that the parent starts a new one."""
    sys.exit(CHANGED)
