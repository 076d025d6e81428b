"""The tasks of the soak: the mix that goes on all the time, and those that misbehave when it is their turn."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import time

from bgtasks import background
from tests.invariants.runs import recorded

kept: list[bytes] = []


@background
@recorded
def short(number: int, seconds: float) -> None:
    time.sleep(seconds)


@background
@recorded
def long(number: int) -> None:
    time.sleep(1.0)


@background(max_attempts=2)
@recorded
def failing(number: int) -> None:
    raise ValueError("as asked")


@background(atomic=True)
@recorded
def effect(number: int) -> None:
    """Leave exactly one row behind."""
    from django.contrib.auth.models import Group  # the models are there when it runs

    Group.objects.create(name=f"effect {number}")


@background(max_attempts=2)
@recorded
def overlong(number: int) -> None:
    time.sleep(60.0)


@background(max_attempts=2)
@recorded
def stubborn(number: int) -> None:
    until = time.monotonic() + 60.0
    while time.monotonic() < until:
        try:
            time.sleep(60.0)
        except BaseException:
            continue


@background(max_attempts=2)
@recorded
def stuck_in_c(number: int) -> None:
    sum(itertools.repeat(1, 10**12))


@background
@recorded
def backtracking(number: int) -> None:
    re.match(r"(a+)+$", "a" * 22 + "b")


@background
@recorded
def crashing(number: int) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@background
@recorded
def exiting(number: int) -> None:
    os._exit(3)


@background(max_attempts=2)
@recorded
def raising_system_exit(number: int) -> None:
    raise SystemExit(3)


@background
@recorded
def leaking(number: int) -> None:
    kept.append(os.urandom(5 * 1024 * 1024))


@background
@recorded
def leaving_a_process(number: int) -> None:
    subprocess.Popen(["sleep", "600"], start_new_session=True)


@background
@recorded
def spoiling(number: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    os.chdir("/")
    os.umask(0)


MISBEHAVING = {
    "overlong": overlong,
    "stubborn": stubborn,
    "stuck in C": stuck_in_c,
    "backtracking": backtracking,
    "crashing": crashing,
    "exiting": exiting,
    "raising SystemExit": raising_system_exit,
    "leaking": leaking,
    "leaving a process": leaving_a_process,
    "spoiling its process": spoiling,
}
