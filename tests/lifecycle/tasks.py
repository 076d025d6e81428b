"""Tasks that hang, crash, leak and misbehave on purpose; each leaves lines in the ledger."""

from __future__ import annotations

import ctypes
import faulthandler
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bgtasks import background, limits
from tests.project.tasks import note

if os.environ.get("BGTASKS_TEST_MIN_LIFETIME"):
    limits.MIN_LIFETIME = float(os.environ["BGTASKS_TEST_MIN_LIFETIME"])  # the tests are not to wait for ten seconds


def pause_at(moment: str, path: str) -> None:
    """Have workers sleep as long as the file exists: between a claim's commit, or a body's end, and its record."""
    from bgtasksd.zygote.observer import SlotObserver  # only a worker's process has it

    record = getattr(SlotObserver, moment)

    def paused(observer: SlotObserver, *what: Any) -> None:
        while what[0] and Path(path).exists():
            note(moment)
            time.sleep(0.1)
        record(observer, *what)

    setattr(SlotObserver, moment, paused)


if os.environ.get("BGTASKS_TEST_PAUSE"):
    pause_at(*os.environ["BGTASKS_TEST_PAUSE"].split(":", 1))


@background
def quick(number: int = 0) -> None:
    note("ran", number=number)


@background
def stand(number: int) -> None:
    """Be quick, unless a file stands beside the ledger for this number; then wait until it is gone."""
    note("ran", number=number)
    obstacle = Path(os.environ["BGTASKS_TEST_LEDGER"]).with_name(f"stand-{number}")
    while obstacle.exists():
        time.sleep(0.05)


@background(atomic=True)
def quick_and_atomic(number: int = 0) -> None:
    note("ran", number=number)


@background
def read_and_write(number: int) -> None:
    """Write as people do: one row by itself, then in a transaction something that depends on what was read."""
    from django.contrib.auth.models import Group  # the models are there when it runs
    from django.db import transaction

    Group.objects.update_or_create(name=f"own {number}")
    with transaction.atomic():
        seen = Group.objects.count()
        Group.objects.update_or_create(name=f"shared {number % 10}", defaults={"name": f"shared {number % 10}"})
        Group.objects.filter(name=f"own {number}").update(name=f"own {number} of {seen}")


@background
def nap(seconds: float, number: int = 0) -> None:
    note("started", number=number)
    time.sleep(seconds)
    note("ended", number=number)


@background
def nap_and_enqueue(seconds: float) -> None:
    """Enqueue another task first."""
    note("started")
    quick.enqueue(0)
    time.sleep(seconds)
    note("ended")


@background
def fail_once(number: int) -> None:
    """Fail in the first run, end well in the next."""
    note("ran", number=number)
    ledger = Path(os.environ["BGTASKS_TEST_LEDGER"]).read_text().splitlines()
    if sum(json.loads(line).get("number") == number for line in ledger) == 1:
        raise ValueError("once")


@background
def hang(number: int = 0) -> None:
    note("started", number=number)
    try:
        time.sleep(3600)
    except BaseException as error:
        note("interrupted", number=number, error=type(error).__name__)
        raise


@background
def hang_once(number: int) -> None:
    """Hang in the first run, end at once in the next."""
    note("started", number=number)
    ledger = Path(os.environ["BGTASKS_TEST_LEDGER"]).read_text().splitlines()
    if sum(json.loads(line).get("number") == number for line in ledger) == 1:
        time.sleep(3600)


@background
def hang_stubbornly() -> None:
    note("started")
    while True:
        try:
            time.sleep(3600)
        except BaseException as error:
            note("interrupted", error=type(error).__name__)


@background
def spin_in_c() -> None:
    note("started")
    sum(itertools.repeat(1, 10**12))


@background
def match_catastrophically(seconds: float) -> None:
    """Backtrack in the regular expression engine for a while: no other bytecode runs meanwhile."""
    note("started")
    until = time.monotonic() + seconds
    length = 20
    while time.monotonic() < until:
        re.match(r"(a+)+$", "a" * length + "b")
    note("ended")


@background
def segfault() -> None:
    note("started")
    os.kill(os.getpid(), signal.SIGSEGV)


@background
def read_null() -> None:
    note("started")
    ctypes.string_at(0)


@background
def abort() -> None:
    note("started")
    os.abort()


@background
def abort_in_c() -> None:
    note("started")
    faulthandler._sigabrt()


@background
def overflow_stack() -> None:
    note("started")
    faulthandler._stack_overflow()


@background
def leave(kind: str) -> None:
    note("ran", kind=kind)
    if kind == "sys.exit":
        sys.exit()
    raise {"SystemExit": SystemExit(3), "KeyboardInterrupt": KeyboardInterrupt(), "BaseException": BaseException("no")}[
        kind
    ]


@background
def exit_at_once(code: int = 0) -> None:
    note("started")
    os._exit(code)


@background
def spoil_signals() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for number in (signal.SIGCHLD, signal.SIGALRM, signal.SIGUSR1):
        signal.signal(number, lambda *_: note("hijacked"))
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    signal.set_wakeup_fd(-1)
    note("spoiled")


@background
def spoil_signals_and_hang() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    note("started")
    time.sleep(3600)


@background
def start_grandchildren() -> None:
    """Start one process in our group and one in a session of its own, and wait."""
    inside = subprocess.Popen(["sleep", "3600"])
    outside = subprocess.Popen(["sleep", "3601"], start_new_session=True)
    note("grandchildren", pids=[inside.pid, outside.pid])
    inside.wait()


kept: list[bytearray] = []


@background
def leak(megabytes: int) -> None:
    block = bytearray(megabytes * 1024 * 1024)
    block[:: os.sysconf("SC_PAGE_SIZE")] = bytes(b"x" * len(block[:: os.sysconf("SC_PAGE_SIZE")]))
    kept.append(block)
    note("ran", megabytes=megabytes)


@background
def spike(megabytes: int) -> None:
    block = bytearray(b"x") * (megabytes * 1024 * 1024)
    del block
    note("ran", megabytes=megabytes)


@background
def hog() -> None:
    note("started")
    blocks = []
    while True:
        blocks.append(bytearray(b"x") * (8 * 1024 * 1024))
