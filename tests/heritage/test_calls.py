"""COMPATIBILITY 1.3 and 1.4: what the bare call stores, with its eight keyword names, and when it is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.utils import timezone

from bgtasks import background, calls
from bgtasks.due import stored_form
from bgtasks.exceptions import TaskArgumentError
from bgtasks.models import Status, Task
from bgtasks.tasks import CALL_NAMES, TaskSchedule

pytestmark = pytest.mark.django_db
SOON = timedelta(seconds=30)


def sell(order: Any = None, **others: Any) -> None: ...


def seconds_from_now(moment: datetime) -> float:
    return (moment - timezone.now()).total_seconds()


def test_the_call_returns_the_saved_task() -> None:
    task = background(sell)(7, note="x")
    assert task is not None
    stored = Task.objects.get(pk=task.pk)
    assert stored.task_name == f"{__name__}.sell"
    assert stored.params() == ([7], {"note": "x"})
    assert (stored.queue, stored.priority, stored.repeat, stored.attempts) == ("default", 0, 0, 0)
    assert (stored.verbose_name, stored.repeat_until, stored.creator, stored.locked_by) == (None, None, None, None)
    assert stored.status == Status.READY


def test_what_is_returned_shows_what_is_stored() -> None:
    for schedule in (0, 60, -60):
        task: Any = background(sell)(1, schedule=schedule, priority=3, queue="mail", verbose_name="v", repeat=60)
        stored = Task.objects.get(pk=task.pk)
        for field in Task._meta.concrete_fields:
            if field.name != "claim_order":
                assert getattr(task, field.attname) == getattr(stored, field.attname), field.name


def test_exactly_eight_names_are_taken_out_of_the_keyword_arguments() -> None:
    assert len(CALL_NAMES) == 8
    task: Any = background(sell)(
        1,
        schedule=60,
        priority=5,
        queue="mail",
        verbose_name="sell it",
        creator=None,
        repeat=Task.HOURLY,
        repeat_until=timezone.now() + timedelta(days=1),
        remove_existing_tasks=True,
        run_at=3,
        headers="mine",
    )
    assert task.params() == ([1], {"run_at": 3, "headers": "mine"})


@pytest.mark.parametrize(
    ("schedule", "seconds"),
    [(None, 60), ({}, 60), (0, 0), (timedelta(0), 0), (10, 10), (2.5, 2.5), (-30, -30), (timedelta(minutes=5), 300),
     ({"run_at": 10}, 10), ({"priority": 4}, 60), ({"run_at": 0}, 0), (TaskSchedule(run_at=10), 10),
     (TaskSchedule(), 60)],
)  # fmt: skip
def test_the_schedule_of_the_call_is_laid_over_the_decorator_s(schedule: Any, seconds: float) -> None:
    task: Any = background(schedule=60)(sell)(schedule=schedule)
    assert abs(seconds_from_now(Task.objects.get(pk=task.pk).run_at) - seconds) < 20
    assert task.status == (Status.SCHEDULED if seconds > 0 else Status.READY)


def test_a_datetime_is_due_as_it_says() -> None:
    moment = datetime(2040, 7, 1, 12, 30, 15, 123456, tzinfo=UTC)
    task: Any = background(sell)(schedule=moment)
    assert Task.objects.get(pk=task.pk).run_at == stored_form(moment)
    task = background(schedule=moment)(sell)()
    assert Task.objects.get(pk=task.pk).run_at == stored_form(moment)


@pytest.mark.skipif(not settings.USE_TZ, reason="without USE_TZ all datetimes are naive")
def test_a_naive_datetime_is_local_and_warns() -> None:
    with timezone.override("America/New_York"), pytest.warns(RuntimeWarning, match="naive"):
        task: Any = background(sell)(schedule=datetime(2040, 1, 1, 12))  # noqa: DTZ001
    assert Task.objects.get(pk=task.pk).run_at == datetime(2040, 1, 1, 17, tzinfo=UTC)


@pytest.mark.parametrize("fast_by", [timedelta(0), timedelta(hours=3)])
@pytest.mark.parametrize("seconds", [0, -5, 40])
def test_a_fast_clock_on_the_caller_s_host_delays_nothing(
    fast_by: timedelta, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = timezone.now()
    monkeypatch.setattr(calls, "timezone", SimpleNamespace(now=lambda: real + fast_by))
    task: Any = background(sell)(schedule=seconds)
    assert abs((Task.objects.get(pk=task.pk).run_at - real).total_seconds() - seconds) < 20


def test_the_priority_of_the_call_wins_over_all_others() -> None:
    task = background(priority=1)(sell)
    urgent = background(schedule={"priority": 2}, priority=1)(sell)
    found = [
        task(), urgent(), task(schedule={"priority": 3}), task(schedule={"priority": 3}, priority=4),
        task(priority=0), task(priority=None), urgent(schedule={"priority": 0}), task(priority=-(2**31)),
    ]  # fmt: skip
    assert [one and one.priority for one in found] == [1, 2, 3, 4, 0, 1, 0, -(2**31)]


def test_the_queue_none_is_the_default_queue_whatever_the_decorator_says() -> None:
    mail = background(queue="mail")(sell)
    assert [one and one.queue for one in (mail(), mail(queue="other"), mail(queue=None))] == [
        "mail",
        "other",
        "default",
    ]


@pytest.mark.parametrize(
    ("repeat", "stored"),
    [(60, 60), (60.0, 60), (timedelta(hours=1), 3600), (0, 0), (-5, 0), (None, 0), (Task.WEEKLY, 604800)],
)
def test_repeat_is_seconds_or_a_timedelta_and_zero_and_below_mean_never(repeat: Any, stored: int) -> None:
    task: Any = background(sell)(repeat=repeat)
    assert Task.objects.get(pk=task.pk).repeat == stored


def test_repeat_and_repeat_until_fall_back_to_the_decorator_s() -> None:
    until = datetime(2040, 1, 1, tzinfo=UTC)
    hourly = background(repeat=3600, repeat_until=until, verbose_name="hourly")(sell)
    task: Any = hourly()
    assert (task.repeat, task.repeat_until, task.verbose_name) == (3600, stored_form(until), "hourly")
    task = hourly(repeat=Task.NEVER, verbose_name="once")
    assert (task.repeat, task.verbose_name) == (0, "once")


@pytest.mark.parametrize(
    "given",
    [
        {"schedule": "tomorrow"},
        {"schedule": {"runat": 3}},
        {"schedule": 1e15},
        {"priority": "high"},
        {"priority": 2**31},
        {"queue": ""},
        {"queue": 7},
        {"verbose_name": "x" * 256},
        {"creator": "eve"},
        {"creator": User()},
        {"repeat": 0.5},
        {"repeat": "hourly"},
        {"repeat_until": 60},
        {"remove_existing_tasks": "yes"},
    ],
)
def test_a_wrong_value_is_refused_by_name_and_nothing_is_stored(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises((TypeError, ValueError)) as caught:
        background(sell)(1, **given)
    assert f"{__name__}.sell" in str(caught.value)
    assert name in str(caught.value)
    assert not Task.objects.exists()


def test_an_argument_that_cannot_be_stored_is_refused_and_nothing_is_stored() -> None:
    with pytest.raises(TaskArgumentError, match=r"argument 'order'.*Decimal"):
        background(sell)(Decimal(1))
    assert not Task.objects.exists()


def test_creators_with_integer_and_text_keys_round_trip() -> None:
    user = User.objects.create(username="eve")
    session = Session.objects.create(session_key="a" * 32, expire_date=timezone.now())
    for creator in (user, session):
        task: Any = background(sell)(creator=creator)
        stored = Task.objects.get(pk=task.pk)
        assert stored.creator == creator
        assert stored.creator_object_id == str(creator.pk)
        assert [one.pk for one in Task.objects.created_by(creator)] == [task.pk]
    user.delete()
    assert sorted(str(one.creator) for one in Task.objects.all()) == sorted(["None", str(session)])


def test_text_of_all_kinds_survives() -> None:
    name = "Grüße 🐘 'x' \"y\" %s %(z)s \\ {}"
    task: Any = background(sell)(name, verbose_name=name, queue=name[:100])
    stored = Task.objects.get(pk=task.pk)
    assert (stored.verbose_name, stored.queue, stored.params()[0]) == (name, name[:100], [name])


def test_the_decorator_s_limits_are_stored_with_the_task() -> None:
    task: Any = background(max_attempts=3, max_run_time=None)(sell)()
    assert (task.max_attempts, task.max_run_time) == (3, 0)
    task = background(sell)()
    assert (task.max_attempts, task.max_run_time) == (None, None)


def test_now_touches_no_table(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        background(sell).now(1)


def test_a_database_error_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    from bgtasks.queue import claims

    def broken(task: Any) -> None:
        raise DatabaseError("as asked")

    monkeypatch.setattr(claims, "enqueue", broken)
    with pytest.raises(DatabaseError, match="as asked"):
        background(sell)()
