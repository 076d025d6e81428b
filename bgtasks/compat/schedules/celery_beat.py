"""Celery beat: the tables of django-celery-beat, and what one of its periodic tasks asks for. No Celery is imported."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import models

from bgtasks.compat.foreign_tables import ForeignTable
from bgtasks.compat.schedules.crontab import evenly_spaced, slot_after, zone_of
from bgtasks.compat.schedules.schedule import (
    NothingToTake,
    NotTaken,
    Schedule,
    aware,
    checked_period,
    latest_missed_or,
)
from bgtasks.due import stored_form

PERIODIC_TASK: dict[str, Any] = {
    "name": models.TextField,
    "task": models.TextField,
    "interval_id": models.BigIntegerField,
    "crontab_id": models.BigIntegerField,
    "args": models.TextField,
    "kwargs": models.TextField,
    "queue": models.TextField,
    "exchange": models.TextField,
    "routing_key": models.TextField,
    "expires": models.DateTimeField,
    "enabled": models.BooleanField,
    "last_run_at": models.DateTimeField,
    "total_run_count": models.BigIntegerField,
    "date_changed": models.DateTimeField,
}
LATER: dict[str, Any] = {
    "solar_id": models.BigIntegerField,
    "priority": models.BigIntegerField,
    "one_off": models.BooleanField,
    "start_time": models.DateTimeField,
    "headers": models.TextField,
    "clocked_id": models.BigIntegerField,
    "expire_seconds": models.BigIntegerField,
}
INTERVAL: dict[str, Any] = {"every": models.BigIntegerField, "period": models.TextField}
CRONTAB_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
CRONTAB: dict[str, Any] = dict.fromkeys(CRONTAB_FIELDS, models.TextField)
CLOCKED: dict[str, Any] = {"clocked_time": models.DateTimeField}
CHANGES = "django_celery_beat_periodictasks"
"""One row, with the time of the last change."""
SECONDS = {"days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0, "microseconds": 0.000001}
IGNORED = {
    "exchange": "its exchange and routing key mean nothing here: the queue alone counts",
    "routing_key": "its exchange and routing key mean nothing here: the queue alone counts",
    "expire_seconds": "a late run is not dropped here: expire_seconds is ignored",
}


@dataclass
class CeleryBeat:
    """The schedules of one database."""

    alias: str
    title = "Celery beat"
    mark = "celery-beat"

    def __post_init__(self) -> None:
        """Look at the table. Raises NoTable."""
        self.table = ForeignTable(self.alias, "django_celery_beat_periodictask", PERIODIC_TASK, LATER)

    def name_of(self, row: Any) -> str:
        """Return what people call this schedule."""
        return row.name or ""

    def is_firing(self, row: Any) -> bool:
        """Say whether this schedule is switched on there."""
        return bool(row.enabled)

    def read(self, row: Any, now: datetime) -> Schedule:
        """Return what a row asks for. Raises NotTaken or NothingToTake."""
        _refuse_what_is_over(row, now)
        base = aware(row.last_run_at) or aware(row.date_changed) or now
        first, period = self._timing(row, base, now)
        once = bool(getattr(row, "one_off", False)) or not period
        schedule = Schedule(row.task or "", first, 0 if once else period)
        schedule.args, schedule.kwargs = _json(row.args, list), _json(row.kwargs, dict)
        schedule.queue, schedule.priority = row.queue or None, getattr(row, "priority", None)
        _limit(schedule, aware(row.expires))
        schedule.remarks += _remarks(row)
        return schedule

    def disable(self, ids: list[int], now: datetime) -> None:
        """Have beat fire these no more; it looks at its schedules again when the time of the last change moves."""
        self.table.change(ids, enabled=False)
        changes = ForeignTable(self.alias, CHANGES, {"last_update": models.DateTimeField}, {})
        changes.change_all(last_update=stored_form(now))

    def _timing(self, row: Any, base: datetime, now: datetime) -> tuple[datetime, int]:
        """Return when it is due and the seconds from one run to the next, 0 for a time on the clock."""
        start = aware(getattr(row, "start_time", None))
        if row.interval_id:
            return self._interval(row, base, start, now)
        if row.crontab_id:
            return self._crontab(row, base, start, now)
        if getattr(row, "solar_id", None):
            raise NotTaken("it follows the sun", "let the function reckon its next run and enqueue that")
        if getattr(row, "clocked_id", None):
            at = aware(_found(self._clocked, row.clocked_id, "clocked time").clocked_time) or now
            return max(at, start or at), 0
        raise NotTaken("it has no schedule", "give it one there, or delete it")

    def _interval(self, row: Any, base: datetime, start: datetime | None, now: datetime) -> tuple[datetime, int]:
        interval = _found(self._intervals, row.interval_id, "interval")
        if interval.period not in SECONDS:
            raise NotTaken(f"{interval.period!r} is no period", "correct it there and import again")
        seconds = round((interval.every or 0) * SECONDS[interval.period], 6)
        period = checked_period(seconds, f"an interval of {interval.every} {interval.period}")
        first = base + timedelta(seconds=period)
        if start is not None:
            first = max(first, start) if row.last_run_at else start
        return latest_missed_or(first, period, now), period

    def _crontab(self, row: Any, base: datetime, start: datetime | None, now: datetime) -> tuple[datetime, int]:
        crontab = _found(self._crontabs, row.crontab_id, "crontab")
        fields = [(getattr(crontab, name) or "*").replace(" ", "") for name in CRONTAB_FIELDS]
        slot, period = evenly_spaced(fields, _zone(crontab), now)
        if start is not None:  # a run at this very time is one of it
            earlier = start - timedelta(microseconds=1)
            base = max(base, earlier) if row.last_run_at else earlier
        return latest_missed_or(slot_after(slot, period, base), period, now), period

    @cached_property
    def _intervals(self) -> dict[int, Any]:
        return ForeignTable(self.alias, "django_celery_beat_intervalschedule", INTERVAL, {}).rows.in_bulk()

    @cached_property
    def _crontabs(self) -> dict[int, Any]:
        zone = {"timezone": models.TextField}
        return ForeignTable(self.alias, "django_celery_beat_crontabschedule", CRONTAB, zone).rows.in_bulk()

    @cached_property
    def _clocked(self) -> dict[int, Any]:
        return ForeignTable(self.alias, "django_celery_beat_clockedschedule", CLOCKED, {}).rows.in_bulk()


def _refuse_what_is_over(row: Any, now: datetime) -> None:
    if (row.task or "").startswith("celery."):
        raise NothingToTake("it is Celery's own housekeeping")
    if not row.enabled:
        raise NothingToTake("it is disabled")
    if row.expires is not None and (aware(row.expires) or now) <= now:
        raise NothingToTake("it has expired")
    if getattr(row, "one_off", False) and row.total_run_count:
        raise NothingToTake("it was to run once, and has")


def _limit(schedule: Schedule, expires: datetime | None) -> None:
    """Have the schedule end when it did there, where a run at that very time was none."""
    if expires is None:
        return
    schedule.until = expires - timedelta(microseconds=1)
    if schedule.run_at > schedule.until:
        raise NothingToTake("it expires before its next run")
    if not schedule.period:
        schedule.remarks.append("a late run is not dropped here: its expiry is ignored, for it runs once")


def _zone(crontab: Any) -> tzinfo:
    """Return the zone of a crontab; before they had one of their own, and on request, Celery's counts."""
    name = getattr(crontab, "timezone", None)
    if not name or not getattr(settings, "DJANGO_CELERY_BEAT_TZ_AWARE", True):
        name = getattr(settings, "CELERY_TIMEZONE", None) or "UTC"
    return zone_of(str(name))


def _found(rows: dict[int, Any], row_id: int, what: str) -> Any:
    if row_id not in rows:
        raise NotTaken(f"its {what} is gone", "delete it there")
    return rows[row_id]


def _json(text: str | None, kind: Callable[[], Any]) -> Any:
    try:
        value = json.loads(text) if text else kind()
    except (ValueError, RecursionError) as error:
        raise NotTaken(f"its arguments are not JSON: {error}", "correct them there and import again") from None
    if type(value) is not kind:
        raise NotTaken("its arguments are not a list and a dictionary", "correct them there and import again")
    return value


def _remarks(row: Any) -> list[str]:
    found = {told for column, told in IGNORED.items() if getattr(row, column, None)}
    if (getattr(row, "headers", None) or "{}").strip() not in ("", "{}"):
        found.add("its message headers are not taken over")
    if getattr(row, "priority", None) is not None:
        found.add("its priority is taken as it is: larger is sooner, as with RabbitMQ; with Redis it was the reverse")
    return sorted(found)
