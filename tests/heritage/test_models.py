"""COMPATIBILITY 1.1, 1.7 and 1.8: managers, methods, and the project's own ORM writes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import override_settings
from django.utils import timezone

from bgtasks import background
from bgtasks.models import CompletedTask, Queue, Status, Task, WorkerProcess
from bgtasks.queue import claims
from bgtasks.queue.types import Holder

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
WORKER = "host:main:1:ab12"


def sell(order: Any = None) -> None: ...


@pytest.fixture
def task() -> Any:
    return background(name="sell")(sell)


def claim(want: int = 1) -> list[int]:
    return [one.task_id for one in claims.turn([], want, Holder(WORKER, 60.0)).claims]


def test_the_repeat_constants_and_choices_are_there() -> None:
    assert (Task.NEVER, Task.HOURLY, Task.DAILY, Task.WEEKLY) == (0, 3600, 86400, 604800)
    assert (Task.EVERY_2_WEEKS, Task.EVERY_4_WEEKS) == (1209600, 2419200)
    assert {value for value, _ in Task.REPEAT_CHOICES} == {0, 3600, 86400, 604800, 1209600, 2419200}


def test_find_available_is_what_is_due_in_the_order_of_claiming(task: Any) -> None:
    low, high, mail = task(1), task(2, priority=9), task(3, queue="mail", priority=5)
    task(4, schedule=60)
    early = task(5, schedule=-60)
    assert [one.pk for one in Task.objects.find_available()] == [high.pk, mail.pk, early.pk, low.pk]
    assert [one.pk for one in Task.objects.find_available(queue="mail")] == [mail.pk]
    assert claim(4) == [high.pk, mail.pk, early.pk, low.pk]


def test_with_asc_the_lower_number_is_first(task: Any) -> None:
    with override_settings(BACKGROUND_TASK_PRIORITY_ORDERING="ASC"):
        high, low = task(1, priority=9), task(2, priority=-9)
        assert [one.pk for one in Task.objects.find_available()] == [low.pk, high.pk]
        assert claim(2) == [low.pk, high.pk]


def test_locked_and_unlocked_say_what_runs(task: Any) -> None:
    running, waiting = task(1, priority=1), task(2)
    assert claim() == [running.pk]
    now = timezone.now()
    assert [one.pk for one in Task.objects.locked(now)] == [running.pk]
    assert [one.pk for one in Task.objects.unlocked(now)] == [waiting.pk]
    assert not Task.objects.failed().exists()


def test_get_task_and_drop_task_find_by_name_and_arguments(task: Any) -> None:
    one, other = task(1), task(2)
    assert [found.pk for found in Task.objects.get_task("sell", [1], {})] == [one.pk]
    Task.objects.drop_task("sell", [1])
    assert [found.pk for found in Task.objects.all()] == [other.pk]


def test_new_task_is_unsaved_and_as_good_as_an_enqueued_one(task: Any) -> None:
    user = User.objects.create(username="eve")
    made = Task.objects.new_task(
        "sell", [1], {}, None, 5, "mail", "v", creator=user, repeat=60, remove_existing_tasks=False
    )
    assert made.pk is None
    made.save()
    twin = task(1)
    assert made.task_hash == twin.task_hash
    assert sorted(claim(2)) == sorted([made.pk, twin.pk])
    assert Queue.objects.filter(name="mail").exists()
    assert Task.objects.created_by(user).get().pk == made.pk


def test_methods_of_a_task(task: Any) -> None:
    made = task(1, verbose_name="selling", repeat=60)
    assert made.params() == ([1], {})
    assert (str(made), str(task(2))) == ("selling", "sell")
    assert (made.has_error(), made.is_repeating_task(), task(2).is_repeating_task()) == (False, True, False)
    made.last_error = "Traceback"
    assert made.has_error()
    for attempts, reached in ((24, False), (25, True)):
        made.attempts = attempts
        assert made.has_reached_max_attempts() is reached
    with override_settings(MAX_ATTEMPTS=1):
        made.attempts = 1
        assert made.has_reached_max_attempts()


def test_whether_its_worker_lives_comes_from_the_worker_s_row(task: Any) -> None:
    made = task(1)
    assert made.locked_by_pid_running() is None
    claim()
    made.refresh_from_db()
    assert made.locked_by_pid_running() is False
    WorkerProcess.objects.create(name=WORKER, host="elsewhere", pid=1)
    assert made.locked_by_pid_running() is True


def test_history_tells_success_failure_and_cancellation_apart() -> None:
    now = timezone.now()
    outcomes = {1: Status.SUCCESSFUL, 2: Status.FAILED, 3: Status.CANCELLED}
    for number, outcome in outcomes.items():
        failed_at = None if outcome == Status.SUCCESSFUL else now - number * DAY
        CompletedTask.objects.create(
            id=number,
            task_name="sell",
            task_params="[[], {}]",
            task_hash="0" * 40,
            outcome=outcome,
            failed_at=failed_at,
        )
    history = CompletedTask.objects
    assert sorted(history.failed().values_list("pk", flat=True)) == [2, 3]
    assert [one.pk for one in history.failed(within=2.5 * DAY)] == [2]
    assert [one.pk for one in history.succeeded()] == [1]
    assert [one.pk for one in history.succeeded(within=DAY).filter(task_name="sell")] == [1]
    assert [one.pk for one in history.cancelled()] == [3]
    done = history.get(pk=1)
    assert str(done) == f"sell - {done.run_at}"
    assert done.finished_at == done.run_at
    assert done.locked_by_pid_running() is None


def test_a_row_made_by_hand_runs_like_any_other() -> None:
    made = Task.objects.create(task_name="sell")
    later = Task.objects.create(task_name="sell", run_at=timezone.now() + DAY)
    assert (made.status, later.status) == (Status.READY, Status.SCHEDULED)
    assert made.params() == ([], {})
    assert len(made.task_hash) == 40
    assert claim(5) == [made.pk]


def test_saving_writes_what_was_changed_and_never_the_claim(task: Any) -> None:
    task(1)
    stale = Task.objects.get()
    claim()
    Task.objects.filter(pk=stale.pk).update(priority=7)
    stale.verbose_name = "renamed"
    stale.locked_by = None
    stale.save()
    now = Task.objects.get()
    assert (now.verbose_name, now.priority, now.locked_by, now.status) == ("renamed", 7, WORKER, Status.RUNNING)


def test_what_was_not_saved_yet_is_still_to_be_saved(task: Any) -> None:
    made, moved = task(1), timezone.now() + DAY
    made.run_at, made.priority, made.verbose_name = moved, 5, "later"
    made.save(update_fields=["priority"])
    made.refresh_from_db(fields=["priority"])
    made.save()
    now = Task.objects.get()
    assert (now.run_at, now.priority, now.verbose_name) == (moved, 5, "later")


def test_a_column_that_is_read_late_takes_no_change_back(task: Any) -> None:
    task(1)
    deferred = Task.objects.defer("task_params").get()
    deferred.priority = 9
    assert deferred.params() == ([1], {})
    deferred.save()
    assert Task.objects.get().priority == 9


def test_a_naive_time_is_taken_with_django_s_warning() -> None:
    naive = datetime(2030, 1, 1)  # noqa: DTZ001 - that is the point
    with pytest.warns(RuntimeWarning, match="naive"):
        made = Task.objects.create(task_name="sell", run_at=naive)
    with pytest.warns(RuntimeWarning, match="naive"):
        Task.objects.bulk_create([Task.objects.new_task("sell", run_at=naive)])
    assert {each.run_at for each in Task.objects.all()} == {timezone.make_aware(naive)}
    assert made.status == Status.SCHEDULED


def test_a_changed_time_is_honoured_in_both_directions(task: Any) -> None:
    made = task(1)
    made.run_at = timezone.now() + DAY
    made.save()
    assert claim() == []
    Task.objects.update(run_at=timezone.now() - DAY)
    claims.stage()
    assert claim() == [made.pk]


def test_no_reverse_names_are_left_on_content_types() -> None:
    related = {field.get_accessor_name() for field in ContentType._meta.related_objects}
    assert not any(name and "task" in name for name in related)


def test_the_id_goes_on_into_the_history(task: Any) -> None:
    made = task(1)
    claims.cancel(made.pk)
    assert CompletedTask.objects.get().pk == made.pk
