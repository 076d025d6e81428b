"""COMPATIBILITY 1.4: TaskSchedule, and every kind of value that a schedule can be. Without a database."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from bgtasks.due import stored_form
from bgtasks.tasks import TaskSchedule

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_the_actions_have_the_heritage_numbers() -> None:
    assert (TaskSchedule.SCHEDULE, TaskSchedule.RESCHEDULE_EXISTING, TaskSchedule.CHECK_EXISTING) == (0, 1, 2)


@pytest.mark.parametrize(
    ("value", "due"),
    [
        (None, NOW),
        ({}, NOW),
        (0, NOW),
        (timedelta(0), NOW),
        (10, NOW + timedelta(seconds=10)),
        (1.5, NOW + timedelta(seconds=1.5)),
        (-10, NOW - timedelta(seconds=10)),
        (timedelta(hours=2), NOW + timedelta(hours=2)),
        (datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)),
        ({"run_at": 10}, NOW + timedelta(seconds=10)),
        (TaskSchedule(run_at=10), NOW + timedelta(seconds=10)),
    ],
)
@override_settings(USE_TZ=True)
def test_when_each_kind_of_value_is_due(value: Any, due: datetime) -> None:
    assert TaskSchedule.create(value).due(NOW) == due


def test_run_at_is_reckoned_from_now_at_each_access() -> None:
    schedule = TaskSchedule(run_at=10)
    before = timezone.now()
    assert before <= schedule.run_at - timedelta(seconds=10) <= timezone.now()


@override_settings(USE_TZ=True)
def test_a_naive_datetime_is_in_the_current_time_zone_and_warns_as_django_does() -> None:
    with timezone.override("America/New_York"), pytest.warns(RuntimeWarning, match="naive datetime"):
        due = TaskSchedule(run_at=datetime(2030, 1, 1, 12)).run_at  # noqa: DTZ001
    assert due == datetime(2030, 1, 1, 17, tzinfo=UTC)


@override_settings(USE_TZ=False)
def test_without_use_tz_datetimes_are_local_and_naive() -> None:
    aware = TaskSchedule(run_at=datetime(2030, 7, 1, 12, tzinfo=UTC)).run_at
    naive = TaskSchedule(run_at=datetime(2030, 7, 1, 12)).run_at  # noqa: DTZ001
    assert (aware, naive) == (datetime(2030, 7, 1, 14), datetime(2030, 7, 1, 12))  # noqa: DTZ001


def test_a_missing_field_is_filled_by_merge_and_only_none_is_missing() -> None:
    ours, defaults = TaskSchedule(run_at=0, priority=0), TaskSchedule(run_at=60, priority=7, action=2)
    merged = ours.merge(defaults)
    assert merged == TaskSchedule(run_at=0, priority=0, action=2)
    assert merged.is_now


def test_defaults_of_the_fields() -> None:
    schedule = TaskSchedule()
    assert (schedule.priority, schedule.action, schedule.is_now) == (0, TaskSchedule.SCHEDULE, True)


def test_schedules_are_equal_by_their_raw_fields_and_hashable() -> None:
    assert TaskSchedule(run_at=10, priority=0) == TaskSchedule(run_at=10, priority=0)
    assert TaskSchedule(run_at=10) != TaskSchedule(run_at=10, priority=0)
    assert TaskSchedule(run_at=10) != 10
    assert len({TaskSchedule(run_at=10), TaskSchedule(run_at=10), TaskSchedule(run_at=11)}) == 2


def test_repr_is_the_heritage_s_plus_the_action_when_set() -> None:
    assert repr(TaskSchedule(run_at=10, priority=0)) == "TaskSchedule(run_at=10, priority=0)"
    assert repr(TaskSchedule(10, 0, 2)) == "TaskSchedule(run_at=10, priority=0, action=2)"


def test_create_returns_a_schedule_as_it_is() -> None:
    schedule = TaskSchedule(run_at=10)
    assert TaskSchedule.create(schedule) is schedule
    assert TaskSchedule.create({"run_at": 1, "priority": 2, "action": 1}) == TaskSchedule(1, 2, 1)


@pytest.mark.parametrize("value", ["tomorrow", b"x", [], (1,), object(), True, {"run_at": "x"}, date(2030, 1, 1)])
def test_other_kinds_are_a_type_error_naming_the_value(value: Any) -> None:
    with pytest.raises(TypeError) as caught:
        TaskSchedule.create(value)
    assert repr(value["run_at"] if isinstance(value, dict) else value) in str(caught.value)


def test_an_unknown_key_is_a_type_error_that_names_the_near_one() -> None:
    with pytest.raises(TypeError, match=r"'runat'.*'run_at'"):
        TaskSchedule.create({"runat": 10})
    with pytest.raises(TypeError, match="run_at, priority, action"):
        TaskSchedule.create({7: 10})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="is not a number of seconds"):
        TaskSchedule.create(value)


def test_beyond_the_calendar_is_a_value_error() -> None:
    for value in (1e15, timedelta.max, -1e11):
        with pytest.raises(ValueError, match="calendar"):
            _ = TaskSchedule.create(value).run_at
    with pytest.raises(ValueError, match="calendar"):
        stored_form(datetime(9999, 12, 31, 23, 59, tzinfo=timezone.get_fixed_timezone(-720)))


@pytest.mark.parametrize("action", [3, -1, True, "check"])
def test_an_unknown_action_is_refused(action: Any) -> None:
    with pytest.raises(ValueError, match="is not an action"):
        TaskSchedule(action=action)


def test_schedules_hold_under_use_tz_false_in_a_process_of_its_own() -> None:
    code = (
        "import django; django.setup()\n"
        "from bgtasks.tasks import TaskSchedule; from django.utils import timezone; import datetime as d\n"
        "due = TaskSchedule(run_at=3600).run_at\n"
        "assert due.tzinfo is None and abs((due - d.datetime.now()).total_seconds() - 3600) < 5\n"
    )
    environment = {**os.environ, "BGTASKS_TEST_USE_TZ": "0", "DJANGO_SETTINGS_MODULE": "tests.settings"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
