"""Batches in the worker's loop: how many it claims, when it writes, what it gives back; on a real database."""

from __future__ import annotations

import time

import pytest
from django.db import OperationalError, connection
from django.test import override_settings

from bgtasks.limits import Limits
from bgtasks.models import CompletedTask, Status, Task
from bgtasks.queue import claims
from bgtasks.queue.rows import new_token
from bgtasks.queue.types import Claim, Holder
from bgtasks.tasks import background
from bgtasks.worker import Observer, Worker
from bgtasks.worker.pace import MOST, Pace
from tests.bgtasks.claims_for_tests import claim_for
from tests.project.tasks import fail, ping

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "host:test:1:00000001"
OTHER = Holder("host:test:2:00000002", lease=60)


class Diary(Observer):
    """Notes what each turn claimed and settled, and calls `at_start` before each task."""

    def __init__(self, at_start=None):
        self.claimed_counts, self.settled_counts, self.started_ids = [], [], []
        self.full_batches = 0
        self.at_start = at_start

    def claimed(self, claims):
        self.claimed_counts.append(len(claims))

    def settled(self, outcomes):
        self.settled_counts.append(len(outcomes))

    def started(self, claim, sequence):
        self.started_ids.append(claim.task_id)
        if self.at_start is not None:
            self.at_start(claim)

    def more_ready(self):
        self.full_batches += 1


def make_worker(observer=None, **options):
    """Return a worker that leaves when there is nothing to do."""
    worker = Worker(Holder(NAME, lease=60), observer=observer or Diary(), **options)
    worker.wait = lambda seconds: worker.drain("empty")
    return worker


def warmed_up(worker):
    """Let the worker know the tasks of this project as fast ones, and claim many at once."""
    for name in (ping.name, fail.name, quick.name):
        for _ in range(100):
            worker.pace.note(claim_for(name), 0.0001)
    worker.pace.claimed(MOST)
    return worker


@background(name="batches.quick")
def quick():
    pass


@background(name="batches.sleepy")
def sleepy(seconds):
    time.sleep(seconds)


def enqueue(count):
    return [ping.enqueue(number).id for number in range(count)]


def test_batches_of_fast_tasks_grow_and_are_settled_together():
    ids = enqueue(300)
    observer = Diary()
    make_worker(observer).run()
    assert observer.started_ids == ids
    assert set(CompletedTask.objects.succeeded().values_list("id", flat=True)) == set(ids)
    assert observer.claimed_counts[0] == 1, "a name that is not known yet"
    assert max(observer.claimed_counts) > 30
    assert observer.full_batches > 0
    assert sum(observer.settled_counts) == 300
    assert 5 < max(observer.settled_counts) <= 50


def test_the_pace_is_that_of_the_tasks():
    pace = Pace()
    assert pace.want() == 1
    for _ in range(12):
        pace.note(claim_for("fast"), 0.0002)
        pace.claimed(pace.want())
    assert pace.want() == MOST
    for _ in range(60):
        pace.note(claim_for("slower"), 0.02)
    assert pace.want() in (9, 10)
    pace.note(claim_for("slow"), 30.0)
    assert pace.want() == 1
    assert not pace.wants_alone(claim_for("fast"))
    assert pace.wants_alone(claim_for("slow"))
    assert pace.wants_alone(claim_for("unheard of"))
    assert pace.wants_alone(claim_for("fast", crashes=1))


def test_a_turn_that_comes_back_short_makes_the_next_one_modest():
    pace = Pace()
    pace.note(claim_for("fast"), 0.0002)
    pace.claimed(100)
    assert pace.want() == 200
    pace.claimed(0)
    assert pace.want() == 2


def test_nothing_waits_behind_a_task_that_may_be_slow():
    enqueue(5)
    slow = sleepy.enqueue(0.0)
    behind = enqueue(5)
    seen = {}

    def look(claim):
        if claim.task_name == sleepy.name:
            seen["behind"] = {task.id: (task.status, task.attempts) for task in Task.objects.filter(id__in=behind)}
            seen["settled"] = CompletedTask.objects.count()

    observer = Diary(look)
    warmed_up(make_worker(observer)).run()
    assert seen["behind"] == dict.fromkeys(behind, (Status.READY, 0))
    assert seen["settled"] == 5, "what was over is written first"
    assert slow.id in observer.started_ids
    assert CompletedTask.objects.count() == 11
    assert set(CompletedTask.objects.values_list("attempts", flat=True)) == {1}


def test_a_task_that_crashed_a_worker_runs_alone():
    first, suspect, _ = enqueue(3)
    Task.objects.filter(id=suspect).update(crashes=1)
    held = {}

    def look(claim):
        held[claim.task_id] = set(Task.objects.filter(status=Status.RUNNING).values_list("id", flat=True))

    warmed_up(make_worker(Diary(look))).run()
    assert held[suspect] == {suspect}
    assert first in held[first]


def test_a_failure_is_written_before_the_next_task_starts():
    enqueue(3)
    failing = fail.enqueue("no")
    after = enqueue(3)
    seen = {}

    def look(claim):
        if claim.task_id in after:
            seen.setdefault("status", Task.objects.get(id=failing.id).status)

    warmed_up(make_worker(Diary(look))).run()
    assert seen["status"] == Status.SCHEDULED
    assert CompletedTask.objects.count() == 6


def settled_at_each_start(ids):
    """Run these tasks; return how many were written down when each of them started."""
    counts = []
    warmed_up(make_worker(Diary(lambda claim: counts.append(CompletedTask.objects.count())))).run()
    assert CompletedTask.objects.count() == len(ids)
    return counts


def test_by_default_successes_are_written_together():
    assert settled_at_each_start(enqueue(10)) != list(range(10))


def test_settle_each_writes_one_by_one_and_still_claims_in_batches():
    with override_settings(BGTASKS={"SETTLE": "each"}):
        ids = enqueue(10)
        assert settled_at_each_start(ids) == list(range(10))


def test_settle_each_can_be_said_of_one_task():
    @background(name="batches.careful", settle="each")
    def careful():
        pass

    ids = [careful.enqueue().id for _ in range(4)]
    worker = warmed_up(make_worker(Diary(lambda claim: counts.append(CompletedTask.objects.count()))))
    for _ in range(9):
        worker.pace.note(claim_for(careful.name), 0.0001)
    counts = []
    worker.run()
    assert counts == list(range(len(ids)))


def test_the_decorator_wins_over_the_setting():
    @background(name="batches.together", settle="batch")
    def together():
        pass

    with override_settings(BGTASKS={"SETTLE": "each"}):
        assert (together.settle, ping.settle) == ("batch", "each")
    assert ping.settle == "batch"
    with override_settings(BGTASKS={"ATOMIC": True}):
        assert ping.atomic
        assert not background(name="batches.loose", atomic=False)(lambda: None).atomic


def test_the_setting_atomic_runs_every_task_in_a_transaction_with_its_success():
    inside = []

    @background(name="batches.look_around")
    def look_around():
        inside.append(connection.in_atomic_block)

    with override_settings(BGTASKS={"ATOMIC": True}):
        look_around.enqueue()
        make_worker().run()
    assert inside == [True]
    assert CompletedTask.objects.succeeded().count() == 1


def test_what_was_not_started_goes_back_untouched_when_the_worker_drains():
    ids = enqueue(10)
    worker = warmed_up(make_worker())
    worker.observer.at_start = lambda claim: claim.task_id == ids[3] and worker.drain("stopped")
    assert worker.run() == "stopped"
    assert worker.observer.claimed_counts == [10, 0]
    assert set(CompletedTask.objects.values_list("id", flat=True)) == set(ids[:4])
    rows = Task.objects.filter(id__in=ids[4:])
    assert [(row.status, row.attempts, row.claim) for row in rows] == [(Status.READY, 0, None)] * 6


def test_a_count_of_tasks_is_not_claimed_over():
    enqueue(10)
    worker = warmed_up(make_worker(limits=Limits(max_tasks=4)))
    assert worker.run() == "max_tasks"
    assert worker.observer.claimed_counts == [4, 0]
    assert Task.objects.filter(status=Status.READY, attempts=0).count() == 6


def test_what_was_given_back_behind_a_slow_task_is_not_run_by_the_one_that_lost_it():
    """The row decides: the worker renews what is left of its batch before it goes on, and finds some of it gone."""
    first = quick.enqueue().id
    ids = enqueue(6)
    elsewhere = []

    def take_three(claim):
        if claim.task_id == first:
            Task.objects.filter(id__in=ids[3:]).update(status=Status.READY, claim=None, locked_by=None, attempts=0)
            Task.objects.filter(id__in=ids[3:]).update(priority=1)
            elsewhere.extend(one.task_id for one in claims.turn([], 3, OTHER).claims)
            time.sleep(0.6)

    observer = Diary(take_three)
    worker = warmed_up(make_worker(observer))
    worker.run()
    assert sorted(elsewhere) == ids[3:]
    assert observer.started_ids == [first, *ids[:3]]
    assert Task.objects.filter(locked_by=OTHER.name).count() == 3


def held_by(name: str) -> list[Claim]:
    return claims.turn([], 10, Holder(name, lease=60)).claims


def test_claims_are_kept_under_a_fresh_token_and_the_old_one_is_void():
    ids = enqueue(3)
    held = held_by(NAME)
    fresh = new_token()
    kept = claims.keep(held, fresh, Holder(NAME, lease=60))
    assert [(one.task_id, one.token) for one in kept] == [(task_id, fresh) for task_id in ids]
    assert claims.give_back(held, worker=NAME) == []
    assert claims.keep(held, fresh, Holder(NAME, lease=60)) == kept, "repeated, as after an error"
    assert claims.keep(held, new_token(), Holder(NAME, lease=60)) == [], "two renewals of one claim: one is void"
    assert claims.give_back(kept, worker=NAME) == ids


def test_a_batch_in_doubt_is_renewed_again_after_the_database_was_away(monkeypatch):
    ids = enqueue(4)
    worker = warmed_up(make_worker())
    waits = []
    worker.wait = lambda seconds: waits.append(seconds) or (len(waits) > 3 and worker.drain("empty"))
    worker.observer.at_start = lambda claim: claim.task_id == ids[0] and time.sleep(0.6)
    real, fails = claims.keep, iter([True])

    def keep(*given):
        kept = real(*given)  # committed, but nobody is told
        if next(fails, False):
            raise OperationalError("the connection is gone")
        return kept

    monkeypatch.setattr(claims, "keep", keep)
    worker.run()
    assert worker.observer.started_ids == ids
    assert not Task.objects.exists()


def test_a_database_that_takes_long_for_everything_still_brings_tasks_to_their_start(monkeypatch):
    ids = enqueue(4)
    worker = warmed_up(make_worker())
    real = claims.turn

    def slow_turn(*given):
        time.sleep(0.6)
        return real(*given)

    monkeypatch.setattr(claims, "turn", slow_turn)
    worker.run()
    assert worker.observer.started_ids == ids
    assert len(worker.observer.claimed_counts) < 10


def test_after_claiming_in_vain_a_worker_begins_with_one_again():
    ids = enqueue(60)
    Task.objects.filter(id__in=ids[:30]).update(crashes=1)
    worker = warmed_up(make_worker())
    worker.run()
    assert worker.observer.claimed_counts[0] == 60
    assert max(worker.observer.claimed_counts[2:40]) <= 2, "each of these runs alone"
    assert CompletedTask.objects.count() == 60


def test_a_wake_does_not_shorten_the_wait_for_a_database_that_is_away(monkeypatch):
    worker = make_worker()
    began, waits = time.monotonic(), []

    def woken(seconds):
        waits.append(seconds)
        time.sleep(0.01)
        return True

    def refuse(*given):
        if len(turns) == 4:
            worker.drain("enough")
        turns.append(time.monotonic() - began)
        raise OperationalError("no more connections")

    turns = []
    worker.wait = woken
    monkeypatch.setattr(claims, "turn", refuse)
    worker.run()
    assert turns[3] > 0.08 + 0.16 + 0.32
    assert len(waits) > len(turns)
