"""The admin: what its pages show, what its actions do, who may, and that a million rows do not matter."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bgtasks.admin import CompletedTaskAdmin, TaskAdmin, dec_priority, inc_priority, lists
from bgtasks.arguments import hash_of
from bgtasks.models import CompletedTask, Queue, Status, Task, TaskAttempt, WorkerProcess
from bgtasks.queue import claims
from bgtasks.queue.types import Holder

pytestmark = pytest.mark.django_db
TASKS, HISTORY = "/admin/bgtasks/task/", "/admin/bgtasks/completedtask/"
QUEUES = "/admin/bgtasks/queue/"
PAGES = [TASKS, HISTORY, "/admin/bgtasks/taskattempt/", "/admin/bgtasks/workerprocess/", QUEUES]
EVIL = "<img src=x onerror=alert(1)>"
WORKER = "host:main:1:ab12"


def make(name: str = "shop.tasks.ping", params: str = "[[], {}]", **columns: Any) -> Task:
    task = Task(task_name=name, task_params=params, task_hash=hash_of(name, params), run_at=None, **columns)
    return claims.enqueue(task)


def complete(task_id: int = 7, **columns: Any) -> CompletedTask:
    told = {"task_name": "shop.tasks.ping", "task_params": "[[], {}]", "task_hash": "0" * 40, **columns}
    return CompletedTask.objects.create(id=task_id, **told)


def act(client: Client, page: str, action: str, rows: list[Any], **more: Any) -> Any:
    data = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    return client.post(page, data, follow=True)


def test_the_heritage_s_classes_columns_and_actions_are_there() -> None:
    assert isinstance(admin.site._registry[Task], TaskAdmin)
    assert isinstance(admin.site._registry[CompletedTask], CompletedTaskAdmin)
    columns = "task_name task_params run_at priority attempts has_error locked_by locked_by_pid_running"
    for page in (TaskAdmin, CompletedTaskAdmin):
        assert " ".join(page.list_display).startswith(columns)
        assert page.search_fields[:2] == ["task_name", "task_params"]
    assert inc_priority.short_description == "priority += 1"  # type: ignore[attr-defined]
    assert dec_priority.short_description == "priority -= 1"  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens(admin_client: Client, page: str) -> None:
    task = make()
    complete()
    TaskAttempt.objects.create(task_id=task.pk, attempt=1, finished_at=timezone.now(), error="Traceback: x")
    WorkerProcess.objects.create(name=WORKER, host="host", pid=1)
    model: Any = apps.get_model("bgtasks", page.split("/")[3])
    assert admin_client.get(page).status_code == 200
    assert admin_client.get(f"{page}{model.objects.first().pk}/change/").status_code == 200


def test_nothing_stored_is_ever_markup(admin_client: Client) -> None:
    task = make(EVIL, f'[["{EVIL}"], {{}}]', verbose_name=EVIL, queue=EVIL, headers=EVIL)
    Task.objects.filter(pk=task.pk).update(last_error=EVIL, locked_by=EVIL)
    columns = {"task_name": EVIL, "task_params": EVIL, "verbose_name": EVIL, "queue": EVIL, "last_error": EVIL}
    done = complete(8, locked_by=EVIL, headers=EVIL, result=EVIL, **columns)
    attempt = TaskAttempt.objects.create(
        task_id=task.pk, attempt=1, finished_at=timezone.now(), error=EVIL, exception=EVIL, worker=EVIL
    )
    TaskAttempt.objects.create(task_id=done.pk, attempt=1, finished_at=timezone.now(), error=EVIL)
    worker = WorkerProcess.objects.create(name=EVIL, host=EVIL, pid=1, version=EVIL, queues=EVIL, instance=EVIL)
    queue = Queue.objects.get(name=EVIL)
    Queue.objects.filter(pk=queue.pk).update(paused_by=EVIL, pause_reason=EVIL, paused_at=timezone.now())
    for page, row in zip(PAGES, (task, done, attempt, worker, queue), strict=True):
        for url in (page, f"{page}{row.pk}/change/"):
            text = admin_client.get(url).content.decode()
            assert "&lt;img src=x" in text, url
            assert "<img src=x" not in text, url
    answer = act(admin_client, TASKS, "delete_selected", [task])
    assert "<img src=x" not in answer.content.decode()


def test_a_list_costs_the_same_few_queries_however_many_rows(admin_client: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert admin_client.get(TASKS).status_code == 200
        return len(captured)

    for _ in range(3):
        make()
    claims.turn([], 1, Holder(WORKER, 60.0))
    WorkerProcess.objects.create(name=WORKER, host="host", pid=1)
    few = queries()
    for _ in range(60):
        make()
    claims.turn([], 30, Holder(WORKER, 60.0))
    assert queries() == few


def test_no_page_counts_a_whole_table_or_sorts_by_what_has_no_index(admin_client: Client) -> None:
    make()
    complete()
    for page in PAGES:
        with CaptureQueriesContext(connection) as captured:
            admin_client.get(page)
            admin_client.get(f"{page}?_facets=1&q=ping&o=1.2")
        for sql in (one["sql"] for one in captured if "bgtasks_" in one["sql"]):
            if "COUNT(" in sql:
                assert re.search(r"LIMIT 1000[01]", sql), sql
            assert not re.search(r"ORDER BY .bgtasks_\w+.\.[^ ,]*(?<!id)(?<!name).( |$)", sql), sql


def test_reading_pages_locks_and_writes_nothing(admin_client: Client) -> None:
    make()
    complete()
    for page in (TASKS, HISTORY):
        row = (Task if page == TASKS else CompletedTask).objects.get()  # type: ignore[attr-defined]
        with CaptureQueriesContext(connection) as captured:
            for url in (page, f"{page}?q=ping", f"{page}{row.pk}/change/"):
                assert admin_client.get(url).status_code == 200
        for sql in (one["sql"] for one in captured if "bgtasks_" in one["sql"]):
            assert sql.startswith("SELECT"), sql
            assert "FOR UPDATE" not in sql, sql


def test_counts_stop_at_the_cap(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "CAP", 5)
    tasks = [make() for _ in range(8)]
    assert admin_client.get(TASKS).context["cl"].result_count == 5
    answer = act(admin_client, TASKS, "inc_priority", tasks, select_across="1")
    assert "Only the first 5 were taken" in answer.content.decode()
    assert Task.objects.filter(priority=1).count() == 5


def test_more_rows_than_a_confirmation_may_send_back_are_deleted_in_parts(admin_client: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 15
    tasks = [make() for _ in range(8)]
    answer = act(admin_client, TASKS, "delete_selected", tasks[:1], select_across="1")
    assert "Only the first 5 were taken" in answer.content.decode()
    sent = re.findall(r'name="_selected_action" value="(\d+)"', answer.content.decode())
    assert sent == [str(task.pk) for task in reversed(tasks[:5])]
    answer = admin_client.post(
        TASKS, {"action": "delete_selected", "post": "yes", "_selected_action": sent}, follow=True
    )
    assert "Successfully deleted 5 tasks" in answer.content.decode()
    assert [task.pk for task in Task.objects.order_by("pk")] == [task.pk for task in tasks[5:]]
    assert LogEntry.objects.count() == 5


def test_a_living_worker_is_told_from_one_without_a_row(admin_client: Client) -> None:
    make()
    claims.turn([], 1, Holder(WORKER, 60.0))
    for is_live in (False, True):
        if is_live:
            WorkerProcess.objects.create(name=WORKER, host="host", pid=1)
        (row,) = admin_client.get(TASKS).context["cl"].result_list
        assert row.worker_is_live is is_live
        assert TaskAdmin(Task, admin.site).locked_by_pid_running(row) is is_live
        assert TaskAdmin(Task, admin.site).locked_by_pid_running(Task.objects.get()) is is_live


def test_long_texts_are_cut_in_lists_and_never_written_back(admin_client: Client) -> None:
    task = make(params=f'[["{"x" * 5000}"], {{}}]')
    assert b"x" * 300 not in admin_client.get(TASKS).content
    assert len(Task.objects.get(pk=task.pk).task_params) > 5000


def test_an_id_is_found_by_its_number_and_text_in_names_and_arguments(admin_client: Client) -> None:
    wanted, other = make(params='[["needle"], {}]'), make("shop.tasks.other")
    for query, found in ((str(wanted.pk), wanted), (f"t{wanted.pk}", wanted), ("needle", wanted), ("other", other)):
        assert [row.pk for row in admin_client.get(TASKS, {"q": query}).context["cl"].result_list] == [found.pk]


def test_filters_narrow_the_list(admin_client: Client) -> None:
    mail, failed = make(queue="mail"), make()
    Task.objects.filter(pk=failed.pk).update(last_error="Traceback")
    for query, found in (("queue=mail", mail), ("error=yes", failed), ("error=no", mail)):
        assert [row.pk for row in admin_client.get(f"{TASKS}?{query}").context["cl"].result_list] == [found.pk]
    assert not admin_client.get(f"{TASKS}?status__exact=2").context["cl"].result_list


def test_priority_goes_up_and_down(admin_client: Client) -> None:
    task = make()
    act(admin_client, TASKS, "inc_priority", [task])
    act(admin_client, TASKS, "inc_priority", [task])
    act(admin_client, TASKS, "dec_priority", [task])
    task.refresh_from_db()
    assert (task.priority, task.claim_order) == (1, -1)


def test_run_now_makes_a_scheduled_task_ready(admin_client: Client) -> None:
    task = make()
    Task.objects.filter(pk=task.pk).update(run_at=timezone.now() + timedelta(days=1))
    claims.stage()
    act(admin_client, TASKS, "run_now", [task])
    task.refresh_from_db()
    assert (task.status, task.run_at <= timezone.now()) == (Status.READY, True)


def test_cancel_ends_a_waiting_task_and_asks_a_running_one(admin_client: Client) -> None:
    running = make()
    claims.turn([], 1, Holder(WORKER, 60.0))
    waiting = make()
    answer = act(admin_client, TASKS, "cancel", [running, waiting])
    assert "2 tasks cancelled" in answer.content.decode()
    assert CompletedTask.objects.get().pk == waiting.pk
    running.refresh_from_db()
    assert running.status == Status.RUNNING
    assert running.cancel_requested_at is not None


def test_retry_brings_a_completed_task_back_under_its_id(admin_client: Client) -> None:
    done = complete(4711, outcome=Status.FAILED, attempts=25, failed_at=timezone.now())
    act(admin_client, HISTORY, "retry", [done])
    task = Task.objects.get()
    assert (task.pk, task.attempts, task.status) == (4711, 0, Status.READY)
    assert not CompletedTask.objects.exists()


def test_deleting_removes_waiting_tasks_and_cancels_running_ones(admin_client: Client) -> None:
    running = make()
    claims.turn([], 1, Holder(WORKER, 60.0))
    waiting = make()
    act(admin_client, TASKS, "delete_selected", [running, waiting], post="yes")
    assert Task.objects.get().cancel_requested_at is not None
    waiting = make()
    admin_client.post(f"{TASKS}{waiting.pk}/delete/", {"post": "yes"})
    assert Task.objects.count() == 1


def test_history_can_be_deleted(admin_client: Client) -> None:
    rows = [complete(number) for number in range(1, 4)]
    TaskAttempt.objects.create(task_id=1, attempt=1, finished_at=timezone.now())
    act(admin_client, HISTORY, "delete_selected", rows[:2], post="yes")
    assert CompletedTask.objects.get().pk == 3
    assert not TaskAttempt.objects.exists()


def test_what_was_done_is_in_the_admin_s_log(admin_client: Client) -> None:
    act(admin_client, TASKS, "cancel", [make()])
    assert "cancelled" in LogEntry.objects.get().get_change_message()


def test_editing_a_task_leaves_its_claim_alone(admin_client: Client) -> None:
    task = make()
    url = f"{TASKS}{task.pk}/change/"
    form = admin_client.get(url).context["adminform"].form
    assert set(form.fields) == {
        "verbose_name", "run_at", "priority", "queue", "repeat", "repeat_until", "max_attempts", "max_run_time",
    }  # fmt: skip
    claims.turn([], 1, Holder(WORKER, 60.0))
    data = {
        "priority": 5,
        "queue": "mail",
        "repeat": 90,
        "verbose_name": "",
        "run_at_0": "2030-01-01",
        "run_at_1": "12:00",
    }
    assert admin_client.post(url, data).status_code == 302
    task.refresh_from_db()
    assert (task.priority, task.queue, task.repeat) == (5, "mail", 90)
    assert (task.status, task.locked_by) == (Status.RUNNING, WORKER)


def test_editing_something_else_keeps_the_phase_of_a_repetition(admin_client: Client) -> None:
    slot = timezone.now().replace(microsecond=123456)
    task = make(repeat=86400)
    Task.objects.update(due_at=slot, run_at=slot + timedelta(hours=9, microseconds=5), repeat_until=slot)
    task.refresh_from_db()
    url = f"{TASKS}{task.pk}/change/"
    inputs = re.findall(r"<input[^>]*>", admin_client.get(url).content.decode())
    given = [dict(re.findall(r'\b(name|value)="([^"]*)"', one)) for one in inputs]
    data = {one["name"]: one.get("value", "") for one in given if "name" in one}  # what a browser would send back
    assert "initial-run_at_0" in data
    assert admin_client.post(url, {**data, "priority": 7}).status_code == 302
    now = Task.objects.get()
    assert now.priority == 7
    assert (now.due_at, now.run_at, now.repeat_until) == (task.due_at, task.run_at, task.repeat_until)


def test_nothing_is_changed_without_post_and_its_token(admin_user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    task = make()
    data = {"action": "cancel", "_selected_action": [task.pk]}
    assert client.post(TASKS, data).status_code == 403
    assert client.get(TASKS, data).status_code in (200, 302)
    assert Task.objects.filter(pk=task.pk).exists()


@pytest.mark.parametrize(
    ("permission", "page", "action", "allowed"),
    [
        ("view_task", TASKS, "cancel", False),
        ("view_task", TASKS, "inc_priority", False),
        ("view_task", TASKS, "delete_selected", False),
        ("change_task", TASKS, "cancel", True),
        ("change_task", TASKS, "delete_selected", False),
        ("view_completedtask", HISTORY, "retry", False),
        ("change_completedtask", HISTORY, "retry", True),
    ],
)
def test_actions_need_their_permission(permission: str, page: str, action: str, allowed: bool) -> None:
    user = User.objects.create_user("eve", is_staff=True)
    view = permission.replace("change", "view")
    user.user_permissions.set(Permission.objects.filter(codename__in=[permission, view]))
    client = Client()
    client.force_login(user)
    row: Any = make() if page == TASKS else complete()
    act(client, page, action, [row], post="yes")
    assert type(row).objects.filter(pk=row.pk).exists() is not allowed


def test_a_queue_is_paused_and_resumed(admin_client: Client) -> None:
    for name in ("mail", "a,b*!"):
        make(queue=name)
    rows = list(Queue.objects.all())
    response = act(admin_client, QUEUES, "pause", rows)
    assert "2 queues paused" in response.content.decode()
    assert set(Queue.objects.paused().values_list("paused_by", flat=True)) == {"admin"}
    assert claims.turn([], 1, Holder(WORKER, lease=60)).claims == []
    response = act(admin_client, QUEUES, "resume", rows[:1])
    assert "1 queue resumed" in response.content.decode()
    assert list(Queue.objects.paused()) == rows[1:]
    assert LogEntry.objects.filter(change_message__in=["paused", "resumed"]).count() == 3


@pytest.mark.parametrize(("permission", "allowed"), [("view_queue", False), ("change_queue", True)])
def test_pausing_needs_its_permission(permission: str, allowed: bool) -> None:
    user = User.objects.create_user("eve", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=[permission, "view_queue"]))
    client = Client()
    client.force_login(user)
    make(queue="mail")
    queue = Queue.objects.get()
    act(client, QUEUES, "pause", [queue])
    assert Queue.objects.paused().exists() is allowed
    Queue.objects.update(paused_at=timezone.now())
    act(client, QUEUES, "resume", [queue])
    assert Queue.objects.paused().exists() is not allowed
    client.post(f"{QUEUES}{queue.pk}/change/", {"name": "other"})
    assert Queue.objects.get().name == "mail"


def test_actions_work_under_atomic_requests(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)  # noqa: FBT003
    for action in ("inc_priority", "run_now", "cancel", "delete_selected"):
        assert act(admin_client, TASKS, action, [make()], post="yes").status_code == 200
    assert act(admin_client, HISTORY, "retry", list(CompletedTask.objects.all())).status_code == 200


def test_strangers_see_nothing(client: Client) -> None:
    make()
    for page in PAGES:
        assert client.get(page).status_code == 302


def test_nothing_can_be_added_by_hand_and_history_cannot_be_edited(admin_client: Client) -> None:
    done = complete()
    for page in PAGES:
        assert admin_client.get(f"{page}add/").status_code == 403
    assert admin_client.post(f"{HISTORY}{done.pk}/change/", {"priority": 7}).status_code == 403


def test_tasks_waiting_without_a_worker_are_told_with_the_command_to_type(admin_client: Client) -> None:
    task = make()
    Task.objects.filter(pk=task.pk).update(run_at=timezone.now() - timedelta(minutes=5))
    told = b"1 task is waiting and no worker is running: bgtasksd start"
    assert told in admin_client.get(TASKS).content
    WorkerProcess.objects.create(name=WORKER, host="host", pid=1)
    assert told not in admin_client.get(TASKS).content


def test_every_error_of_a_task_is_shown_the_latest_first(admin_client: Client) -> None:
    task = make()
    for attempt in (1, 2):
        TaskAttempt.objects.create(
            task_id=task.pk, attempt=attempt, finished_at=timezone.now(), error=f"Traceback {attempt}"
        )
    text = admin_client.get(f"{TASKS}{task.pk}/change/").content.decode()
    assert 0 < text.index("Traceback 2") < text.index("Traceback 1")


def test_progress_is_shown_in_words_of_what_runs_and_of_what_is_over(admin_client: Client) -> None:
    told = '{"done": 340, "total": 1000, "message": "<b>writing</b>"}'
    task = make("tests.telling")
    Task.objects.filter(pk=task.pk).update(progress=told)
    done = complete(4711, progress=told)
    for page in (f"task/{task.pk}", f"completedtask/{done.pk}"):
        text = admin_client.get(f"/admin/bgtasks/{page}/change/").content.decode()
        assert "340 of 1,000 (34 %), &lt;b&gt;writing&lt;/b&gt;" in text
