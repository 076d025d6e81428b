"""Taking over Celery beat's schedules: what becomes of each kind, nothing run that ran, nothing taken twice."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections, models
from django.utils import timezone

from bgtasks import background
from bgtasks.compat.schedules import celery_beat
from bgtasks.compat.tasks import tasks
from bgtasks.models import CompletedTask, Status, Task
from tests.heritage.foreign import foreign_tables

pytestmark = pytest.mark.django_db(transaction=True)

PREFIX = "django_celery_beat_"
OLDEST = tuple(celery_beat.PERIODIC_TASK)
LATEST = (*OLDEST, *celery_beat.LATER)


class Beat:
    """The tables of one version, and ways to fill them."""

    def __init__(self, create: Any, columns: tuple[str, ...], *, with_zone: bool) -> None:
        self.columns = columns
        known = {**celery_beat.PERIODIC_TASK, **celery_beat.LATER}
        self.tasks = create(f"{PREFIX}periodictask", {name: known[name](null=True) for name in columns})
        changes = {"ident": models.SmallIntegerField(primary_key=True), "last_update": models.DateTimeField()}
        self.changes = create(f"{PREFIX}periodictasks", changes, key=None)
        every = {"every": models.IntegerField(), "period": models.CharField(max_length=24)}
        self.intervals = create(f"{PREFIX}intervalschedule", every)
        fields = {name: models.CharField(max_length=240, default="*") for name in celery_beat.CRONTAB_FIELDS}
        zone = {"timezone": models.CharField(max_length=63, default="UTC")} if with_zone else {}
        self.crontabs = create(f"{PREFIX}crontabschedule", {**fields, **zone})
        if "clocked_id" in columns:
            self.clocked = create(f"{PREFIX}clockedschedule", {"clocked_time": models.DateTimeField()})
        self.changes.objects.create(ident=1, last_update=timezone.now() - timedelta(days=1))

    def add(self, **given: Any) -> Any:
        """Insert a periodic task: one that is enabled and has never run, unless `given` says otherwise."""
        common = {"name": "mine", "task": "add", "args": "[]", "kwargs": "{}", "enabled": True, "total_run_count": 0,
                  "date_changed": timezone.now()}  # fmt: skip
        later = {"one_off": False, "headers": "{}"} if "headers" in self.columns else {}
        return self.tasks.objects.create(**{**common, **later, **given})

    def every(self, count: int, period: str = "seconds", **given: Any) -> Any:
        interval = self.intervals.objects.create(every=count, period=period)
        return self.add(interval_id=interval.pk, **given)

    def crontab(self, line: str, zone: str | None = None, **given: Any) -> Any:
        fields = dict(zip(celery_beat.CRONTAB_FIELDS, line.split(), strict=True))
        crontab = self.crontabs.objects.create(**fields, **({"timezone": zone} if zone is not None else {}))
        return self.add(crontab_id=crontab.pk, **given)

    def at(self, moment: Any, **given: Any) -> Any:
        clocked = self.clocked.objects.create(clocked_time=moment)
        return self.add(clocked_id=clocked.pk, **{"one_off": True, **given})


@pytest.fixture
def beat_of() -> Iterator[Any]:
    """Return a function that makes the tables of a version."""
    with foreign_tables() as create:
        yield lambda columns=LATEST, with_zone=True: Beat(create, columns, with_zone=with_zone)


@pytest.fixture
def beat(beat_of) -> Beat:
    return beat_of()


@pytest.fixture(autouse=True)
def ran() -> list[Any]:
    found: list[Any] = []

    @background(name="add")
    def add(*args: Any, **kwargs: Any) -> None:
        found.append((list(args), kwargs))

    @background(name="strict", queue="reports", priority=7)
    def strict(x: int) -> None:
        found.append(x)

    return found


def run(*arguments: str) -> dict[str, Any]:
    """Import, and return what was reported."""
    out = StringIO()
    with contextlib.suppress(SystemExit):  # schedules were left where they are
        call_command("bgtasks_import_celery_beat", "--json", *arguments, stdout=out)
    return json.loads(out.getvalue())


def reason(facts: dict[str, Any], kind: str = "left") -> str:
    """Return why the only schedule of a kind is there."""
    (found,) = facts[kind]
    return found["reason"]


def test_an_interval_repeats_from_its_last_run_on(beat, ran) -> None:
    now = timezone.now()
    row = beat.every(5, "minutes", name="often", args="[1]", kwargs='{"b": 2}', queue="mail", priority=3,
                     last_run_at=now - timedelta(minutes=2))  # fmt: skip
    assert run("--commit")["repeating"] == 1
    task = Task.objects.get()
    assert (task.run_at, task.repeat, task.repeat_until) == (now + timedelta(minutes=3), 300, None)
    assert (task.queue, task.priority, task.status) == ("mail", 3, Status.SCHEDULED)
    assert task.verbose_name == f"often (celery-beat {row.pk})"
    assert task.params() == ([1], {"b": 2})
    Task.objects.filter(pk=task.pk).update(run_at=now, status=Status.READY)
    assert tasks.run_next_task()
    assert ran == [([1], {"b": 2})]
    assert Task.objects.get().repeat == 300


def test_a_missed_run_is_made_up_for_once_and_in_phase(beat) -> None:
    now = timezone.now()
    beat.every(1, "hours", last_run_at=now - timedelta(hours=7, minutes=20))
    facts = run("--commit")
    assert facts["due"] == 1
    assert Task.objects.get().run_at == now - timedelta(minutes=20)


@pytest.mark.parametrize(("columns", "with_zone"), [(OLDEST, False), ((*OLDEST, "solar_id"), True), (LATEST, True)])
def test_every_layout_is_read(beat_of, settings, columns, with_zone) -> None:
    settings.CELERY_TIMEZONE = "Asia/Tokyo"
    beat = beat_of(columns, with_zone)
    beat.every(30)
    beat.crontab("30 3 * * *")
    assert run("--commit")["repeating"] == 2
    daily = Task.objects.get(repeat=86400)
    moment = daily.run_at if timezone.is_aware(daily.run_at) else timezone.make_aware(daily.run_at)
    hour = 3 if with_zone else 18  # half past three in Tokyo
    assert moment.astimezone(UTC).strftime("%H:%M") == f"{hour:02}:30"


def test_a_time_on_the_clock_becomes_a_task_that_runs_once(beat) -> None:
    at = timezone.now() + timedelta(days=3)
    beat.at(at, task="strict", args="[1]")
    assert run("--commit")["once"] == 1
    task = Task.objects.get()
    assert (task.run_at, task.repeat, task.queue, task.priority) == (at, 0, "reports", 7)


def test_one_off_intervals_run_once_and_not_again(beat) -> None:
    beat.every(60, one_off=True)
    beat.every(60, one_off=True, total_run_count=1, name="over")
    facts = run("--commit")
    assert (facts["once"], facts["repeating"], reason(facts, "skipped")) == (1, 0, "it was to run once, and has")


def test_the_start_time_is_the_first_run(beat) -> None:
    now = timezone.now()
    start = now + timedelta(days=2)
    beat.every(60, start_time=start)
    beat.every(60, start_time=start, last_run_at=now)
    beat.every(3600, start_time=now - timedelta(minutes=90))  # never ran: half an hour ago it should have
    run("--commit")
    assert [task.run_at for task in Task.objects.order_by("id")] == [start, start, now - timedelta(minutes=30)]


def test_a_schedule_ends_when_it_did_there(beat) -> None:
    now = timezone.now()
    beat.every(3600, expires=now + timedelta(hours=3), last_run_at=now, name="ends")
    beat.every(3600, expires=now - timedelta(hours=3), name="has ended")
    beat.every(3600, expires=now + timedelta(minutes=3), name="ends before")
    facts = run("--commit")
    task = Task.objects.get()
    # what beat would not have run at the very time, this does not either
    assert task.repeat_until == now + timedelta(hours=3) - timedelta(microseconds=1)
    assert [each["reason"] for each in facts["skipped"]] == ["it has expired", "it expires before its next run"]


@pytest.mark.parametrize(("given", "why"), [
    ({"enabled": False}, "it is disabled"),
    ({"task": "celery.backend_cleanup"}, "it is Celery's own housekeeping"),
])  # fmt: skip
def test_what_beat_fires_no_more_is_skipped_and_named(beat, given, why) -> None:
    beat.every(60, **given)
    facts = run("--commit")
    assert reason(facts, "skipped") == why
    assert not Task.objects.exists()


@pytest.mark.parametrize(("count", "period", "why"), [
    (0, "seconds", "an interval of 0 seconds is no interval"),
    (-5, "minutes", "is no interval"),
    (500, "microseconds", "is not a whole number of seconds"),
    (2**31 - 1, "days", "more than a hundred years"),
    (5, "fortnights", "'fortnights' is no period"),
])  # fmt: skip
def test_intervals_that_no_task_can_have_stay(beat, count, period, why) -> None:
    beat.every(count, period)
    assert why in reason(run("--commit"))


@pytest.mark.parametrize(("given", "why"), [
    ({"args": "[1"}, "its arguments are not JSON: Expecting"),
    ({"args": "{}"}, "its arguments are not a list and a dictionary"),
    ({"kwargs": "[]"}, "its arguments are not a list and a dictionary"),
    ({"args": "[" * 100_000}, "its arguments are not JSON"),
    ({"args": "[NaN]"}, "JSON has no NaN"),
    ({"task": "nowhere"}, "no task function here is named nowhere"),
    ({"task": ""}, "no task function here is named"),
    ({"task": "strict"}, "do not fit strict: missing a required argument: 'x'"),
    ({"interval_id": 4711}, "its interval is gone"),
    ({"interval_id": None}, "it has no schedule"),
    ({"interval_id": None, "solar_id": 1}, "it follows the sun"),
    ({"priority": 2**40}, "it must fit into 32 bits"),
    ({"queue": "q" * 191}, "it must have 1 to 190 characters"),
])  # fmt: skip
def test_what_cannot_be_expressed_or_read_stays_and_says_why(beat, given, why) -> None:
    beat.every(60, **{"name": "bad", **given}) if "interval_id" not in given else beat.add(**given)
    beat.every(60, name="good")
    facts = run("--commit")
    assert why in reason(facts)
    assert facts["repeating"] == 1


def test_nul_in_a_name_is_refused(beat) -> None:
    from django.db import connection

    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL holds no NUL")
    beat.every(60, name="a\x00b")
    beat.every(60, queue="a\x00b")
    facts = run("--commit")
    assert len(facts["left"]) == 2
    with pytest.raises(SystemExit):
        call_command("bgtasks_import_celery_beat", stdout=(out := StringIO()))
    assert "\x00" not in out.getvalue()


def test_names_can_be_mapped(beat) -> None:
    beat.every(60, task="proj.tasks.add")
    facts = run()
    assert "say which it is: --map proj.tasks.add=" in facts["left"][0]["fix"]
    assert run("--map", "proj.tasks.add=add", "--commit")["repeating"] == 1
    assert Task.objects.get().task_name == "add"
    with pytest.raises(CommandError, match="--map: no task function is named adds\nadd, strict"):
        run("--map", "proj.tasks.add=adds")


def test_nothing_is_changed_unless_it_is_said(beat) -> None:
    beat.every(60)
    assert run()["repeating"] == 1
    assert run("--dry-run", "--disable-source")["disabled_there"] == 1
    assert not Task.objects.exists()
    assert beat.tasks.objects.filter(enabled=True).count() == 1


def test_what_was_taken_over_is_not_taken_twice(beat) -> None:
    beat.every(60, last_run_at=timezone.now() - timedelta(days=1))
    beat.at(timezone.now())
    assert run("--commit")["due"] == 2
    assert run("--commit")["known"] == 2
    while tasks.run_next_task():
        pass
    assert CompletedTask.objects.count() == 2
    assert run("--commit")["known"] == 2
    assert Task.objects.count() == 1  # the repetition


def test_what_is_taken_over_is_switched_off_there_if_asked(beat) -> None:
    before = beat.changes.objects.get().last_update
    first = beat.every(60)
    beat.every(60, task="nowhere")
    assert run("--commit")["disabled_there"] == 0
    assert beat.tasks.objects.filter(enabled=True).count() == 2
    facts = run("--commit", "--disable-source")
    assert (facts["known"], facts["disabled_there"]) == (1, 1)
    assert [row.enabled for row in beat.tasks.objects.order_by("id")] == [False, True]
    assert beat.changes.objects.get().last_update > before  # a beat that runs looks at its schedules again
    facts = run("--commit", "--disable-source")
    assert (facts["known"], facts["disabled_there"]) == (1, 0)
    assert first.pk


def test_of_two_imports_at_once_one_takes_each_schedule(beat) -> None:
    for n in range(20):
        beat.every(60, name=f"n{n}")
    together = threading.Barrier(2, timeout=20)

    def take_over(_: int) -> int:
        together.wait()
        try:
            return run("--commit")["repeating"]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(take_over, range(2))) == [0, 20]
    assert Task.objects.count() == 20


def test_an_error_leaves_nothing_behind(beat, monkeypatch) -> None:
    beat.every(60)

    def fail(self: Any, ids: list[int], now: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(celery_beat.CeleryBeat, "disable", fail)
    with pytest.raises(RuntimeError):
        run("--commit", "--disable-source")
    assert not Task.objects.exists()


def test_the_report_is_one_to_act_on(beat) -> None:
    beat.every(60, name="often", expire_seconds=5, routing_key="x", headers='{"a": 1}')
    beat.crontab("30 3 * * *", "Europe/Berlin", name="nightly")
    beat.every(60, name="off", enabled=False)
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("bgtasks_import_celery_beat", "--map", "other=add", stdout=out)
    assert ended.value.code == 1
    told = out.getvalue()
    for line in (
        "the schedules of Celery beat (nothing was changed; --commit does it):",
        "1  become tasks that repeat",
        "- “often”: a late run is not dropped here: expire_seconds is ignored",
        "- “often”: its message headers are not taken over",
        "- “off”: skipped: it is disabled",
        "! “nightly”: the crontab line 30 3 * * * is not evenly spaced in Europe/Berlin: the clocks change there; call",
        "! --map other: no schedule that could be taken over calls it",
        "! 1 of these stay enabled in Celery beat: stop it for good, or add --disable-source; else they run twice",
    ):
        assert line in told


def test_ten_thousand_schedules_are_taken_over_at_once(beat) -> None:
    interval = beat.intervals.objects.create(every=60, period="seconds")
    crontab = beat.crontabs.objects.create()
    like = {"task": "add", "args": "[]", "kwargs": "{}", "enabled": True, "total_run_count": 0,
            "date_changed": timezone.now()}  # fmt: skip
    beat.tasks.objects.bulk_create(
        [beat.tasks(name=f"n{n}", **like, **({"interval_id": interval.pk} if n % 2 else {"crontab_id": crontab.pk}))
         for n in range(10_000)],
        batch_size=1000,
    )  # fmt: skip
    facts = run("--commit", "--disable-source")
    assert (facts["repeating"], facts["disabled_there"]) == (10_000, 10_000)
    assert Task.objects.count() == 10_000
    assert run("--commit")["known"] == 10_000


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "there is no table django_celery_beat_periodictask in the database 'default'"),
    (["--database", "nowhere"], "there is no database 'nowhere' in the settings"),
    (["--map", "x"], "'x' is not like old.name=new.name"),
])  # fmt: skip
def test_what_cannot_be_is_said(arguments, message) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("bgtasks_import_celery_beat", *arguments)
