"""The course of a soak: start, one fault after the other, the end of enqueuing, the reckoning."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from tests.invariants.runs import Ledger
from tests.invariants.tasks import broken_in_tasks, rows
from tests.servers import Server
from tests.soak.faults import FAULTS, Fault, possible
from tests.soak.running import PATIENCE, Soak
from tests.waiting import wait_until

CALM_EVERY = 60.0
"""Seconds from one look at the whole to the next."""
RELOAD_EVERY = 180.0
LOOK_EVERY = 2.0
LONGEST_STANDSTILL = 60.0
"""Seconds without any task ending, while there are some, after which the queue does not drain."""


def soaked(options: argparse.Namespace, directory: Path, server: Server) -> list[str]:
    """Run it all; return what is broken."""
    soak = Soak(directory, server, random.Random(options.seed), options.workers)
    migrate = [sys.executable, "-m", "django", "migrate", "-v0"]
    subprocess.run(migrate, env=soak.daemon.environment(), cwd=soak.daemon.directory, check=True)
    try:
        soak.start()
        soak.begin_enqueuing(options.rate)
        suffer(soak, options.minutes * 60, options.only)
        soak.end_enqueuing()
        drain(soak)
        calm(soak)
        reckon(soak)
    except BaseException as error:
        soak.broken.append(f"{type(error).__name__}: {str(error)[:2000]}\n{traceback.format_exc(limit=-4)[:3000]}")
        if not isinstance(error, Exception):
            raise
    finally:
        soak.close()
    return soak.broken


def suffer(soak: Soak, seconds: float, only: list[str]) -> None:
    """Let one fault follow the other for so long."""
    began = time.monotonic()
    calm_at, reload_at = began + CALM_EVERY, began + RELOAD_EVERY
    done: Counter[str] = Counter()
    while (now := time.monotonic()) < began + seconds and not soak.broken:
        if now - began > seconds / 2 and not soak.is_late:
            soak.is_late = True
            soak.memory.forget()
        each = choose(soak, only)
        if now > reload_at and "reload" in soak.verbs:
            each, reload_at = next(fault for fault in FAULTS if fault.name == "reload"), now + RELOAD_EVERY
        print(f"{now - began:7.1f} s  {each.name}", flush=True)
        done[each.name] += 1
        each.act(soak)
        rest(soak, soak.chance.uniform(0.2, 4.0))
        if time.monotonic() > calm_at:
            calm(soak)
            calm_at = time.monotonic() + CALM_EVERY
    print(", ".join(f"{name} × {count}" for name, count in done.most_common()), flush=True)


def choose(soak: Soak, only: list[str]) -> Fault:
    """Draw a fault."""
    faults = [each for each in possible(soak, soak.verbs) if not only or each.name in only]
    return soak.chance.choices(faults, [each.weight for each in faults])[0]


def rest(soak: Soak, seconds: float) -> None:
    """Look, and let time pass."""
    until = time.monotonic() + seconds
    while True:
        soak.look()
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, LOOK_EVERY))


def calm(soak: Soak) -> None:
    """Check what must hold again soon after the last fault: I1 to I5."""

    def is_running() -> bool:
        status = soak.daemon.try_status()  # None, where a busy machine lets it wait
        return status is not None and status["state"] == "running"

    wait_until(is_running, PATIENCE, "the end of the last fault")
    soak.daemon.assert_converged(within=PATIENCE)
    soak.look()


def drain(soak: Soak) -> None:
    """Wait until nothing is left to do."""
    from django.db import connections

    from bgtasks.models import Task

    connections.close_all()
    least, moved_at = Task.objects.count(), time.monotonic()
    while left := Task.objects.count():
        if left < least:
            least, moved_at = left, time.monotonic()
        if time.monotonic() - moved_at > LONGEST_STANDSTILL:
            raise AssertionError(f"{left} tasks are left: {list(Task.objects.values()[:5])}")
        rest(soak, 1.0)


def reckon(soak: Soak) -> None:
    """Compare what tasks wrote down with what the database says: I6; I8, effects and memory."""
    from django.contrib.auth.models import Group

    from bgtasks.models import CompletedTask, Status

    asked, stored = soak.stored()
    ledger = Ledger(soak.daemon.ledger())
    in_doubt = asked - stored.keys()  # the answer to their commit was lost: they may be there or not
    stored.update({number: runs[0].task for number, runs in ledger.runs.items() if number in in_doubt})
    soak.broken += broken_in_tasks(ledger, stored)
    succeeded = {
        row.pk for row in CompletedTask.objects.filter(outcome=Status.SUCCESSFUL, task_name__endswith=".effect")
    }
    effects = {stored[int(name.split()[1])] for name in Group.objects.values_list("name", flat=True)}
    if succeeded != effects:
        soak.broken.append(f"I6: effects without a success or the reverse: tasks {sorted(succeeded ^ effects)[:10]}")
    soak.look_at_notices()
    soak.broken += soak.memory.grown()
    never = soak.daemon.log_lines("a callback of the supervisor failed|the others go on|illegal")
    soak.broken += [f"in the log, × {len(never)}: {never[0]}"] if never else []
    outcomes = Counter(row.status.name for row in rows().values())
    runs = sum(map(len, ledger.runs.values()))
    print(f"{len(stored)} tasks, {runs} runs: {dict(outcomes)}; {'; '.join(soak.memory.told())}", flush=True)
