"""Django Q and django-q2: the table of schedules, and what one of them asks for. Neither is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from django.conf import settings
from django.db import models

from bgtasks.compat.foreign_tables import ForeignTable
from bgtasks.compat.schedules.crontab import (
    ALIASES,
    FIX,
    evenly_spaced,
    refuse_clock_changes,
    slot_after,
    zone_of,
)
from bgtasks.compat.schedules.literals import read_args, read_kwargs
from bgtasks.compat.schedules.schedule import (
    NothingToTake,
    NotTaken,
    Schedule,
    aware,
    checked_period,
    latest_missed_or,
)

SCHEDULE: dict[str, Any] = {
    "func": models.TextField,
    "hook": models.TextField,
    "args": models.TextField,
    "kwargs": models.TextField,
    "schedule_type": models.TextField,
    "repeats": models.BigIntegerField,
    "next_run": models.DateTimeField,
}
LATER: dict[str, Any] = {
    "name": models.TextField,
    "minutes": models.IntegerField,
    "cron": models.TextField,
    "cluster": models.TextField,
    "intended_date_kwarg": models.TextField,
}
ONCE, MINUTES, HOURLY, CRON = "O", "I", "H", "C"
BY_THE_CLOCK = {"D": ("daily", 1), "W": ("weekly", 7), "BW": ("biweekly", 14)}
"""Type → its name and days: at the same time on the clock, whatever happens to the clock."""
MONTHS = {"M": "monthly", "BM": "bimonthly", "Q": "quarterly", "Y": "yearly"}


@dataclass
class DjangoQ:
    """The schedules of one database."""

    alias: str
    title = "Django Q"
    mark = "django-q"

    def __post_init__(self) -> None:
        """Look at the table. Raises NoTable."""
        self.table = ForeignTable(self.alias, "django_q_schedule", SCHEDULE, LATER)

    def name_of(self, row: Any) -> str:
        """Return what people call this schedule: names are optional there."""
        return getattr(row, "name", None) or row.func or ""

    def is_firing(self, row: Any) -> bool:
        """Say whether this schedule is switched on there."""
        return bool(row.repeats) and row.next_run is not None

    def read(self, row: Any, now: datetime) -> Schedule:
        """Return what a row asks for. Raises NotTaken or NothingToTake."""
        next_run = aware(row.next_run)
        if row.repeats == 0:
            raise NothingToTake("it has no repeats left")
        if next_run is None:
            raise NothingToTake("it has no next run")
        first, period = _timing(row, next_run, now)
        schedule = Schedule(row.func or "", first, period, queue=getattr(row, "cluster", None) or None)
        schedule.args, schedule.kwargs = read_args(row.args), read_kwargs(row.kwargs)
        _limit(schedule, row.repeats)
        _pass_the_date(schedule, row, next_run)
        _take_options_out(schedule, row)
        return schedule

    def disable(self, ids: list[int], now: datetime) -> None:
        """Have Django Q fire these no more: its own word for that is no repeats."""
        self.table.change(ids, repeats=0)


def _timing(row: Any, next_run: datetime, now: datetime) -> tuple[datetime, int]:
    """Return when it is due and the seconds from one run to the next, 0 if it runs once."""
    kind = row.schedule_type
    if kind == ONCE:
        return next_run, 0
    if kind == CRON:
        slot, period = evenly_spaced(_fields(row), _zone(), now)
        first = slot_after(slot, period, next_run - timedelta(microseconds=1))
    elif kind in (MINUTES, HOURLY):
        minutes = 60 if kind == HOURLY else getattr(row, "minutes", None) or 1
        first, period = next_run, checked_period(minutes * 60, f"{minutes} minutes")
    elif kind in BY_THE_CLOCK:
        name, days = BY_THE_CLOCK[kind]
        first, period = next_run, days * 86400
        refuse_clock_changes(_zone(), period, now, f"a {name} run")
    elif kind in MONTHS:
        raise NotTaken(f"it is {MONTHS[kind]}: months are not equally long", FIX)
    else:
        raise NotTaken(f"{kind!r} is no type of schedule", "correct it there and import again")
    return latest_missed_or(first, period, now), period


def _fields(row: Any) -> Sequence[str]:
    line = (getattr(row, "cron", None) or "").strip()
    fields = ALIASES.get(line.lower(), line).split()
    if len(fields) == 6:
        raise NotTaken(f"the crontab line {line} counts seconds", FIX)
    if len(fields) == 5 and fields[2] not in ("*", "?") and fields[4] not in ("*", "?"):
        raise NotTaken(f"the crontab line {line} names days of the month and of the week", FIX)
    return fields


def _zone() -> tzinfo:
    cluster = getattr(settings, "Q_CLUSTER", None) or {}
    return zone_of(str(cluster.get("time_zone") or settings.TIME_ZONE))


def _limit(schedule: Schedule, repeats: int | None) -> None:
    """Have the schedule end with the last of the runs that are left; -1: never."""
    if not schedule.period or repeats is None or repeats < 0:
        return
    try:
        schedule.until = schedule.run_at + timedelta(seconds=schedule.period) * (repeats - 1)
    except OverflowError:
        return  # beyond the calendar is for ever
    schedule.remarks.append("its number of runs became a time of the last run: a run that is missed counts")


def _pass_the_date(schedule: Schedule, row: Any, next_run: datetime) -> None:
    name = getattr(row, "intended_date_kwarg", None)
    if name and schedule.period:
        raise NotTaken(
            f"each run gets its own date as {name!r}, and the arguments of a repeating task stay the same",
            "let the function take the time itself, clear the field there and import again",
        )
    if name:
        schedule.kwargs[name] = next_run.isoformat()


def _take_options_out(schedule: Schedule, row: Any) -> None:
    """Take what was meant for Django Q out of the arguments, and say so."""
    options = schedule.kwargs.pop("q_options", None)
    if isinstance(options, dict) and schedule.queue is None:
        schedule.queue = options.get("cluster") or options.get("broker_name")
    ignored = sorted({*(options if isinstance(options, dict) else ()), *(["hook"] if row.hook else [])} - {"cluster"})
    if ignored:
        schedule.remarks.append(f"not taken over: {', '.join(map(str, ignored))}")
