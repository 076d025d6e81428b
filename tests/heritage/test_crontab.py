"""Which crontab lines are evenly spaced in time, and where their slots lie."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bgtasks.compat.schedules.crontab import evenly_spaced, slot_after, zone_of
from bgtasks.compat.schedules.schedule import NotTaken, latest_missed_or

NOW = datetime(2026, 11, 30, 10, 7, 30, tzinfo=UTC)
HOUR, DAY, WEEK = 3600, 86400, 7 * 86400


def next_run(line: str, zone: str = "UTC", now: datetime = NOW) -> tuple[str, int]:
    """Return the next slot as local time, and the period."""
    slot, period = evenly_spaced(line.split(), zone_of(zone), now)
    return slot_after(slot, period, now).astimezone(ZoneInfo(zone)).strftime("%a %H:%M"), period


@pytest.mark.parametrize(("line", "zone", "expected"), [
    ("* * * * *", "Europe/Berlin", ("Mon 11:08", 60)),
    ("*/5 * * * *", "Europe/Berlin", ("Mon 11:10", 300)),
    ("3-59/15 * * * *", "UTC", ("Mon 10:18", 900)),
    ("3,18,33,48 * * * *", "UTC", ("Mon 10:18", 900)),
    ("7 * * * *", "Europe/Berlin", ("Mon 12:07", HOUR)),
    ("0 */6 * * *", "UTC", ("Mon 12:00", 6 * HOUR)),
    ("0 1,7,13,19 * * *", "Asia/Kolkata", ("Mon 19:00", 6 * HOUR)),
    ("30 3 * * *", "UTC", ("Tue 03:30", DAY)),
    ("30 3 */1 1-12 0-6", "UTC", ("Tue 03:30", DAY)),
    ("30 3 * jan-dec mon-sun", "UTC", ("Tue 03:30", DAY)),
    ("0 10 * * *", "Asia/Tokyo", ("Tue 10:00", DAY)),
    ("0 9 * * 1", "UTC", ("Mon 09:00", WEEK)),
    ("0 9 * * monday", "UTC", ("Mon 09:00", WEEK)),
    ("0 9 * * 7", "UTC", ("Sun 09:00", WEEK)),
    ("*/30 * * * *", "Australia/Lord_Howe", ("Mon 21:30", 1800)),
    ("0 22-21 * * *", "UTC", ("Mon 11:00", HOUR)),
])  # fmt: skip
def test_evenly_spaced_lines_have_a_slot_and_a_period(line, zone, expected) -> None:
    assert next_run(line, zone) == expected


@pytest.mark.parametrize(("line", "zone", "reason"), [
    ("30 3 * * *", "Europe/Berlin", "the clocks change there"),
    ("0 */2 * * *", "America/New_York", "the clocks change there"),
    ("0 * * * *", "Australia/Lord_Howe", "the clocks change there"),  # by half an hour
    ("0 9 * * 1", "Europe/Berlin", "the clocks change there"),
    ("*/7 * * * *", "UTC", "not equally far apart"),
    ("0 8 * * mon-fri", "UTC", "not equally far apart"),
    ("*/5 8-17 * * *", "UTC", "not equally far apart"),
    ("0 0 1 * *", "UTC", "not equally far apart"),
    ("0 0 * 1 *", "UTC", "not equally far apart"),
    ("0 0 * * */2", "UTC", "not equally far apart"),
    ("0 0 29 2 *", "UTC", "not equally far apart"),
    ("60 * * * *", "UTC", "cannot be read: '60' in its minute"),
    ("a * * * *", "UTC", "cannot be read: 'a' in its minute"),
    ("*/0 * * * *", "UTC", "cannot be read: '\\*/0' in its minute"),
    ("1, * * * *", "UTC", "cannot be read: '' in its minute"),
    ("-5 * * * *", "UTC", "cannot be read: '' in its minute"),
    ("0 0 L * *", "UTC", "cannot be read: 'l' in its day of the month"),
    ("0 0 * * 5#2", "UTC", "cannot be read: '5#2' in its weekday"),
    ("* * *", "UTC", "it has 3 fields, not 5"),
    (f"{'9' * 5000} * * * *", "UTC", "cannot be read"),
])  # fmt: skip
def test_all_others_are_refused_with_the_reason(line, zone, reason) -> None:
    with pytest.raises(NotTaken, match=reason):
        next_run(line, zone)


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "Europe", "", "../../etc/passwd", "a\x00b", "/etc/passwd", "x" * 5000]
)
def test_a_zone_that_is_none_is_refused(name) -> None:
    with pytest.raises(NotTaken, match="is not known here"):
        zone_of(name)


def test_slots_stay_where_the_wall_clock_has_them_when_the_clocks_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    slot, period = evenly_spaced(["20", "*", "*", "*", "*"], berlin, NOW)
    moment = NOW
    for _ in range(24 * 366):
        moment = slot_after(slot, period, moment)
        assert moment.astimezone(berlin).minute == 20


def test_of_missed_slots_the_latest_is_made_up_for() -> None:
    first = NOW - timedelta(days=400, seconds=1)
    due = latest_missed_or(first, HOUR, NOW)
    assert NOW - timedelta(seconds=HOUR) < due <= NOW
    assert (due - first).total_seconds() % HOUR == 0
    assert latest_missed_or(NOW + timedelta(days=1), HOUR, NOW) == NOW + timedelta(days=1)
    assert latest_missed_or(NOW, HOUR, NOW) == NOW
