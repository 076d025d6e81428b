"""F12: zygote, middle child or worker killed at any point of the fork protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from bgtasks.models import CompletedTask
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

WORKERS = 8
FEWEST_EVENTS = {"zygote": 75, "middle": 40, "worker": 118}
"""Calls and returns in each of the processes between the order to fork and the worker's first loop, at least."""
KILLER = """
import os, signal, sys
from pathlib import Path

HERE = Path(__file__).parent
ROLES = ("zygote", "middle", "worker")

class Follower:
    # Counts what our code calls and what returns to it; at the point it is given it dies as by kill -9.

    def __init__(self):
        self.pid, self.depth, self.seen, self.point = os.getpid(), 0, 0, ("", 0)

    def __call__(self, frame, event, argument):
        if os.getpid() != self.pid:
            self.pid, self.depth, self.seen = os.getpid(), self.depth + 1, 0
        name = frame.f_code.co_name
        if event == "call" and name == "fork_worker":
            self.seen, self.point = 0, take_point()
        elif name in ("fork_worker", "work", "leave"):
            tell("events", ROLES[self.depth], self.seen)
        if event == "call" and name == "make_polling":
            sys.setprofile(None)
        if "/bgtasksd/" not in frame.f_code.co_filename or (name == "wait_for_adoption" and event != "call"):
            return  # how often it looks is another number each time
        self.seen += 1
        if self.point == (ROLES[self.depth], self.seen):
            tell("killed", ROLES[self.depth], self.seen, event, name, frame.f_code.co_filename, frame.f_lineno)
            os.kill(os.getpid(), signal.SIGKILL)

def take_point():
    points = (HERE / "points").read_text().split()
    (HERE / "points").write_text(" ".join(points[1:]))
    role, _, number = points[0].partition(":") if points else ("", "", "0")
    return role, int(number)

def tell(*words):
    with (HERE / "told").open("a") as file:
        file.write(" ".join(map(str, words)) + chr(10))

sys.setprofile(Follower())
"""


@pytest.fixture
def make_mortal(make_daemon):
    """A function that starts a daemon whose processes die at given points while they fork the first workers."""

    def make(points: list[str], name: str):
        daemon = make_daemon(name, workers=WORKERS)
        (daemon.directory / "killer.py").write_text(KILLER)
        (daemon.directory / "points").write_text(" ".join(points))
        daemon.add_setting("BGTASKS['TASK_MODULES'] = ['tests.lifecycle.tasks', 'killer']")
        daemon.start(is_awaited=False)
        daemon.wait_until_ready(2 * SLOW_MACHINE)  # several zygotes load the application, one after the other
        daemon.baseline = daemon.descriptor_count()
        return daemon

    return make


def told(daemon, kind: str) -> list[list[str]]:
    lines = Path(daemon.directory / "told").read_text().splitlines()
    return [line.split()[1:] for line in lines if line.startswith(kind)]


def points(number: int) -> list[str]:
    """Return so many points, spread over the roles and over the life of each."""
    found = []
    for turn in range(number):
        role = ("worker", "middle", "zygote", "middle")[turn % 4]
        found.append(f"{role}:{1 + FEWEST_EVENTS[role] * turn // number}")
    return found


@pytest.mark.parametrize(
    "rounds", [1, pytest.param(7, marks=pytest.mark.soak)], ids=["a few points", "more than fifty points"]
)
def test_f12_a_process_killed_at_any_point_of_the_fork_protocol_costs_no_slot(make_mortal, rounds):
    wanted = points(WORKERS * rounds)
    for number in range(rounds):
        some = wanted[number::rounds]
        daemon = make_mortal(some, f"round{number}")
        assert {f"{role}:{at}" for role, at, *_ in told(daemon, "killed")} == set(some)
        for task in range(20):
            tasks.nap(0.05, task)
        wait_until(lambda: CompletedTask.objects.count() == 20, SLOW_MACHINE)
        assert {each.attempts for each in CompletedTask.objects.all()} == {1}
        daemon.assert_converged()
        assert daemon.end() == 0
        CompletedTask.objects.all().delete()
