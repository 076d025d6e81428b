"""`django.tasks` through our backend: what is stored, what results say, and how the workers' core runs it."""

from __future__ import annotations

import logging
import pickle
import sys
from datetime import timedelta
from typing import Any

import pytest

api = pytest.importorskip("bgtasks.compat.django_tasks.api", exc_type=ImportError)

from asgiref.sync import async_to_sync  # noqa: E402 - only where django.tasks is there
from django.core import checks  # noqa: E402
from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from bgtasks import DatabaseBackend, background, registry, task  # noqa: E402
from bgtasks.compat.django_tasks.door import DjangoTasks  # noqa: E402
from bgtasks.compat.in_process import holder, run_next  # noqa: E402
from bgtasks.models import CompletedTask, Task  # noqa: E402
from bgtasks.queue import claims  # noqa: E402
from bgtasks.queue.types import Claim, Outcome, Result  # noqa: E402
from tests.tasks_backend import tasks  # noqa: E402

pytestmark = pytest.mark.django_db(transaction=True)
Status = api.TaskResultStatus


def run_all() -> None:
    """Run what is due, and what that makes due."""
    while run_next():
        pass


def claimed(one: Any, *args: Any) -> Claim:
    """Enqueue a task and claim it."""
    one.enqueue(*args)
    claim = claims.take_next(holder())
    assert claim is not None
    return claim


@pytest.fixture
def heard() -> Any:
    """Every signal of django.tasks: its name, the status then, and whether an error was being handled."""
    found: list[tuple[str, str, bool]] = []
    named = {"enqueued": api.task_enqueued, "started": api.task_started, "finished": api.task_finished}
    for name, signal in named.items():

        def listen(sender: Any, task_result: Any, name: str = name, **facts: Any) -> None:
            assert sender is DatabaseBackend
            found.append((name, str(task_result.status), sys.exc_info()[0] is not None))

        signal.connect(listen, weak=False, dispatch_uid="listening")
    yield found
    for signal in named.values():
        signal.disconnect(dispatch_uid="listening")


def test_a_row_that_could_not_be_enqueued_today_is_read_all_the_same() -> None:
    result = tasks.add.using(priority=100).enqueue(1, b=2)
    Task.objects.update(priority=101, queue="dropped")
    found = tasks.add.get_result(result.id)
    assert (found.task.priority, found.task.queue_name, found.task.func) == (101, "dropped", tasks.add.func)


def test_what_enqueue_returns_equals_what_is_read_until_a_worker_touches_it() -> None:
    moment = timezone.now() + timedelta(hours=1)
    for each in (tasks.add, tasks.add.using(priority=-7, queue_name="mail", run_after=moment)):
        result = each.enqueue(1, b=2)
        assert each.get_result(result.id) == result
        assert (result.status, result.args, result.kwargs, result.attempts) == (Status.READY, [1], {"b": 2}, 0)
    row = Task.objects.get(queue="mail")
    assert (row.priority, row.run_at, row.backend, row.task_name) == (
        -7,
        moment,
        "default",
        "tests.tasks_backend.tasks.add",
    )


def test_a_success_keeps_its_value_its_worker_and_its_times_in_the_history() -> None:
    result = tasks.add.enqueue(1, 2)
    run_all()
    result.refresh()
    assert (result.status, result.return_value, result.errors) == (Status.SUCCESSFUL, {"sum": 3}, [])
    assert (result.attempts, len(result.worker_ids)) == (1, 1)
    assert result.enqueued_at <= result.started_at == result.last_attempted_at <= result.finished_at
    assert not Task.objects.exists()


def test_receivers_of_a_success_see_the_whole_result_and_no_query_is_made_for_them(django_assert_num_queries) -> None:
    told: list[Any] = []
    result = tasks.add.enqueue(1, 2)

    def listen(task_result: Any, **facts: Any) -> None:
        told.append(task_result)

    api.task_finished.connect(listen)
    try:
        run_all()
    finally:
        api.task_finished.disconnect(listen)
    result.refresh()
    assert (told[0].return_value, told[0].status, told[0].attempts) == ({"sum": 3}, Status.SUCCESSFUL, 1)
    assert (told[0].task, told[0].worker_ids, told[0].started_at) == (result.task, result.worker_ids, result.started_at)
    outcome = Outcome(claimed(tasks.add, 3, 4), Result.SUCCESSFUL, 0.0, kept="7")
    with django_assert_num_queries(0):
        DjangoTasks().ended(outcome, Result.SUCCESSFUL)


def test_the_context_knows_attempt_and_result() -> None:
    result = tasks.tell.enqueue()
    run_all()
    result.refresh()
    assert result.return_value == [1, result.id, "RUNNING"]


@pytest.mark.parametrize(("how", "path"), [
    ("raise", "builtins.KeyError"), ("exit", "builtins.SystemExit"), ("odd value", "builtins.TypeError"),
])  # fmt: skip
def test_a_failure_for_good_says_what_was_raised_with_its_traceback(how: str, path: str, heard) -> None:
    result = tasks.fragile.enqueue(how)
    run_all()
    result.refresh()
    assert result.status == Status.FAILED
    assert [each.exception_class_path for each in result.errors] == [path]
    assert result.errors[0].exception_class.__name__ in result.errors[0].traceback
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value
    assert heard == [("enqueued", "READY", False), ("started", "RUNNING", False), ("finished", "FAILED", True)]


def test_a_backoff_function_sees_this_attempt_and_none_ends_the_retries(tmp_path, monkeypatch, heard) -> None:
    monkeypatch.setenv("BGTASKS_TEST_LEDGER", str(tmp_path / "ledger"))
    result = tasks.stubborn.enqueue()
    run_all()
    result.refresh()
    assert (result.status, result.attempts, len(result.errors)) == (Status.FAILED, 3, 3)
    told = (tmp_path / "ledger").read_text()
    assert '"attempts": 1, "errors": 1' in told
    assert '"attempts": 3, "errors": 3' in told
    assert [name for name, *_ in heard] == ["enqueued", "started", "started", "started", "finished"]


def test_one_error_line_with_the_traceback_and_no_other(caplog) -> None:
    with caplog.at_level(logging.INFO, "django.tasks" if api.Task.__module__.startswith("django.") else "django_tasks"):
        tasks.fragile.enqueue("raise")
        run_all()
    errors = [each for each in caplog.records if each.levelno == logging.ERROR and "django" in each.name]
    assert len(errors) == 1
    assert errors[0].exc_info is not None
    assert errors[0].exc_info[0] is KeyError


def test_coroutines_and_calls_from_coroutines() -> None:
    result = async_to_sync(tasks.later.aenqueue)(0)
    run_all()
    assert async_to_sync(tasks.later.aget_result)(result.id).return_value == "slept"


def test_it_is_in_the_callers_transaction_and_on_commit_is_not(heard) -> None:
    with transaction.atomic():
        tasks.add.enqueue(1, 2)
        tasks.add.enqueue_on_commit(3, 4)
        transaction.set_rollback(True)
    assert not Task.objects.exists()
    with transaction.atomic():
        tasks.add.enqueue_on_commit(3, 4)
        assert not Task.objects.exists()
    assert Task.objects.get().params() == ([3, 4], {})
    with pytest.raises(TypeError, match="Unsupported type"):
        tasks.add.enqueue_on_commit(object())


def test_many_at_once_all_or_none(heard) -> None:
    results = tasks.add.enqueue_many(((n, 1), {}) for n in range(3))
    assert [tasks.add.get_result(each.id) for each in results] == results
    assert len(heard) == 3
    with pytest.raises(TypeError, match="Unsupported type"):
        tasks.add.enqueue_many([((1, 2), {}), ((object(), 2), {})])
    assert Task.objects.count() == 3
    assert tasks.add.enqueue_many([]) == []


def test_cancelling_and_waiting() -> None:
    result = tasks.add.enqueue(1, 2)
    with pytest.raises(TimeoutError, match=r"^task \d+ is not over after 0.01 s$"):
        tasks.add.wait(result.id, timeout=0.01)
    assert tasks.add.cancel(result.id)
    over = tasks.add.wait(result.id, timeout=10)
    assert (over.status, [each.exception_class_path for each in over.errors]) == (
        Status.FAILED,
        ["bgtasks.exceptions.TaskCancelled"],
    )
    assert not tasks.add.cancel(result.id)


@pytest.mark.parametrize("result_id", ["123", "t", "tx", "t99999999999999999999", "", 17, None, "t17"])
def test_no_other_id_is_one_of_ours(result_id: Any) -> None:
    with pytest.raises(api.TaskResultDoesNotExist):
        tasks.add.get_backend().get_result(result_id)


def test_rows_of_the_other_door_and_of_other_aliases_are_not_its_own() -> None:
    other = background(name="other")(lambda: None).enqueue()
    fragile = tasks.fragile.enqueue("x")
    for result_id in (f"t{other.pk}", fragile.id):
        with pytest.raises(api.TaskResultDoesNotExist):
            tasks.add.get_result(result_id)


@pytest.mark.parametrize("name", ["tests.tasks_backend.tasks.no_task", "os.system", "tests.nowhere.at_all"])
def test_what_a_row_names_is_called_only_if_it_is_a_task(name: str) -> None:
    result = tasks.add.enqueue(1, 2)
    Task.objects.update(task_name=name)
    run_all()
    row = Task.objects.get()
    assert (row.attempts, row.status) == (0, 1)
    with pytest.raises(ImportError):
        tasks.add.get_result(result.id)


def test_options_come_from_the_task_then_the_alias_then_the_settings(settings) -> None:
    settings.BGTASKS = {"MAX_ATTEMPTS": 7}
    for each, expected in ((tasks.stubborn, 5), (tasks.fragile, 1), (tasks.add, None)):
        arguments = ("x",) if each is tasks.fragile else (1, 2) if each is tasks.add else ()
        each.enqueue(*arguments)
        assert Task.objects.latest("id").max_attempts == expected


def test_priority_is_always_larger_first(settings) -> None:
    settings.BGTASKS = {"PRIORITY_ORDERING": "ASC"}
    low, high = tasks.add.using(priority=-1).enqueue(0, 0), tasks.add.using(priority=1).enqueue(0, 0)
    assert run_next()
    assert (tasks.add.get_result(low.id).status, tasks.add.get_result(high.id).status) == (
        Status.READY,
        Status.SUCCESSFUL,
    )


@pytest.mark.parametrize(("options", "kind"), [
    ({"max_attempts": -1}, api.InvalidTask), ({"settle": "never"}, api.InvalidTask),
    ({"queue_name": "q" * 191}, api.InvalidTask), ({"queue_name": "q\0"}, api.InvalidTask),
    ({"run_after": timezone.now()}, TypeError), ({"colour": "red"}, TypeError),
])  # fmt: skip
def test_options_that_cannot_be_are_refused_by_the_decorator(options: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        task(**options)(tasks.add.func)


def test_a_delay_counts_from_the_call_and_an_attempt_that_waits_is_ready_again() -> None:
    result = tasks.add.using(run_after=timedelta(minutes=5)).enqueue(1, 2)
    assert timedelta(minutes=4) < result.task.run_after - timezone.now() < timedelta(minutes=6)
    assert not run_next()


def test_tasks_and_results_pickle() -> None:
    if not hasattr(api.Task, "_reconstruct"):
        pytest.skip("from Django 6.1 on")
    each = tasks.stubborn.using(priority=3)
    assert pickle.loads(pickle.dumps(each)) == each
    result = tasks.add.enqueue(1, 2)
    assert pickle.loads(pickle.dumps(result)) == result


def test_a_pruned_result_does_not_exist() -> None:
    result = tasks.add.enqueue(1, 2)
    run_all()
    CompletedTask.objects.all().delete()
    with pytest.raises(api.TaskResultDoesNotExist):
        result.refresh()


def test_a_retry_from_the_history_is_ready_again() -> None:
    result = tasks.fragile.enqueue("raise")
    run_all()
    assert claims.retry([int(result.id[1:])]) == 1
    result.refresh()
    assert result.status == Status.READY


def test_a_workers_start_names_the_tasks_of_both_doors() -> None:
    background(name="zzz.other")(lambda: None)
    found = registry.all_names()
    assert {"tests.tasks_backend.tasks.add", "zzz.other"} <= set(found)
    assert found == sorted(found)


def test_checks_name_unknown_options() -> None:
    backend = DatabaseBackend(
        "mine", {"BACKEND": "bgtasks.DatabaseBackend", "OPTIONS": {"MAX_ATTEMPT": 3, "BACKOFF": object()}}
    )
    found = list(backend.check())
    assert [each.id for each in found] == ["bgtasks.E008", "bgtasks.E008"]
    assert found[0].hint == "Did you mean 'MAX_ATTEMPTS'?"
    assert all(isinstance(each, checks.Error) for each in found)


def test_headers_travel_with_the_row_and_are_no_part_of_the_task() -> None:
    varied = tasks.tell_headers.using(headers={"request-id": "a1"}, priority=5)
    assert (varied.headers, varied.priority, tasks.tell_headers.headers) == ({"request-id": "a1"}, 5, None)
    assert hash(varied) == hash(tasks.tell_headers.using(priority=5))
    result, plain = varied.enqueue(fails=2), tasks.tell_headers.enqueue()
    assert varied.get_result(result.id) == result
    run_all()
    over = varied.get_result(result.id)
    assert (over.attempts, over.return_value) == (3, [{"request-id": "a1"}, False])
    assert tasks.tell_headers.get_result(plain.id).return_value == [{}, False]


@pytest.mark.parametrize("wrong", [["a"], {1: 2}, {"a": object()}, {"a": float("nan")}])
def test_headers_that_cannot_be_stored_are_refused_at_the_call(wrong: Any) -> None:
    with pytest.raises(api.InvalidTask, match="headers="):
        tasks.tell_headers.using(headers=wrong).enqueue()
    assert not Task.objects.exists()


def test_progress_is_told_by_the_context_and_read_by_the_id_of_the_result() -> None:
    result = tasks.tell_headers.enqueue(fails=1)
    assert run_next()
    assert tasks.tell_headers.progress(result.id) is None  # that attempt failed, and the next one has told nothing
    assert run_next()
    assert tasks.tell_headers.progress(result.id) == (2, 3, "trying")
    with pytest.raises(api.TaskResultDoesNotExist):
        tasks.tell_headers.progress("t4711")
    with pytest.raises(api.TaskResultDoesNotExist):
        tasks.tell_headers.progress("17")
