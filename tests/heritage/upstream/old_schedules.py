"""What runs inside a project that has the real django-celery-beat and django-q2: rows, and when they would be fired."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

INTERVALS = ((30, "seconds"), (7, "minutes"), (36, "hours"), (3, "days"), (5_000_000, "microseconds"))
EVEN = (
    ("* * * * *", "Europe/Berlin"),
    ("*/5 * * * *", "America/New_York"),
    ("5,25,45 * * * *", "UTC"),
    ("20 * * * *", "Asia/Kolkata"),
    ("30 */6 * * *", "America/Phoenix"),
    ("50 3 * * *", "UTC"),
    ("10 5 * * *", "Asia/Tokyo"),
    ("0 12 * * wed", "UTC"),
)
UNEVEN = (("15 3 * * *", "Europe/Berlin"), ("0 8 * * mon-fri", "UTC"), ("0 0 1 * *", "UTC"))
FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


def fill_first_django_celery_beat() -> None:
    """Add schedules with the columns alone that the first version had."""
    interval = _insert("django_celery_beat_intervalschedule", every=5, period="minutes")
    crontab = _insert("django_celery_beat_crontabschedule", **dict(zip(FIELDS, ("*/15", *"****"), strict=True)))
    common = {"task": "shop.tasks.add", "args": "[1]", "kwargs": "{}", "enabled": True, "total_run_count": 0}
    for name, column in (("interval", {"interval_id": interval}), ("crontab", {"crontab_id": crontab})):
        row = {**common, **column, "name": name, "date_changed": timezone.now(), "description": ""}
        _insert("django_celery_beat_periodictask", **row)


def fill_first_django_q() -> None:
    """Do the same for Django Q."""
    common = {"func": "shop.tasks.add", "args": "1", "repeats": -1, "next_run": timezone.now()}
    for kind in ("H", "O"):
        _insert("django_q_schedule", **common, schedule_type=kind)


def fill() -> None:
    """Add schedules of every kind, by the packages' own models."""
    _fill_celery_beat()
    _fill_django_q()


def _fill_celery_beat() -> None:
    from django_celery_beat import models

    now = timezone.now()
    recently, long_ago = now - timedelta(seconds=20), now - timedelta(days=40)

    def add(name: str, **given: Any) -> None:
        models.PeriodicTask.objects.create(name=name, task="shop.tasks.add", **given)

    for every, period in INTERVALS:
        interval = models.IntervalSchedule.objects.create(every=every, period=period)
        add(f"{every} {period}", interval=interval, last_run_at=recently)
        add(f"{every} {period}, new", interval=interval)
        add(f"{every} {period}, missed", interval=interval, last_run_at=long_ago)
    for line, zone in (*EVEN, *UNEVEN):
        fields = dict(zip(FIELDS, line.split(), strict=True))
        crontab = models.CrontabSchedule.objects.create(**fields, timezone=zone)
        add(f"{line} {zone}", crontab=crontab, last_run_at=now)
        add(f"{line} {zone}, missed", crontab=crontab, last_run_at=long_ago)
    clocked = models.ClockedSchedule.objects.create(clocked_time=now + timedelta(hours=5))
    add("clocked", clocked=clocked, one_off=True)
    solar = models.SolarSchedule.objects.create(event="sunset", latitude=50, longitude=8)
    add("solar", solar=solar)
    add("disabled", interval=interval, enabled=False)


def _fill_django_q() -> None:
    from django_q.models import Schedule

    due = timezone.now() + timedelta(hours=1)
    for kind in ("O", "I", "H", "D", "W", "BW", "M", "Q", "Y"):
        Schedule.objects.create(name=kind, func="shop.tasks.add", schedule_type=kind, minutes=7, next_run=due)
    for line in ("*/10 * * * *", "30 4 * * *", "0 9 * * 1-5"):
        Schedule.objects.create(name=line, func="shop.tasks.add", schedule_type="C", cron=line)


def tell_when_due() -> None:
    """Print when the old packages would fire each schedule, in JSON; null: now."""
    from celery import Celery
    from django_celery_beat.models import PeriodicTask
    from django_celery_beat.schedulers import ModelEntry
    from django_q.models import Schedule

    app = Celery("shop", timezone="UTC")
    told = {row.name: row.next_run.isoformat() for row in Schedule.objects.all()}
    for row in PeriodicTask.objects.filter(enabled=True, solar=None):  # the sun's times would need one more package
        state, now = ModelEntry(row, app=app).is_due(), timezone.now()
        told[row.name] = None if state.is_due else (now + timedelta(seconds=state.next)).isoformat()
    print(json.dumps(told))  # noqa: T201 - this is how a process answers


def tell_what_fires() -> None:
    """Print which schedules the old packages still fire, and when beat was last told of a change, in JSON."""
    from django_celery_beat.models import PeriodicTask, PeriodicTasks
    from django_q.models import Schedule

    firing = [*PeriodicTask.objects.filter(enabled=True), *Schedule.objects.exclude(repeats=0)]
    told = [[row.name for row in firing], PeriodicTasks.last_change().isoformat()]
    print(json.dumps(told))  # noqa: T201 - the same


def _insert(table: str, **columns: Any) -> int:
    names = ", ".join(map(connection.ops.quote_name, columns))
    values = ", ".join(["%s"] * len(columns))
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({values})", list(columns.values()))
        cursor.execute(f"SELECT max(id) FROM {table}")
        return cursor.fetchone()[0]
