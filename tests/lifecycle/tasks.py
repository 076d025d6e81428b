"""Tasks that hang, crash, leak and misbehave on purpose; each leaves lines in the ledger."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import itertools
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bgtasks import background, limits, signals
from bgtasks.exceptions import TaskCancelled
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


def note_cancelled(task_id: int, **facts: Any) -> None:
    note("told of cancelling", task_id=task_id)


if os.environ.get("BGTASKS_TEST_HEAR"):
    signals.task_cancelled.connect(note_cancelled)


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


@background
def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - as people do


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
def wait(seconds: float, number: int = 0) -> None:
    """Nap without `time.sleep`, which fails where libfaketime is loaded."""
    note("started", number=number)
    try:
        select.select([], [], [], seconds)
    except BaseException as error:
        note("interrupted", number=number, error=type(error).__name__)
        raise
    note("ended", number=number)


@background(atomic=True)
def write_and_nap(seconds: float, number: int = 0) -> None:
    """Keep what an atomic task has written locked for a while."""
    from django.contrib.auth.models import Group  # the models are there when it runs

    Group.objects.update_or_create(name=f"nap {number}")
    note("started", number=number)
    time.sleep(seconds)


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
def ask_for_long(seconds: float) -> None:
    """Let the database take its time for an answer."""
    from django.db import connection  # it is there when this runs

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [seconds])


@background
def hang_and_tidy_up(seconds: float) -> None:
    """Hang; when cancelled take a while to clean up, and then end as told."""
    note("started")
    try:
        time.sleep(3600)
    except TaskCancelled:
        time.sleep(seconds)
        note("tidied up")
        raise


@background
def hang_and_fail(number: int) -> None:
    """Wait for the file beside the ledger, and fail then."""
    note("started", number=number)
    while not Path(os.environ["BGTASKS_TEST_LEDGER"]).with_name(f"fail-{number}").exists():
        time.sleep(0.05)
    raise ValueError("as asked")


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
def spoil_line(number: int, kind: str) -> None:
    """Write nonsense into the worker's line to its supervisor, or put something else in its place."""
    line = next(each for each in map(int, os.listdir("/proc/self/fd")) if is_a_line(each))  # noqa: PTH208 - numbers
    if kind == "nonsense":
        for text in (b"\xff\0", b"[1]", b'{"kind": 5}', b'{"kind": "hello", "pid": "me"}', b"x" * 100_000):
            os.write(line, text)
    elif kind == "a file":
        with Path("/dev/null").open("rb") as file:
            os.dup2(file.fileno(), line)
    else:
        os.close(line)
    note("spoiled", number=number)


def is_a_line(descriptor: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            return copy.type == socket.SOCK_SEQPACKET
    except OSError:
        return False


@background
def spoil_output(number: int, kind: str) -> None:
    """Write 100 MB without a newline; close standard output; put something in its place that cannot be written."""
    if kind == "flood":
        for _ in range(100):
            print("x" * 2**20, end="", flush=True)  # noqa: T201 - as people do
    elif kind == "close":
        os.close(1)
    else:
        sys.stdout = None
    note("spoiled", number=number)


@background
def start_grandchildren() -> None:
    """Start one process in our group and one in a session of its own, and wait."""
    inside = subprocess.Popen(["sleep", "3600"])
    outside = subprocess.Popen(["sleep", "3601"], start_new_session=True)
    note("grandchildren", pids=[inside.pid, outside.pid])
    inside.wait()


@background
def serve_in_background() -> None:
    """Use what a shell has begun and left alone in our group, as long as it takes."""
    shell = subprocess.run(
        ["sh", "-c", "sleep 3602 > /dev/null & echo $!"], stdout=subprocess.PIPE, text=True, check=True
    )
    note("serving", server=int(shell.stdout))
    time.sleep(3600)


kept: list[bytearray] = []


@background
def leak(megabytes: int) -> None:
    block = bytearray(megabytes * 1024 * 1024)
    block[:: os.sysconf("SC_PAGE_SIZE")] = bytes(b"x" * len(block[:: os.sysconf("SC_PAGE_SIZE")]))
    kept.append(block)
    note("ran", megabytes=megabytes)


@background
def thaw() -> None:
    """Undo what keeps memory shared, and have the collector write to all of it."""
    gc.unfreeze()
    gc.collect()
    note("ran")


@background
def spike(megabytes: int) -> None:
    block = bytearray(b"x") * (megabytes * 1024 * 1024)
    del block
    note("ran", megabytes=megabytes)


@background
def balloon(megabytes: int) -> None:
    """Take memory and keep it, for as long as the task is let live; the second time leave it."""
    note("started")
    ledger = Path(os.environ["BGTASKS_TEST_LEDGER"]).read_text()
    if ledger.count("started") == 1:
        block = bytearray(b"x") * (megabytes * 1024 * 1024)
        time.sleep(3600)
        del block


@background
def hog() -> None:
    note("started")
    blocks = []
    while True:
        blocks.append(bytearray(b"x") * (8 * 1024 * 1024))
