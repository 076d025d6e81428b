"""A database that is there and does not take an outcome: the worker writes it in short, or drops it, and goes on."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.db import DataError, IntegrityError, OperationalError, ProgrammingError, connection, transaction
from django.test import override_settings

from bgtasks.models import CompletedTask, Status, Task, TaskAttempt
from bgtasks.queue.types import Holder
from bgtasks.tasks import background
from bgtasks.worker import Worker
from bgtasks.worker.refusals import is_refusal
from bgtasks.worker.resting import SECOND_LOOK
from tests.project.tasks import fail, ping

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "host:test:1:nonce"
HISTORY, ATTEMPT, LIVE = "bgtasks_completedtask", "bgtasks_taskattempt", "bgtasks_task"
TRIGGERS = {
    "sqlite": """CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {when}
        BEGIN SELECT RAISE(ABORT, 'not in this table'); END""",
    "postgresql": """CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE 'not in this table' USING ERRCODE = 'data_exception'; END $$;
        CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {name}()""",
    "mysql": """CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW BEGIN IF {when} THEN
        SIGNAL SQLSTATE '22001' SET MYSQL_ERRNO = 1406, MESSAGE_TEXT = 'not in this table'; END IF; END""",
}
DROP = {
    "sqlite": "DROP TRIGGER {name}",
    "postgresql": "DROP TRIGGER {name} ON {table}; DROP FUNCTION {name}()",
    "mysql": "DROP TRIGGER {name}",
}


class Refusing:
    """Triggers by which the database itself refuses rows."""

    def __init__(self) -> None:
        self.made: list[dict[str, str]] = []

    def __call__(self, event: str, table: str, when: str = "1 = 1") -> None:
        facts = {"name": f"refuses_{len(self.made)}", "event": event, "table": table, "when": when}
        with connection.cursor() as cursor:
            cursor.execute(TRIGGERS[connection.vendor].format(**facts))
        self.made.append(facts)

    def stop(self) -> None:
        while self.made:
            with connection.cursor() as cursor:
                cursor.execute(DROP[connection.vendor].format(**self.made.pop()))


@pytest.fixture
def refuse(transactional_db: None) -> Iterator[Refusing]:
    refusing = Refusing()
    yield refusing
    connection.close()
    refusing.stop()


def run_worker(rests: int = 3) -> list[float]:
    """Run a worker until it has rested so often; return how long it wanted to rest."""
    worker = Worker(Holder(NAME, lease=60))
    wanted: list[float] = []

    def wait(seconds: float) -> None:
        wanted.append(seconds)
        if len(wanted) >= rests:
            worker.drain("empty")
            worker.give_up()

    worker.wait = wait
    worker.run()
    return wanted


def test_a_success_that_is_refused_becomes_a_failed_attempt_and_the_worker_goes_on(refuse: Refusing) -> None:
    refuse("INSERT", HISTORY, "NEW.verbose_name = 'refused'")
    task, after = ping.using(verbose_name="refused").enqueue(1), ping.enqueue(2)
    rests = run_worker()
    task.refresh_from_db()
    assert (task.status, task.attempts, task.locked_by) == (Status.SCHEDULED, 1, None)
    assert task.last_error.startswith("The outcome of this attempt (successful) could not be written: ")
    assert "not in this table" in task.last_error
    attempt = TaskAttempt.objects.get()
    assert (attempt.task_id, attempt.error) == (task.id, task.last_error)
    assert attempt.exception == "bgtasks.exceptions.BackgroundTaskError"
    assert CompletedTask.objects.filter(id=after.id).exists()
    assert rests[0] == SECOND_LOOK  # an idle worker's rest: nothing was left to be tried again


def test_an_error_text_that_is_refused_is_replaced_by_a_short_one(refuse: Refusing) -> None:
    refuse("UPDATE", LIVE, "NEW.last_error LIKE '%unwritable%'")
    task, after = fail.enqueue("unwritable ☃"), ping.enqueue(2)
    run_worker()
    task.refresh_from_db()
    assert (task.status, task.attempts) == (Status.SCHEDULED, 1)
    assert task.last_error.startswith("What this attempt raised (builtins.ValueError) could not be written: ")
    assert len(task.last_error) < 500
    assert TaskAttempt.objects.get().error == task.last_error
    assert CompletedTask.objects.filter(id=after.id).exists()


def test_the_last_attempt_stays_the_last(refuse: Refusing) -> None:
    refuse("INSERT", HISTORY, "NEW.last_error LIKE '%unwritable%'")
    with override_settings(BGTASKS={"MAX_ATTEMPTS": 1}):
        task = fail.enqueue("unwritable")
        run_worker()
    completed = CompletedTask.objects.get(id=task.id)
    assert (completed.status, completed.attempts) == (Status.FAILED, 1)
    assert "could not be written" in completed.last_error


def test_an_outcome_refused_even_in_short_is_dropped_once_and_the_worker_goes_on(
    refuse: Refusing, caplog: pytest.LogCaptureFixture
) -> None:
    refuse("INSERT", HISTORY, "NEW.verbose_name = 'refused'")
    refuse("INSERT", ATTEMPT)
    task, after = ping.using(verbose_name="refused").enqueue(1), ping.enqueue(2)
    run_worker()
    task.refresh_from_db()
    assert (task.status, task.locked_by) == (Status.RUNNING, NAME)  # until its lease ends
    assert CompletedTask.objects.filter(id=after.id).exists()
    told = [record for record in caplog.records if getattr(record, "event", "") == "outcome_dropped"]
    assert [(record.levelno, getattr(record, "task_id", 0)) for record in told] == [(logging.ERROR, task.id)]


def test_with_the_tables_away_an_outcome_is_kept_until_they_are_back() -> None:
    quote = connection.ops.quote_name

    def rename(old: str, new: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {quote(old)} RENAME TO {quote(new)}")

    @background(name="refusals.renames")
    def renames() -> None:
        rename(LIVE, "bgtasks_elsewhere")

    task = renames.enqueue()
    worker = Worker(Holder(NAME, lease=60))
    wanted: list[float] = []

    def wait(seconds: float) -> None:
        wanted.append(seconds)
        if len(wanted) == 3:
            rename("bgtasks_elsewhere", LIVE)
        if len(wanted) == 4:
            worker.drain("empty")

    worker.wait = wait  # type: ignore[method-assign]
    worker.run()
    assert CompletedTask.objects.get(id=task.id).status == Status.SUCCESSFUL
    assert max(wanted[:3]) < 1  # tried again soon


def test_a_session_in_which_a_task_leaves_nothing_writable_costs_no_outcome() -> None:
    statements = {
        "sqlite": "PRAGMA query_only = ON",
        "postgresql": "SET default_transaction_read_only = on",
        "mysql": "SET SESSION TRANSACTION READ ONLY",
    }

    @background(name="refusals.spoils")
    def spoils() -> None:
        with connection.cursor() as cursor:
            cursor.execute(statements[connection.vendor])

    task, after = spoils.enqueue(), ping.enqueue(2)
    run_worker(5)
    assert set(CompletedTask.objects.succeeded().values_list("id", flat=True)) == {task.id, after.id}


def test_a_message_of_megabytes_is_stored_with_its_head_and_its_tail() -> None:
    @background(name="refusals.talks")
    def talks() -> None:
        raise ValueError("begins " + "x" * 2_000_000 + " ends")

    task = talks.enqueue()
    run_worker()
    stored = Task.objects.get(id=task.id).last_error
    assert "begins" in stored
    assert stored.rstrip().endswith("ends")
    assert len(stored) < 70_000


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (DataError("too long"), True),
        (IntegrityError("check"), True),
        (ProgrammingError("no such column"), True),
        (OverflowError("date value out of range"), True),
        (transaction.TransactionManagementError("autocommit is off"), True),
        (OperationalError("deadlock detected"), False),
    ],
)
def test_what_counts_as_a_refusal(error: Exception, wanted: bool) -> None:
    assert is_refusal(error) is wanted
