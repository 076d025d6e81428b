"""Crontab lines that are evenly spaced in time, and so can be a number of seconds; all others are told apart here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

from bgtasks.arguments import shown
from bgtasks.compat.schedules.schedule import NotTaken

WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("weekday", 0, 6))
ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
DAY, WEEK = 24 * 60, 7 * 24 * 60
"""Minutes."""
YEARS_AHEAD = 5
"""So far a time zone's changes are looked at."""
EVERY_DAY = (frozenset(range(1, 32)), frozenset(range(1, 13)))
FIX = "call it from cron, or let the function enqueue its own next run (docs/schedulers.md)"


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone. Raises NotTaken."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # the last for a name that is a directory of zones
        raise NotTaken(f"the time zone {shown(name)} is not known here", "correct it there and import again") from None


def evenly_spaced(fields: Sequence[str], zone: tzinfo, now: datetime) -> tuple[datetime, int]:
    """Return one slot of a crontab and the seconds from one to the next. Raises NotTaken if these differ."""
    line = f"the crontab line {' '.join(fields)}"
    try:
        first, minutes = _pace(tuple(fields))
    except ValueError as error:
        raise NotTaken(f"{line} cannot be read: {error}", "correct it there and import again") from None
    if not minutes:
        raise NotTaken(f"{line} is not evenly spaced: its runs are not equally far apart", FIX)
    refuse_clock_changes(zone, minutes * 60, now, line)
    local = now.astimezone(zone).date()
    sunday = datetime.combine(local - timedelta(days=local.isoweekday() % 7), time(), zone)
    return (sunday + timedelta(minutes=first)).astimezone(UTC), minutes * 60


def refuse_clock_changes(zone: tzinfo, period: int, now: datetime, described: str) -> None:
    """Raise NotTaken if what is evenly spaced by the clock on the wall is not so in time."""
    offsets = _offsets(zone, now.date())
    if any((offset - min(offsets)) % period for offset in offsets):
        raise NotTaken(f"{described} is not evenly spaced in {zone}: the clocks change there", FIX)


def slot_after(slot: datetime, period: int, moment: datetime) -> datetime:
    """Return the first of these evenly spaced slots that is later than a moment."""
    step = timedelta(seconds=period)
    return slot + step * ((moment - slot) // step + 1)


@cache
def _offsets(zone: tzinfo, start: date) -> frozenset[int]:
    """Return the seconds by which a zone is ahead of UTC, on each of the days to come."""
    noon = datetime.combine(start, time(12), UTC)
    moments = ((noon + timedelta(days=days)).astimezone(zone) for days in range(366 * YEARS_AHEAD))
    return frozenset(int((moment.utcoffset() or timedelta()).total_seconds()) for moment in moments)


@cache
def _pace(fields: tuple[str, ...]) -> tuple[int, int]:
    """Return the first minute of a week, from Sunday on, at which a crontab fires, and its period in minutes.

    The period is 0 if its runs are not equally far apart. Raises ValueError for what is no crontab.
    """
    if len(fields) != len(FIELDS):
        raise ValueError(f"it has {len(fields)} fields, not {len(FIELDS)}")
    parsed = [_values(text.lower(), *field) for text, field in zip(fields, FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = parsed
    slots = sorted(weekday * DAY + hour * 60 + minute for weekday in weekdays for hour in hours for minute in minutes)
    distances = {(after - slot) % WEEK or WEEK for slot, after in zip(slots, [*slots[1:], slots[0]], strict=True)}
    is_even = (days, months) == EVERY_DAY and len(distances) == 1
    return slots[0], distances.pop() if is_even else 0


def _values(text: str, name: str, first: int, last: int) -> frozenset[int]:
    """Return what a field such as `*/5`, `1,15`, `mon-fri` or `22-4` stands for."""
    found: set[int] = set()
    count = last + 1 - first
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and not (step.isdecimal() and 0 < int(step) <= last):
            raise ValueError(f"{part!r} in its {name}")
        low, high = _ends(span, bool(slash), name, (first, last))
        end = high if low <= high else high + count
        found.update((value - first) % count + first for value in range(low, end + 1, int(step) if slash else 1))
    return frozenset(found)


def _ends(span: str, is_stepped: bool, name: str, bounds: tuple[int, int]) -> tuple[int, int]:
    if span in ("*", "?"):
        return bounds
    low, dash, high = span.partition("-")
    start = _number(low, name, bounds)
    if dash:
        return start, _number(high, name, bounds)
    return start, bounds[1] if is_stepped else start


def _number(text: str, name: str, bounds: tuple[int, int]) -> int:
    first, last = bounds
    names = {"weekday": WEEKDAYS, "month": MONTHS}.get(name, ())
    if text.isalpha() and text[:3] in names:
        return names.index(text[:3]) + first
    is_sunday = name == "weekday" and text == "7"
    if not is_sunday and not (text.isdecimal() and first <= int(text) <= last):
        raise ValueError(f"{text!r} in its {name}")
    return int(text)
