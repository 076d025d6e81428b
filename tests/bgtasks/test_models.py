"""The tables' questions: the heritage's managers and methods, without a worker."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone

from bgtasks.models import CompletedTask, Queue, Status, Task, WorkerProcess

pytestmark = pytest.mark.django_db


def completed(**columns: object) -> CompletedTask:
    return CompletedTask.objects.create(
        **{"id": CompletedTask.objects.count() + 1, "task_name": "tests.one", **columns}
    )


def test_new_task_is_unsaved_and_hashes_its_arguments() -> None:
    task = Task.objects.new_task("tests.one", (1,), {"b": 2, "a": 1}, queue=None, verbose_name="v", repeat=Task.HOURLY)
    assert task.pk is None
    assert task.task_params == '[[1], {"a": 1, "b": 2}]'
    assert task.params() == ([1], {"a": 1, "b": 2})
    assert len(task.task_hash) == 40
    assert (task.queue, str(task), task.is_repeating_task(), task.has_error()) == ("default", "v", True, False)


def test_a_request_is_what_the_constructor_makes() -> None:
    columns = {"task_name": "tests.one", "task_params": "[[], {}]", "task_hash": "x", "run_at": None}
    made, constructed = Task.request(**columns), Task(**columns)
    for field in Task._meta.concrete_fields:
        if not field.generated:
            assert getattr(made, field.attname) == getattr(constructed, field.attname), field.attname
    assert made._state.adding
    assert made._state is not Task.request()._state
    assert str(made) == "tests.one"


def test_equal_tasks_are_found_and_dropped_by_name_and_arguments() -> None:
    for args in ((1,), (1,), (2,)):
        Task.objects.new_task("tests.one", args).save()
    assert Task.objects.get_task("tests.one", (1,)).count() == 2
    Task.objects.drop_task("tests.one", (1,))
    assert Task.objects.count() == 1
    Task.objects.new_task("tests.one", (2,), remove_existing_tasks=True)
    assert not Task.objects.exists()


def test_find_available_is_what_is_due_in_claim_order() -> None:
    now = timezone.now()
    for name, priority, queue, minutes in (("c", 0, "a", 1), ("a", 5, "b", 1), ("b", 5, "a", 0), ("x", 9, "a", -5)):
        Task.objects.create(task_name=name, priority=priority, queue=queue, run_at=now - timedelta(minutes=minutes))
    assert [task.task_name for task in Task.objects.find_available()] == ["a", "b", "c"]
    assert [task.task_name for task in Task.objects.find_available("a")] == ["b", "c"]
    assert Task.objects.unlocked(now).count() == 4
    assert not Task.objects.locked(now).exists()
    assert not Task.objects.failed().exists()


def test_a_creator_of_any_kind_is_found_again() -> None:
    queue = Queue.objects.create(name="mail")
    task = Task.objects.new_task("tests.one", creator=queue)
    task.save()
    Task.objects.new_task("tests.one").save()
    assert list(Task.objects.created_by(queue)) == [task]
    assert Task.objects.get(pk=task.pk).creator == queue
    queue.delete()
    assert Task.objects.get(pk=task.pk).creator is None
    kind = ContentType.objects.get_for_model(Queue)
    over = completed(creator_content_type=kind, creator_object_id="7")
    assert list(CompletedTask.objects.created_by(Queue(pk=7))) == [over]


def test_history_is_failed_or_succeeded_and_cancelled_is_failed_too() -> None:
    now = timezone.now()
    good, old = completed(), completed(run_at=now - timedelta(days=2))
    bad = completed(outcome=Status.FAILED, failed_at=now)
    gone = completed(outcome=Status.CANCELLED, failed_at=now - timedelta(days=2))
    assert set(CompletedTask.objects.succeeded()) == {good, old}
    assert set(CompletedTask.objects.succeeded(within=timedelta(days=1))) == {good}
    assert set(CompletedTask.objects.failed()) == {bad, gone}
    assert set(CompletedTask.objects.failed(within=timedelta(hours=1))) == {bad}
    assert set(CompletedTask.objects.filter(id__gt=0).cancelled().failed()) == {gone}
    assert (good.status, gone.status, good.finished_at) == (Status.SUCCESSFUL, Status.CANCELLED, good.run_at)
    assert str(good) == f"tests.one - {good.run_at}"


@pytest.mark.parametrize(
    ("attempts", "own", "setting", "reached"),
    [
        (0, None, 25, False),
        (25, None, 25, True),
        (1, 0, 25, True),
        (0, 0, 25, False),
        (2, 3, 1, False),
        (1, None, 0, True),
    ],
)
def test_max_attempts_means_executions(
    settings: pytest.FixtureRequest, attempts: int, own: int | None, setting: int, reached: bool
) -> None:
    settings.BGTASKS = {"MAX_ATTEMPTS": setting}  # type: ignore[attr-defined]
    assert Task(attempts=attempts, max_attempts=own).has_reached_max_attempts() is reached


def test_a_worker_process_and_a_queue_are_shown_by_name() -> None:
    assert str(WorkerProcess(name="host:main:1:abc")) == "host:main:1:abc"
    assert str(Queue(name="mail")) == "mail"
    Queue.objects.ensure({"mail", "default"})
    Queue.objects.ensure(["mail"])
    Queue.objects.filter(name="mail").update(paused_at=timezone.now())
    assert [queue.name for queue in Queue.objects.paused()] == ["mail"]
    assert Queue.objects.get(name="mail").is_paused()


def test_inside_a_testcase_tasks_are_enqueued_claimed_and_settled_in_its_transaction() -> None:
    from bgtasks.queue import claims
    from bgtasks.queue.types import Holder, Outcome, Result

    task = claims.enqueue(Task.request(task_name="tests.one", task_params="[[], {}]", task_hash="x"))
    holder = Holder("host:main:1:nonce", lease=60.0)
    (claim,) = claims.turn([], 5, holder).claims
    assert claims.turn([Outcome(claim, Result.SUCCESSFUL, 0.1)], 5, holder).lost == []
    assert CompletedTask.objects.get().id == task.id
