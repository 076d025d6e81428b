"""When a worker has done enough."""

from __future__ import annotations

import mmap
import random

import pytest

from bgtasks import limits
from bgtasks.limits import Limits

MB = 1024 * 1024


@pytest.fixture
def clock(monkeypatch):
    """A monotonic clock that moves when a test says so."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(limits, "time", clock)
    return clock


def test_without_limits_nothing_is_ever_reached(clock):
    worker = Limits()
    worker.tasks = 10**6
    clock.now += 10**6
    assert worker.reached() == ""
    assert worker.remaining() == float("inf")


def test_a_count_limit_is_obeyed_at_any_age():
    worker = Limits(max_tasks=1)
    assert worker.reached() == ""
    worker.tasks = 1
    assert worker.reached() == "max_tasks"


def test_an_age_limit_waits_for_the_minimum_lifetime(clock):
    worker = Limits(max_age=2)
    clock.now += 9.9
    assert worker.reached() == ""
    assert worker.remaining() == pytest.approx(0.1)
    clock.now += 0.1
    assert worker.reached() == "max_age"
    assert worker.remaining() == 0


def test_a_duration_is_exact(clock):
    worker = Limits(duration=2, max_age=60)
    clock.now += 1.5
    assert (worker.reached(), worker.remaining()) == ("", 0.5)
    clock.now += 0.5
    assert worker.reached() == "duration"


def test_the_age_counts_from_the_worker_not_from_the_options(clock):
    wanted = Limits(max_age=100)
    clock.now += 99
    worker = wanted.drawn()
    clock.now += 99
    assert worker.reached() == ""
    clock.now += 12
    assert worker.reached() == "max_age"


def test_ages_of_four_slots_are_drawn_apart():
    random.seed(1)
    drawn = [Limits(max_age=3600, max_tasks=1000).drawn(slot=slot, of=4) for slot in range(4)]
    assert all(3600 <= worker.max_age <= 3600 * (1 + 3 / 32 + limits.JITTER) for worker in drawn)
    assert len({worker.max_age for worker in drawn}) == 4
    assert all(1000 <= worker.max_tasks <= 1200 for worker in drawn)


def test_a_count_of_one_stays_one_however_it_is_drawn():
    assert {Limits(max_tasks=1).drawn(slot=slot, of=8).max_tasks for slot in range(8)} == {1}


def test_memory_is_looked_at_exactly_only_above_the_limit_and_once_a_second(clock, monkeypatch):
    looks = []
    monkeypatch.setattr(limits, "resident_bytes", lambda: 200 * MB)
    monkeypatch.setattr(limits, "private_bytes", lambda: looks.append(clock.now) or 90 * MB)
    worker = Limits(max_memory_bytes=100 * MB)
    clock.now += 20
    for _ in range(100):
        assert worker.reached() == ""
        clock.now += 0.05
    assert len(looks) == 5
    monkeypatch.setattr(limits, "private_bytes", lambda: 101 * MB)
    clock.now += 1
    assert worker.reached() == "max_memory"


def test_below_the_limit_no_exact_look_is_taken(clock, monkeypatch):
    monkeypatch.setattr(limits, "private_bytes", lambda: pytest.fail("too expensive"))
    worker = Limits(max_memory_bytes=limits.resident_bytes() + 1024 * MB)
    clock.now += 20
    assert worker.reached() == ""


def test_the_sizes_are_those_of_this_process():
    before = limits.private_bytes()
    ballast = mmap.mmap(-1, 64 * MB)  # new pages for sure: the heap might have as much free that other tests used
    for page in range(0, 64 * MB, mmap.PAGESIZE):
        ballast[page] = 1
    assert limits.private_bytes() - before > 60 * MB
    assert limits.resident_bytes() > 64 * MB
    ballast.close()
    assert limits.private_bytes() - before < 30 * MB  # not a peak
