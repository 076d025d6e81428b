"""The parts of a foreground worker: the bell, the deadline, the log of what is printed."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading

import pytest
from django.utils import timezone

from bgtasks.exceptions import TaskInterrupted
from bgtasks.execution import execute
from bgtasks.management.foreground import deadline as deadline_module
from bgtasks.management.foreground.bell import Bell
from bgtasks.management.foreground.deadline import WITHOUT_LIMIT, Deadline, lease_for
from bgtasks.management.foreground.log_std import printed_to_log
from bgtasks.queue.types import Renewal, Result
from bgtasks.tasks import background
from tests.bgtasks.claims_for_tests import claim_for

pytestmark = pytest.mark.timeout(method="thread")  # the other way is SIGALRM, which these tests use themselves


@pytest.fixture
def bell():
    bell = Bell()
    yield bell
    bell.close()


@pytest.fixture
def armed(monkeypatch):
    """The timeouts the backstop was armed with; None where it was taken down."""
    armed = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda seconds, **options: armed.append(seconds))
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: armed.append(None))
    return armed


@pytest.fixture
def deadline(armed):
    deadline = Deadline("host:test:1:nonce", lease=3610, kill_grace=10)
    yield deadline
    deadline.close()


def test_a_bell_ends_the_sleep_and_a_ring_before_it_is_not_lost(bell):
    assert bell.sleep(0.01) is False
    bell.ring()
    bell.ring()
    assert bell.sleep(60) is True
    assert bell.sleep(0.01) is False
    threading.Timer(0.05, bell.ring).start()
    assert bell.sleep(60) is True


def test_a_bell_full_of_rings_takes_one_more(bell):
    for _ in range(70_000):
        bell.ring()
    assert bell.sleep(60) is True


def test_a_signal_rings_the_bell(bell):
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
        assert bell.sleep(60) is True
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_the_lease_covers_the_limit_and_the_grace():
    assert lease_for(3600, 10) == 3610
    assert lease_for(None, 10) == WITHOUT_LIMIT == 86400


def test_a_task_gets_a_timer_and_a_backstop_counted_from_before_its_claim(deadline, armed):
    deadline.before_claim()
    deadline.claimed_after -= 0.9
    deadline.start(claim_for("x", max_run_time=100), 1)
    first, interval = signal.getitimer(signal.ITIMER_REAL)
    assert 95 < first <= 100
    assert interval == 5
    assert armed == [pytest.approx(109.1, abs=0.8)]
    deadline.stop()
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_for_fast_tasks_one_backstop_serves_for_many(deadline, armed):
    for sequence in range(1, 1000):
        deadline.before_claim()
        deadline.start(claim_for("x"), sequence)
        deadline.stop()
    assert len(armed) < 10


def test_a_near_backstop_is_taken_down_when_the_task_is_over(deadline, armed):
    deadline.before_claim()
    deadline.start(claim_for("x", max_run_time=2), 1)
    deadline.stop()
    assert armed[-1] is None


def test_an_idle_worker_has_no_backstop(deadline, armed):
    deadline.before_claim()
    deadline.start(claim_for("x"), 1)
    deadline.stop()
    assert armed[-1] is not None
    deadline.disarm()
    deadline.disarm()
    assert armed[-1] is None
    assert armed.count(None) == 1


@pytest.fixture
def asked(monkeypatch):
    """What was asked of the queue; it answers that the claim for tests is held."""
    asked = []

    def renew(workers, seconds):
        asked.append((workers, seconds))
        return Renewal({(17, 4711)}, [], timezone.now())

    monkeypatch.setattr(deadline_module.claims, "renew", renew)
    return asked


def test_a_longer_limit_asks_for_a_longer_lease(deadline, armed, asked):
    deadline.before_claim()
    deadline.start(claim_for("x", max_run_time=0), 1)
    assert asked == [(["host:test:1:nonce"], WITHOUT_LIMIT)]
    assert armed == [pytest.approx(WITHOUT_LIMIT, abs=1)]
    assert signal.getitimer(signal.ITIMER_REAL)[0] == pytest.approx(WITHOUT_LIMIT - 10, abs=1)


def test_a_claim_whose_confirmation_was_lost_gets_its_lease_anew(deadline, armed, asked):
    deadline.before_claim()
    deadline.claimed_after -= 7200  # the database was away for two hours
    deadline.before_claim()
    deadline.after_claim()
    deadline.start(claim_for("x"), 1)
    assert asked == [(["host:test:1:nonce"], 3610)]
    assert armed == [pytest.approx(3610, abs=1)]


def test_a_claim_that_was_lost_meanwhile_is_not_run(deadline, armed, asked):
    ran = []
    background(name="foreground.lost")(lambda: ran.append(1))
    claim, sequence = claim_for("foreground.lost", token=1), 2_000_001
    deadline.before_claim()
    deadline.claimed_after -= 7200
    deadline.start(claim, sequence)
    assert execute(claim, sequence).result is Result.LOST
    assert ran == []


def test_without_a_longer_lease_the_usual_limit_holds(deadline, armed, monkeypatch):
    from django.db import OperationalError

    def refuse(*args):
        raise OperationalError("gone")

    monkeypatch.setattr(deadline_module.claims, "renew", refuse)
    monkeypatch.setattr(deadline_module, "close_connections", lambda alias: None)
    deadline.before_claim()
    deadline.start(claim_for("x", max_run_time=9999), 1)
    assert armed == [pytest.approx(3610, abs=1)]
    assert signal.getitimer(signal.ITIMER_REAL)[0] == pytest.approx(3600, abs=1)


def test_an_interrupt_when_nothing_runs_is_void(deadline):
    deadline.sequence = 10**9
    deadline.interrupt_now(TaskInterrupted)
    assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    deadline.stop()


def test_printing_goes_to_the_log(caplog):
    caplog.set_level(logging.INFO, logger="bgtasks")
    before = sys.stdout, sys.stderr
    with printed_to_log():
        print("one\ntwo", flush=True)  # noqa: T201 - what it is about
        print("three ", end="")  # noqa: T201 - what it is about
        print("four")  # noqa: T201 - what it is about
        print("failure", file=sys.stderr)  # noqa: T201 - what it is about
        print("unfinished", end="")  # noqa: T201 - what it is about
    assert (sys.stdout, sys.stderr) == before
    told = [(record.name, record.getMessage()) for record in caplog.records]
    assert told == [
        ("bgtasks.stdout", "one"),
        ("bgtasks.stdout", "two"),
        ("bgtasks.stdout", "three four"),
        ("bgtasks.stderr", "failure"),
        ("bgtasks.stdout", "unfinished"),
    ]


def test_a_handler_that_writes_to_the_stream_itself_does_not_go_round_for_ever(capsys):
    logger = logging.getLogger("bgtasks.stdout")

    class Prints(logging.Handler):
        def emit(self, record):
            print(f"logged: {record.getMessage()}")  # noqa: T201 - what it is about

    handler = Prints()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with printed_to_log():
            print("hello")  # noqa: T201 - what it is about
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert capsys.readouterr().out == "logged: hello\n"
