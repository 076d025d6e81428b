"""`--dev`: a new process whenever code changes, but never in the middle of a task."""

from __future__ import annotations

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
    while True:
        child = subprocess.Popen(autoreload.get_child_arguments(), env=environment, close_fds=False)  # noqa: S603
        code = child.wait()
        if code != CHANGED:
            return code


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
