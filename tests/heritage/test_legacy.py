"""Taking over the old package's rows, and giving them back: every layout of its tables, nothing lost, nothing twice."""

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
from django.db import models
from django.utils import timezone

from bgtasks import background
from bgtasks.arguments import encode, hash_of
from bgtasks.compat.legacy.tables import COMPLETED, LATER, LONG_AGO, TASKS, OldTable
from bgtasks.compat.tasks import tasks
from bgtasks.models import CompletedTask, Status, Task
from bgtasks.queue import claims
from tests.heritage.foreign import foreign_tables

pytestmark = pytest.mark.django_db(transaction=True)

OLDEST = tuple(LONG_AGO)
LATEST = (*LONG_AGO, *LATER)


def fields_of(columns: tuple[str, ...]) -> dict[str, models.Field]:
    """Return the columns as the old package made them."""
    fields: dict[str, Any] = {}
    for column in columns:
        field = {**LONG_AGO, **LATER}[column]
        text = models.CharField(max_length=255, null=True) if field is models.TextField else field(null=True)
        fields[column] = models.TextField(null=True) if column in ("task_params", "last_error") else text
    if "creator_object_id" in columns:
        fields["creator_object_id"] = models.PositiveIntegerField(null=True)
    return fields


@pytest.fixture
def old() -> Iterator[Any]:
    """Return a function that makes old tables as some version did; they are dropped at the end."""
    with foreign_tables() as create:

        def making(columns: tuple[str, ...] = LATEST, name: str = TASKS, key: Any = models.AutoField) -> OldTable:
            create(name, fields_of(columns), key)
            return OldTable("default", name)

        yield making


def row(table: OldTable, **given: Any) -> Any:
    """Insert an old row: one that waits, unless `given` says otherwise."""
    args = given.pop("args", ([1], {}))
    common = {"task_name": "note", "task_params": json.dumps(args), "task_hash": "x", "priority": 0, "attempts": 0,
              "run_at": timezone.now() - timedelta(minutes=1), "last_error": ""}  # fmt: skip
    values = {**common, **({"repeat": 0} if "repeat" in table.columns else {}), **given}
    return table.model._default_manager.create(**values)


def run(*arguments: str) -> dict[str, Any]:
    """Import, and return what was reported."""
    out = StringIO()
    with contextlib.suppress(SystemExit):  # rows were left behind
        call_command("bgtasks_import_legacy", "--json", *arguments, stdout=out)
    return json.loads(out.getvalue())


@pytest.fixture
def ran() -> list[Any]:
    found: list[Any] = []

    @background(name="note")
    def note(*args: Any, **kwargs: Any) -> None:
        found.append(args[0] if args else kwargs)

    return found


@pytest.mark.parametrize("columns", [OLDEST, (*OLDEST, "queue", "verbose_name"), LATEST])
@pytest.mark.parametrize("key", [models.AutoField, models.BigAutoField])
def test_what_waits_comes_over_from_every_layout_and_runs_once(old, ran, columns, key) -> None:
    table = old(columns, key=key)
    first = row(table, args=([1], {"b": 2, "a": 1}), priority=7, attempts=3, last_error="once")
    row(table, args=([2], {}), run_at=timezone.now() + timedelta(days=1))
    facts = run()
    assert (facts["waiting"], facts["due"], facts["left"]) == (2, 1, [])
    assert not table.rows.exists()
    task = Task.objects.get(legacy_id=first.id)
    params = encode([1], {"a": 1, "b": 2})
    assert (task.task_params, task.task_hash) == (params, hash_of("note", params))
    assert (task.priority, task.attempts, task.last_error, task.queue) == (7, 3, "once", "default")
    assert task.run_at == first.run_at
    assert [each.status for each in Task.objects.order_by("run_at")] == [Status.READY, Status.SCHEDULED]
    assert tasks.run_next_task()
    assert not tasks.run_next_task()
    assert ran == [1]
    assert run()["waiting"] == 0


def test_columns_keep_what_they_held(old, django_user_model) -> None:
    from django.contrib.contenttypes.models import ContentType

    user = django_user_model.objects.create(username="ana")
    kind = ContentType.objects.get_for_model(user)
    until = timezone.now() + timedelta(days=30)
    row(old(), queue="mail", verbose_name="Ana's", repeat=3600, repeat_until=until,
        creator_content_type_id=kind.pk, creator_object_id=user.pk)  # fmt: skip
    run()
    task = Task.objects.get()
    assert (task.queue, str(task), task.repeat, task.creator) == ("mail", "Ana's", 3600, user)
    assert task.repeat_until == until


def test_what_had_failed_among_the_living_goes_into_the_history(old) -> None:
    failed_at = timezone.now() - timedelta(days=2)
    row(old(OLDEST), failed_at=failed_at, attempts=25, last_error="Traceback")
    assert run()["failed"] == 1
    over = CompletedTask.objects.get()
    assert (over.status, over.finished_at, over.attempts, over.last_error) == (
        Status.FAILED,
        failed_at,
        25,
        "Traceback",
    )
    assert not Task.objects.exists()


def test_a_lock_that_is_too_old_is_charged_like_any_dead_workers_task(old, settings) -> None:
    table = old()
    long_ago = timezone.now() - timedelta(hours=2)
    row(table, locked_by="4711", locked_at=long_ago)
    row(table, args=([2], {}), locked_by="4711", locked_at=long_ago, attempts=24)
    facts = run()
    assert (facts["charged"], facts["waiting"], facts["failed"]) == (2, 1, 1)
    assert Task.objects.get().attempts == 1
    assert "WorkerDied" in CompletedTask.objects.get().last_error


def test_what_may_be_running_stops_everything_until_somebody_decides(old) -> None:
    table = old()
    held = row(table, locked_by="4711", locked_at=timezone.now())
    row(table, args=([2], {}))
    with pytest.raises(CommandError, match=rf"may still run them: {held.id}\n.*--locked requeue"):
        call_command("bgtasks_import_legacy")
    assert table.rows.count() == 2
    facts = run("--locked", "skip")
    assert (facts["skipped"], facts["waiting"]) == (1, 1)
    assert [each.id for each in table.rows] == [held.id]
    facts = run("--locked", "requeue")
    assert (facts["waiting"], facts["charged"]) == (1, 1)
    assert not table.rows.exists()


def test_a_dry_run_changes_nothing_and_names_what_a_person_has_to_look_at(old, ran) -> None:
    table = old()
    row(table)
    row(table, task_name="forgotten.function")
    row(table, task_params="not JSON")
    row(table, repeat=60, args=([3], {}))
    row(table, repeat=60, args=([3], {}), run_at=timezone.now())
    facts = run("--dry-run")
    assert (facts["dry_run"], facts["waiting"], facts["repeating"], facts["duplicates"]) == (True, 4, 2, 1)
    assert facts["unknown_names"] == {"forgotten.function": 1}
    assert [each["reason"][:36] for each in facts["left"]] == ["its arguments are not a JSON pair: E"]
    assert table.rows.count() == 5
    assert not Task.objects.exists()
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("bgtasks_import_legacy", "--dry-run", stdout=out)
    assert "would be taken over (nothing was changed):\n          4  tasks that wait\n" in out.getvalue()
    assert "! 1 named forgotten.function: no task function here has this name" in out.getvalue()
    assert "--dedupe-repeating drops them" in out.getvalue()


def test_unreadable_rows_stay_where_they_are_and_the_rest_comes_over(old) -> None:
    table = old()
    bad = [row(table, task_params=text) for text in ("", "17", "[1, 2]")]
    row(table)
    assert run()["waiting"] == 1
    assert [each.id for each in table.rows] == [each.id for each in bad]


def test_of_repeating_tasks_that_are_equal_the_earliest_can_be_kept_alone(old) -> None:
    table = old()
    now = timezone.now()
    row(table, repeat=60, run_at=now)
    earliest = row(table, repeat=60, run_at=now - timedelta(hours=1))
    row(table, repeat=60, args=([2], {}))
    facts = run("--dedupe-repeating")
    assert (facts["waiting"], facts["duplicates"]) == (2, 1)
    assert not table.rows.exists()
    assert Task.objects.filter(legacy_id=earliest.id).exists()


def test_the_old_history_asks_first_how_long_it_is_to_be_kept(old, settings) -> None:
    old()
    history = old(name=COMPLETED)
    ended = timezone.now() - timedelta(days=40)
    row(history, run_at=ended, locked_by="1", locked_at=ended - timedelta(seconds=5), attempts=1)
    row(history, run_at=timezone.now(), failed_at=timezone.now(), attempts=25)
    settings.BGTASKS = {}
    with pytest.raises(CommandError, match="say first how long history is to be kept"):
        call_command("bgtasks_import_legacy", "--completed")
    settings.BGTASKS = {"KEEP": None}
    assert run("--completed", "--since", "30d")["completed"] == 1
    assert run("--completed")["completed"] == 1
    newer, older = CompletedTask.objects.order_by("-run_at")
    assert (newer.status, older.status) == (Status.FAILED, Status.SUCCESSFUL)
    assert (older.finished_at, older.finished_at - older.locked_at) == (ended, timedelta(seconds=5))
    fresh = Task.objects.new_task("note")
    fresh.save()
    assert fresh.pk not in (newer.pk, older.pk)


def test_a_copy_leaves_the_old_rows_and_is_made_once(old, settings) -> None:
    settings.BGTASKS = {"KEEP": None}
    table, history = old(), old(name=COMPLETED)
    row(table)
    row(history, attempts=1)
    facts = run("--keep-source", "--completed")
    assert (facts["waiting"], facts["completed"]) == (1, 1)
    facts = run("--keep-source", "--completed")
    assert (facts["waiting"], facts["completed"], facts["known"]) == (0, 0, 2)
    assert (table.rows.count(), history.rows.count()) == (1, 1)
    assert (Task.objects.count(), CompletedTask.objects.count()) == (1, 1)


def test_a_retried_row_of_the_old_history_is_not_taken_for_the_waiting_task_of_that_number(old, settings) -> None:
    settings.BGTASKS = {"KEEP": None}
    table, history = old(), old(name=COMPLETED)
    over = row(history, attempts=1)
    run("--completed")
    claims.retry([CompletedTask.objects.get().pk])
    waiting = row(table, id=over.id)
    assert (run()["waiting"], table.rows.exists()) == (1, False)
    assert Task.objects.filter(legacy_id=waiting.id).count() == 1
    assert Task.objects.count() == 2


def test_what_was_copied_is_known_also_to_a_move(old, settings) -> None:
    settings.BGTASKS = {"KEEP": None}
    table, history = old(), old(name=COMPLETED)
    row(table)
    row(history, attempts=1)
    run("--keep-source", "--completed")
    assert run("--completed")["known"] == 2
    assert (table.rows.count(), history.rows.count()) == (0, 0)
    assert (Task.objects.count(), CompletedTask.objects.count()) == (1, 1)


def test_a_table_made_anew_that_numbers_from_the_start_again_is_not_taken_for_known(old) -> None:
    table = old()
    known = row(table)
    run("--keep-source")
    table.rows.filter(pk=known.pk).update(task_name="shop.tasks.another")
    facts = run()
    assert (facts["waiting"], facts["known"]) == (1, 0)
    assert Task.objects.count() == 2


def test_many_come_over_batch_by_batch(old) -> None:
    table = old()
    like = row(table)
    table.model._default_manager.bulk_create(
        [table.model(**{name: getattr(like, name) for name in LATEST}) for _ in range(24)], batch_size=100
    )
    assert run("--batch", "10")["waiting"] == 25
    assert len(set(Task.objects.values_list("legacy_id", flat=True))) == 25
    assert not table.rows.exists()


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "there is no table background_task in the database 'default'"),
    (["--database", "nowhere"], "there is no database 'nowhere' in the settings"),
    (["--since", "3d"], "--since goes with --completed"),
])  # fmt: skip
def test_what_cannot_be_is_said(arguments, message) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("bgtasks_import_legacy", *arguments)


def test_the_way_back_takes_what_waits_and_names_what_has_to_stay(old, ran) -> None:
    table = old()
    later = timezone.now() + timedelta(days=1)
    kept = tasks.background(name="note")(lambda *args: None)
    first = kept(1, schedule=later, priority=3, repeat=60, verbose_name="mine")
    kept(2, queue="mail")
    Task.objects.new_task("modern").save()
    Task.objects.filter(task_name="modern").update(backend="default")
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("bgtasks_export_legacy", stdout=out)
    assert out.getvalue().startswith("2 tasks went into background_task\n  ! task ")
    assert [each.task_name for each in Task.objects.all()] == ["modern"]
    one, two = table.rows
    assert (one.run_at, one.priority, one.repeat, one.verbose_name, one.queue) == (later, 3, 60, "mine", None)
    assert (two.queue, two.locked_by, two.attempts) == ("mail", None, 0)
    assert one.task_hash == first.task_hash
    assert run()["waiting"] == 2
