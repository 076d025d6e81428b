"""The duties of a host: what is due when, in which order, and what an absent database costs."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from bgtasks.identity import this_process
from bgtasks.maintenance import Maintenance, Report, old_history, rounds
from bgtasks.maintenance.burial import Burial
from bgtasks.maintenance.cancels import Cancels
from bgtasks.models import CompletedTask, Queue, Status, Task, TaskAttempt, WorkerProcess
from bgtasks.queue import claims
from bgtasks.queue.types import Death, Ending, Holder
from tests.project.tasks import ping
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "host:test:1:nonce"
DUTIES = ("renew", "release", "look", "stage", "reclaim", "workers_of_this_boot", "prune")


def make(**options):
    return Maintenance(options.pop("holders", lambda: [NAME]), lease=options.pop("lease", 60), **options)


def claim(name=NAME, lease=60.0):
    """Claim the next task for a worker of that name."""
    return claims.turn([], 1, Holder(name, lease=lease)).claims[0]


def register(name=NAME, **changes):
    """Write a worker's row: of this process, unless changed."""
    me = this_process()
    facts = {"pid": me.pid, "start_ticks": me.start_ticks, "host": me.host, **changes}
    claims.register(WorkerProcess(name=name, boot_id=me.boot_id, pid_namespace=me.pid_namespace, **facts))
    return WorkerProcess.objects.get(name=name)


@pytest.fixture
def calls(monkeypatch):
    """The functions of the queue that were called, in order."""
    calls = []
    for name in DUTIES:
        really = getattr(claims, name)

        def note(*args, name=name, really=really, **facts):
            calls.append(name)
            return really(*args, **facts)

        monkeypatch.setattr(claims, name, note)
    return calls


def test_one_round_does_everything_in_order(calls):
    maintenance = make(lease=3)
    now = time.monotonic()
    maintenance.contact.succeeded(now - 1.4, claims.database_now().timestamp() - 1.4)
    maintenance.contact.since = now - 100
    maintenance.report_death(Death("host:test:2:nonce", Ending.CRASHED, "SIGSEGV"))
    calls.clear()
    maintenance.run_due()
    assert calls == ["renew", "release", "look", "reclaim", "workers_of_this_boot", "prune"]


def test_each_duty_comes_again_after_its_own_interval(calls):
    maintenance = make(poll_interval=5)
    now = time.monotonic()
    maintenance.run_due(now)
    calls.clear()
    assert maintenance.run_due(now + 1).staged == 0
    assert calls == []
    assert 3.4 < maintenance.seconds_until_next(now + 1) <= 4
    maintenance.run_due(now + 5)
    assert calls == ["look"]
    calls.clear()
    maintenance.run_due(now + 20)
    assert calls == ["renew", "look", "workers_of_this_boot"]


def test_scheduled_tasks_become_ready_when_they_are_due():
    ping.using(run_at=timedelta(seconds=0.6)).enqueue(1)
    maintenance = make(poll_interval=300)
    assert maintenance.run_due().staged == 0
    left = maintenance.seconds_until_next()
    assert left <= 0.6
    time.sleep(left + 0.05)
    report = maintenance.run_due()
    assert (report.staged, report.has_made_ready) == (1, True)
    assert Task.objects.get().status == Status.READY


def test_leases_of_our_workers_are_renewed():
    ping.enqueue(1)
    held = claim(lease=5)
    register()
    before = Task.objects.get().locked_until
    report = make(renewal=1000).run_due()
    assert report.renewal.held == {(held.task_id, held.token)}
    assert Task.objects.get().locked_until - before > timedelta(seconds=900)


def test_a_reported_death_is_accounted_for_in_the_next_round():
    task = ping.enqueue(1)
    held = claim("host:test:2:nonce")
    maintenance = make()
    maintenance.run_due()
    maintenance.report_death(Death("host:test:2:nonce", Ending.CRASHED, "SIGSEGV", ((held.task_id, held.token),)))
    assert maintenance.seconds_until_next() == 0
    report = maintenance.run_due()
    assert report.accounted == ["host:test:2:nonce"]
    assert report.releases[0].retried == [task.id]
    assert report.has_made_ready
    assert maintenance.deaths == []
    task.refresh_from_db()
    assert (task.status, task.crashes, task.last_error) == (Status.READY, 1, "SIGSEGV")


def refuse(*args):
    raise OperationalError("connection refused")


def test_with_the_database_away_it_tries_again_less_and_less_often(monkeypatch):
    maintenance = make()
    now = time.monotonic()
    maintenance.contact.succeeded(now, claims.database_now().timestamp())
    monkeypatch.setattr(claims, "renew", refuse)
    report = maintenance.run_due(now)
    assert (report.is_database_up, report.error) == (False, "OperationalError: connection refused")
    assert maintenance.contact.since is None
    assert 0 < maintenance.seconds_until_next(now) <= 0.1
    for _ in range(20):
        now += maintenance.seconds_until_next(now)
        assert not maintenance.run_due(now).is_database_up
    assert 4 <= maintenance.seconds_until_next(now) <= 5
    assert not maintenance.run_due(now).is_database_up  # too early for another try


def test_a_death_is_kept_until_the_database_is_back(monkeypatch):
    ping.enqueue(1)
    held = claim("host:test:2:nonce")
    maintenance = make()
    now = time.monotonic()
    maintenance.report_death(Death("host:test:2:nonce", Ending.STOPPED, "stopped", ((held.task_id, held.token),)))
    with monkeypatch.context() as patched:
        patched.setattr(claims, "renew", refuse)
        assert maintenance.run_due(now).accounted == []
    report = maintenance.run_due(now + 5)
    assert report.is_database_up
    assert report.accounted == ["host:test:2:nonce"]
    assert Task.objects.get().status == Status.READY


def test_a_duty_that_fails_for_another_reason_stops_no_other(monkeypatch, caplog):
    monkeypatch.setattr(claims, "look", lambda: 1 / 0)
    report = make().run_due()
    assert report.is_database_up
    assert report.renewal is not None
    assert "duty=stage failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest.fixture
def holding():
    """A table whose rows let no task go that they name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE tests_holding (task_id bigint, FOREIGN KEY (task_id) REFERENCES bgtasks_task (id))"
        )
        yield lambda task: connection.cursor().execute("INSERT INTO tests_holding VALUES (%s)", [task.id])
        cursor.execute("DROP TABLE tests_holding")


def test_a_death_that_cannot_be_written_holds_up_nothing_else(holding, caplog):
    holding(ping.using(max_attempts=1).enqueue(1))
    ping.enqueue(2)
    names = ["host:test:2:nonce", "host:test:3:nonce"]
    maintenance, held = make(), [claim(name) for name in names]
    for name, each in zip(names, held, strict=True):
        maintenance.report_death(Death(name, Ending.CRASHED, "SIGSEGV", ((each.task_id, each.token),)))
    ping.using(run_at=timedelta(seconds=0.05)).enqueue(3)
    now = time.monotonic()
    wait_until(lambda: (claims.next_due() or 0) <= 0, what="a task that is due")
    report = maintenance.run_due(now)
    assert (report.is_database_up, report.accounted, report.staged) == (True, [], 1)
    assert "duty=release failed" in caplog.text
    assert maintenance.run_due(now + rounds.AGAIN).accounted == names[1:]
    assert [death.worker for death in maintenance.deaths] == names[:1]


def test_others_work_is_reclaimed_only_after_a_lease_of_continuous_contact():
    task = ping.enqueue(1)
    claim("elsewhere:test:1:nonce")
    Task.objects.update(locked_until=timezone.now() - timedelta(seconds=1))
    maintenance = make()
    now = time.monotonic()
    assert maintenance.run_due(now).releases == []
    assert Task.objects.get(id=task.id).status == Status.RUNNING
    maintenance.contact.since = now - 61
    report = maintenance.run_due(now + 20)
    assert report.releases[0].worker == "elsewhere:test:1:nonce"
    task.refresh_from_db()
    assert (task.status, task.attempts, task.crashes) == (Status.READY, 1, 1)


def test_our_own_living_workers_are_never_reclaimed_from():
    ping.enqueue(1)
    claim()
    maintenance = make()
    now = time.monotonic()
    maintenance.run_due(now)
    Task.objects.update(locked_until=timezone.now() - timedelta(seconds=1))
    maintenance.contact.since = now - 61
    maintenance.duties[0].due_at = now + 1000
    maintenance.run_due(now + 20)
    assert Task.objects.get().status == Status.RUNNING


def test_the_dead_of_this_host_are_buried_and_the_living_are_not():
    gone, alive = ping.enqueue(1), ping.enqueue(2)
    claim("host:old:1:gone")
    claim("host:old:1:alive")
    register("host:old:1:gone", start_ticks=1)
    register("host:old:1:alive")
    report = make().run_due()
    assert [release.worker for release in report.releases] == ["host:old:1:gone"]
    gone.refresh_from_db()
    alive.refresh_from_db()
    assert (gone.status, gone.attempts, gone.crashes) == (Status.READY, 1, 1)
    assert alive.status == Status.RUNNING
    assert [row.name for row in WorkerProcess.objects.all()] == ["host:old:1:alive"]


def test_workers_of_other_hosts_and_boots_are_not_buried():
    ping.enqueue(1)
    claim("host:old:1:gone")
    register("host:old:1:gone", start_ticks=1, host="elsewhere")
    assert make().run_due().releases == []
    assert WorkerProcess.objects.count() == 1


def test_those_we_speak_for_are_not_buried():
    """A supervisor knows more about a death than that the process is gone."""
    ping.enqueue(1)
    claim()
    register(start_ticks=1)
    maintenance = make()
    assert maintenance.run_due().releases == []


def test_patience_leaves_a_supervisor_the_time_to_report():
    register("host:old:1:gone", start_ticks=1)
    burial = Burial(patience=5)
    assert burial.found((), 100.0) == []
    assert burial.found((), 104.9) == []
    assert [death.worker for death in burial.found((), 105.0)] == ["host:old:1:gone"]
    WorkerProcess.objects.all().delete()
    assert burial.found((), 110.0) == []
    register("host:old:1:gone", start_ticks=1)
    assert burial.found((), 111.0) == []


def is_given_back(task, maintenance):
    """Do a round; say whether the task is back in its queue."""
    maintenance.run_due()
    task.refresh_from_db()
    return task.status == Status.READY


def test_a_claim_committed_after_its_dead_worker_was_released_goes_back_uncharged():
    """First a second after the release, then once more: a COMMIT may be on its way in the server for long."""
    maintenance = make(lease=3)
    maintenance.run_due()
    maintenance.report_death(Death("host:test:2:nonce", Ending.CRASHED, "SIGSEGV"))
    assert maintenance.run_due().accounted == ["host:test:2:nonce"]
    for _ in range(2):
        task = ping.enqueue(1)
        claim("host:test:2:nonce")
        assert maintenance.seconds_until_next() <= 1
        wait_until(lambda task=task: is_given_back(task, maintenance), within=10)
        assert (task.attempts, task.crashes, task.locked_by) == (0, 0, None)
        task.delete()
    assert maintenance.latecomers.seconds_until_next(0) == float("inf")


def test_a_late_claim_of_a_worker_that_was_buried_goes_back_too():
    register("host:old:1:gone", start_ticks=1)
    maintenance = make()
    maintenance.run_due()
    assert not WorkerProcess.objects.exists()
    task = ping.enqueue(1)
    claim("host:old:1:gone")
    wait_until(lambda: is_given_back(task, maintenance), within=10)
    assert (task.attempts, task.crashes) == (0, 0)


def test_a_second_look_waits_for_a_database_that_is_away(monkeypatch):
    maintenance = make()
    maintenance.report_death(Death("host:test:2:nonce", Ending.CRASHED, "SIGSEGV"))
    maintenance.run_due()
    ping.enqueue(1)
    claim("host:test:2:nonce")
    time.sleep(1.05)
    with monkeypatch.context() as patched:
        patched.setattr(claims, "release", refuse)
        assert not maintenance.run_due().is_database_up
    wait_until(lambda: maintenance.run_due().releases, within=10)
    assert Task.objects.get().status == Status.READY


def test_attempts_of_tasks_that_somebody_deleted_are_pruned():
    old = timezone.now() - timedelta(days=100)
    TaskAttempt.objects.bulk_create(
        [TaskAttempt(task_id=10**9 + number, attempt=1, finished_at=old) for number in range(3)]
    )
    maintenance = make()
    assert maintenance.run_due().pruned == 3
    assert not TaskAttempt.objects.exists()


def make_history(count, age=timedelta(days=100)):
    """Write so many successful tasks into the history."""
    ended = timezone.now() - age
    rows = [CompletedTask(id=number, task_name="x", task_params="[[], {}]", run_at=ended) for number in range(count)]
    CompletedTask.objects.bulk_create(rows)


def test_old_history_is_pruned_batch_by_batch_with_other_duties_between(monkeypatch):
    monkeypatch.setattr(old_history, "SLICE", 0.0)
    make_history(1500)
    maintenance = make()
    now = time.monotonic()
    assert maintenance.run_due(now).pruned == 1000
    assert maintenance.seconds_until_next(now) <= 1
    assert maintenance.run_due(now + 1).pruned == 500
    assert not CompletedTask.objects.exists()


def test_history_that_grows_faster_than_it_is_pruned_is_pruned_more_and_more(monkeypatch):
    monkeypatch.setattr(old_history, "SLICE", 0.0)
    maintenance = make(lease=600, poll_interval=600)
    pauses = [maintenance.old_history.prune(rounds.Report()) for _ in range(100)]
    assert pauses == sorted(pauses, reverse=True)
    assert (pauses[0] > 0.7, pauses[-1]) == (True, 0.1)
    monkeypatch.setattr(old_history, "SLICE", 60.0)
    assert maintenance.old_history.prune(rounds.Report()) is None
    monkeypatch.setattr(old_history, "SLICE", 0.0)
    assert maintenance.old_history.prune(rounds.Report()) == pauses[0]


def test_as_much_history_is_pruned_in_one_round_as_its_time_allows():
    make_history(3500)
    maintenance = make()
    wait_until(lambda: maintenance.run_due().pruned and not CompletedTask.objects.exists(), within=30)


def test_history_that_is_not_kept_is_pruned_every_few_seconds(settings):
    settings.BGTASKS = {"KEEP": 0}
    maintenance = make(lease=600, poll_interval=600)
    now = time.monotonic()
    maintenance.run_due(now)
    make_history(1, age=timedelta(seconds=1))
    assert maintenance.run_due(now + 6).pruned == 1


def test_a_queue_that_was_filled_in_sql_gets_its_row():
    ping.enqueue(1)
    Queue.objects.all().delete()
    make().run_due()
    assert Queue.objects.get().name == "default"


def test_figures_are_sampled_where_somebody_wants_them():
    figures = [{"name": "default"}]
    maintenance = make(sample=lambda: figures)
    now = time.monotonic()
    assert maintenance.run_due(now).queues == figures
    assert maintenance.run_due(now + 1).queues is None
    assert maintenance.run_due(now + 5).queues == figures


def test_who_hears_of_a_nearer_task_looks_earlier_and_never_later():
    maintenance = make(poll_interval=1000)
    maintenance.run_due()
    maintenance.expect(3.0)
    assert 2.0 < maintenance.seconds_until_next() <= 3.0
    maintenance.expect(60.0)
    assert maintenance.seconds_until_next() <= 3.0


def test_it_says_what_is_ready_for_those_whom_nobody_woke():
    assert not make().run_due().found_ready
    ping.enqueue(1)
    assert make().run_due().found_ready


def test_who_cancels_is_asked_for_only_while_a_task_takes_long(django_assert_num_queries):
    task = ping.enqueue(1)
    claimed = claim()
    task.cancel()
    report, is_worthwhile = Report(), False
    cancels = Cancels(lambda: [NAME], lambda: is_worthwhile)
    with django_assert_num_queries(0):
        cancels.run(report)
    is_worthwhile = True
    with django_assert_num_queries(1):
        cancels.run(report)
    assert report.cancel_requested == [(claimed.task_id, claimed.token, NAME)]
