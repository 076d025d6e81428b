"""Taking over Django Q's schedules: what becomes of each type, and arguments that are read and never run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from bgtasks import background
from bgtasks.compat.schedules import django_q
from bgtasks.compat.tasks import tasks
from bgtasks.models import Task
from tests.heritage.foreign import foreign_tables

pytestmark = pytest.mark.django_db(transaction=True)

OLDEST = tuple(django_q.SCHEDULE)
LATEST = (*OLDEST, *django_q.LATER)


class Schedules:
    """The table of one version, and a way to fill it."""

    def __init__(self, create: Any, columns: tuple[str, ...]) -> None:
        known = {**django_q.SCHEDULE, **django_q.LATER}
        self.rows = create("django_q_schedule", {name: known[name](null=True) for name in columns}).objects

    def add(self, kind: str = "H", **given: Any) -> Any:
        """Insert a schedule that is due in a minute, unless `given` says otherwise."""
        common = {"func": "add", "repeats": -1, "next_run": timezone.now() + timedelta(minutes=1)}
        return self.rows.create(**{**common, "schedule_type": kind, **given})


@pytest.fixture
def schedules_of() -> Iterator[Any]:
    """Return a function that makes the table of a version."""
    with foreign_tables() as create:
        yield lambda columns=LATEST: Schedules(create, columns)


@pytest.fixture
def schedules(schedules_of) -> Schedules:
    return schedules_of()


@pytest.fixture(autouse=True)
def ran() -> list[Any]:
    found: list[Any] = []

    @background(name="add")
    def add(*args: Any, **kwargs: Any) -> None:
        found.append((list(args), kwargs))

    return found


def run(*arguments: str) -> dict[str, Any]:
    """Import, and return what was reported."""
    out = StringIO()
    with contextlib.suppress(SystemExit):  # schedules were left where they are
        call_command("bgtasks_import_django_q", "--json", *arguments, stdout=out)
    return json.loads(out.getvalue())


@pytest.mark.parametrize(("columns", "kind", "given", "period"), [
    *((columns, "O", {}, 0) for columns in (OLDEST, (*OLDEST, "minutes", "cron"), LATEST)),
    *((columns, "H", {}, 3600) for columns in (OLDEST, (*OLDEST, "minutes", "cron"), LATEST)),
    ((*OLDEST, "minutes"), "I", {"minutes": 7}, 420),
    (LATEST, "I", {"minutes": None}, 60),
])  # fmt: skip
def test_schedules_are_due_when_they_were_there(schedules_of, columns, kind, given, period) -> None:
    row = schedules_of(columns).add(kind, **given)
    facts = run("--commit")
    assert (facts["once"], facts["repeating"]) == ((0, 1) if period else (1, 0))
    task = Task.objects.get()
    assert (task.run_at, task.repeat, task.queue) == (row.next_run, period, "default")
    assert task.verbose_name == f"add (django-q {row.pk})"


@pytest.mark.parametrize(("kind", "days"), [("D", 1), ("W", 7), ("BW", 14)])
def test_what_goes_by_the_clock_is_taken_over_where_the_clocks_do_not_change(schedules, settings, kind, days) -> None:
    row = schedules.add(kind)
    settings.Q_CLUSTER = {"time_zone": "Europe/Berlin"}
    assert "not evenly spaced in Europe/Berlin" in run("--commit")["left"][0]["reason"]
    settings.Q_CLUSTER = {"time_zone": "Asia/Tokyo"}
    assert run("--commit")["repeating"] == 1
    task = Task.objects.get()
    assert (task.run_at, task.repeat) == (row.next_run, days * 86400)


def test_missed_runs_are_made_up_for_once(schedules) -> None:
    row = schedules.add("I", minutes=10, next_run=timezone.now() - timedelta(minutes=35))
    assert run("--commit")["due"] == 1
    assert Task.objects.get().run_at == row.next_run + timedelta(minutes=30)


def test_crontab_lines_have_their_slots(schedules) -> None:
    schedules.add("C", cron="*/10 * * * *", name="even")
    schedules.add("C", cron="@hourly", name="alias")
    assert run("--commit")["repeating"] == 2
    even, alias = Task.objects.order_by("id")
    assert (even.repeat, even.run_at.minute % 10, even.run_at.second) == (600, 0, 0)
    assert (alias.repeat, alias.run_at.minute) == (3600, 0)
    assert timezone.now() < even.run_at <= timezone.now() + timedelta(minutes=11)


@pytest.mark.parametrize(("kind", "given", "why"), [
    ("M", {}, "it is monthly: months are not equally long"),
    ("BM", {}, "it is bimonthly"),
    ("Q", {}, "it is quarterly"),
    ("Y", {}, "it is yearly"),
    ("Z", {}, "'Z' is no type of schedule"),
    ("I", {"minutes": -3}, "-3 minutes is no interval"),
    ("C", {"cron": "30 3 * * *"}, "the clocks change there"),
    ("C", {"cron": "* * * * * */5"}, "counts seconds"),
    ("C", {"cron": "0 0 1-31 * 1"}, "names days of the month and of the week"),
    ("C", {"cron": "x"}, "it has 1 fields, not 5"),
    ("C", {"cron": None}, "it has 0 fields, not 5"),
    ("H", {"intended_date_kwarg": "day"}, "each run gets its own date as 'day'"),
    ("H", {"func": "nowhere"}, "no task function here is named nowhere"),
    ("H", {"cluster": "c" * 191}, "it must have 1 to 190 characters"),
])  # fmt: skip
def test_what_cannot_be_expressed_stays_and_says_why(schedules, kind, given, why) -> None:
    schedules.add(kind, **given)
    assert why in run("--commit")["left"][0]["reason"]
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    ("given", "why"), [({"repeats": 0}, "it has no repeats left"), ({"next_run": None}, "it has no next run")]
)
def test_what_is_fired_no_more_is_skipped_and_named(schedules, given, why) -> None:
    schedules.add(**given)
    assert run("--commit")["skipped"][0]["reason"] == why
    assert not Task.objects.exists()


def test_repeats_end_with_the_last_one(schedules, ran) -> None:
    row = schedules.add(repeats=3)
    schedules.add(repeats=2**31 - 1, args="'for ever'")
    schedules.add("O", repeats=2, args="'once'")
    facts = run("--commit")
    bounded, for_ever, once = Task.objects.order_by("id")
    assert bounded.repeat_until == row.next_run + timedelta(hours=2)
    assert for_ever.repeat_until is None
    assert (once.repeat, once.repeat_until) == (0, None)
    assert "a run that is missed counts" in facts["taken"][0]["remarks"][0]


@pytest.mark.parametrize(("args", "kwargs", "expected"), [
    (None, None, ([], {})),
    ("", "", ([], {})),
    ("1", None, ([1], {})),
    ("1, 'two', [3]", None, ([1, "two", [3]], {})),
    ("(1, 2)", None, ([1, 2], {})),
    ("'x',", None, (["x"], {})),
    (None, "a=1, b='x'", ([], {"a": 1, "b": "x"})),
    (None, "{'a': None}", ([], {"a": None})),
    (None, "x=-1, q_options={'timeout': 5, 'hook': 'a.b'}", ([], {"x": -1})),
])  # fmt: skip
def test_arguments_are_read_as_django_q_reads_them(schedules, ran, args, kwargs, expected) -> None:
    schedules.add("O", args=args, kwargs=kwargs, next_run=timezone.now())
    facts = run("--commit")
    assert tasks.run_next_task()
    assert ran == [expected]
    ignored = ["not taken over: hook, timeout"] if "q_options" in (kwargs or "") else []
    assert facts["taken"][0]["remarks"] == ignored


@pytest.mark.parametrize(("args", "kwargs"), [
    ("__import__('os').getcwd()", None),
    ("1 +", None),
    ("(" * 10_000, None),
    ("[" * 50 + "]" * 50 + " if 1 else 2", None),
    (None, "x=1) + g(y=2"),
    (None, "1, 2"),
    (None, "**{'a': 1}"),
    (None, "x=open('/etc/passwd')"),
    (None, "{1: 2}"),
    (None, "[1]"),
    ("{1, 2}", None),
    ("b'x'", None),
    ("1e999", None),
])  # fmt: skip
def test_what_is_no_plain_value_is_never_run_and_stays(schedules, args, kwargs) -> None:
    schedules.add(args=args, kwargs=kwargs)
    assert "arguments" in run("--commit")["left"][0]["reason"].replace("argument '", "arguments '")
    assert not Task.objects.exists()


def test_a_schedule_that_runs_once_gets_its_date(schedules, ran) -> None:
    row = schedules.add("O", intended_date_kwarg="day", next_run=timezone.now())
    run("--commit")
    assert tasks.run_next_task()
    moment = row.next_run if timezone.is_aware(row.next_run) else timezone.make_aware(row.next_run)
    assert ran == [([], {"day": moment.isoformat()})]


def test_a_cluster_becomes_the_queue_and_a_hook_is_named(schedules) -> None:
    schedules.add(cluster="mail", hook="proj.done", name="mine")
    schedules.add(kwargs="q_options={'cluster': 'slow'}")
    facts = run("--commit")
    assert [task.queue for task in Task.objects.order_by("id")] == ["mail", "slow"]
    assert [each["remarks"] for each in facts["taken"]] == [["not taken over: hook"], []]


def test_it_is_taken_over_once_and_switched_off_there_if_asked(schedules) -> None:
    schedules.add()
    assert run()["repeating"] == 1
    assert not Task.objects.exists()
    assert run("--commit")["disabled_there"] == 0
    facts = run("--commit", "--disable-source")
    assert (facts["known"], facts["disabled_there"], facts["repeating"]) == (1, 1, 0)
    assert schedules.rows.get().repeats == 0
    assert Task.objects.count() == 1


def test_ten_thousand_schedules_are_taken_over_at_once(schedules) -> None:
    like = {"func": "add", "repeats": -1, "next_run": timezone.now(), "schedule_type": "C", "cron": "*/5 * * * *"}
    model = schedules.rows.model
    schedules.rows.bulk_create([model(**like, args=str(n)) for n in range(10_000)], batch_size=1000)
    assert run("--commit")["repeating"] == 10_000
    assert run("--commit")["known"] == 10_000


def test_without_the_table_that_is_said() -> None:
    with pytest.raises(CommandError, match="there is no table django_q_schedule in the database 'default'"):
        call_command("bgtasks_import_django_q")
