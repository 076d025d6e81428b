"""A worker may die, and be reaped as unknown, before the zygote has told its pid: nothing of it may be lost."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bgtasksd.children import channel
from bgtasksd.children.process import reap_strays
from bgtasksd.scoreboard import Record, WorkState
from bgtasksd.supervisor import hearing
from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.states import State
from tests.waiting import wait_until


@pytest.fixture
def child(situation):
    """A worker in its slot whose record names a task; nobody has told its pid yet."""
    index = situation.board.take()
    ours, theirs = channel.pair()
    theirs.close()
    child = Child(1, 1, "host:one:1:0", index, situation.board.page(index), ours, dump=os.memfd_create("dump"),
                  spawned_at=situation.clock.now())  # fmt: skip
    child.page.assign(1, 1, 1)
    child.page.write(Record(WorkState.BUSY, 3, 1, 42, 4242, time.monotonic(), 0.0, 0, 0, 0, 0, "shop.tasks.crash"))
    situation.slots.all[0].child = child
    return child


def dead_stray() -> tuple[int, int]:
    """Start a process that dies of SIGSEGV; return its pid, and a pidfd taken while it lived."""
    pid = os.posix_spawnp("sleep", ["sleep", "60"], os.environ)
    pidfd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGSEGV)
    return pid, pidfd


@pytest.mark.parametrize("is_held", [True, False], ids=["its pidfd arrives", "only its hello arrives"])
def test_f04_a_worker_reaped_before_its_pid_was_known_is_accounted_for_like_any_other(
    situation, child, caplog, is_held
):
    caplog.set_level("INFO", "bgtasksd.supervisor")
    pid, pidfd = dead_stray()
    wait_until(lambda: situation.strays_reaped.update(reap_strays(set())) or pid in situation.strays_reaped)
    hearing.attach(situation, child, pid, pidfd if is_held else None)
    if is_held:
        situation.loop.turn()
    else:
        os.close(pidfd)
    assert child.state is State.EXITED
    (death,) = situation.deaths.waiting.values()
    assert (death["running"], death["reason"].split()[0]) == ([[42, 4242]], "SIGSEGV")
    (line,) = [record.getMessage() for record in caplog.records if " died: " in record.getMessage()]
    assert f"pid {pid} died: SIGSEGV; task 42 shop.tasks.crash ran" in line.replace(" (core dumped)", "")
