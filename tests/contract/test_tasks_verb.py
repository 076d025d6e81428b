"""`bgtasksd tasks`: which tasks are found, what is shown of them, what is done, and what it answers."""

from __future__ import annotations

import dataclasses
import io
import json
import signal
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from bgtasks.management.verbs import Answer, NotDone, answer, tasks
from bgtasks.management.verbs.tasks import changing, listing, selecting
from bgtasks.models import CompletedTask, Status, Task, TaskAttempt
from bgtasks.queue.types import Result
from tests.contract.making import ago, ahead, claim_one, completed, enqueued, failure, live, settle, success

KEYS = {
    "schema_version", "id", "status", "name", "queue", "priority", "attempts", "crashes", "created_at", "run_at",
    "started_at", "finished_at", "worker", "cancel_requested_at", "error",
}  # fmt: skip
MORE_KEYS = {
    "verbose_name", "max_attempts", "max_run_time", "repeat", "arguments_shown", "args", "kwargs", "headers", "result",
    "progress", "due_at", "attempts_failed",
}  # fmt: skip


def given(*arguments: str) -> Namespace:
    parser = ArgumentParser()
    tasks.add_arguments(parser)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(["--json", *arguments])


def run(*arguments: str) -> Answer:
    return tasks.run(given(*arguments))


def listed(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run("list", *arguments).in_json()]


def ids(*arguments: str) -> list[int]:
    return [int(each["id"]) for each in listed(*arguments)]


@pytest.fixture
def every() -> dict[str, int]:
    """One task of each status, and the ids by the statuses."""
    made = {}
    for status, outcome in (("successful", success), ("failed", failed), ("cancelled", cancelled)):
        made[status] = enqueued(f"shop.{status}", queue="mail").id
        settle(outcome(claim_one()))
    made["running"] = enqueued("shop.running").id
    claim_one()
    made["scheduled"] = enqueued("shop.scheduled", run_at=ahead(3600)).id
    made["ready"] = enqueued("stock.ready", 5).id
    return made


def failed(claimed: Any) -> Any:
    return failure(claimed, Result.FAILED)


def cancelled(claimed: Any) -> Any:
    return failure(claimed, Result.CANCELLED)


def test_live_ones_come_first_and_then_what_ended_last(every: dict[str, int]) -> None:
    order = ("ready", "scheduled", "running", "cancelled", "failed", "successful")
    assert ids() == [every[status] for status in order]
    assert [each["status"] for each in listed()] == list(order)
    assert all(set(each) == KEYS for each in listed())
    assert ids("--limit", "4") == [every[status] for status in order[:4]]
    (one,) = listed("--status", "failed")
    assert (one["error"], one["queue"], one["attempts"]) == ("Traceback: no", "mail", 1)
    assert one["finished_at"].endswith("Z")
    assert one["run_at"] is None


def test_filters_find_what_has_all_of_it(every: dict[str, int]) -> None:
    assert ids("--status", "ready,failed", "--status", "running") == [every[s] for s in ("ready", "running", "failed")]
    assert ids("--name", "stock.*") == ids("--name", "stock.ready") == [every["ready"]]
    assert ids("--name", "shop.*", "--queue", "default") == [every["scheduled"], every["running"]]
    assert ids("--queue", "ma*", "--error", "Traceback") == [every["cancelled"], every["failed"]]
    Task.objects.update(created_at=ago(7200))
    CompletedTask.objects.filter(outcome=Status.FAILED).update(run_at=ago(7200))
    assert ids("--since", "1h") == [every["cancelled"], every["successful"]]
    assert ids("--error", "Key") == []


def test_a_list_for_people_has_a_line_for_each_and_says_if_there_is_more(every: dict[str, int]) -> None:
    arguments = given("list", "--limit", "2")
    arguments.json = False
    answer = tasks.run(arguments)
    head, first, second = answer.text.splitlines()
    assert head.split() == ["id", "status", "queue", "name", "when", "attempts", "error"]
    assert (first.split()[1], second.split()[1]) == ("ready", "scheduled")
    assert " in 60 min " in second or " in 1 h " in second
    assert answer.talk == "the first 2; --limit shows more"


def test_names_that_lead_nowhere_are_answered_with_a_near_one(every: dict[str, int]) -> None:
    arguments = given("list", "--name", "shop.faild")
    arguments.json = False
    assert tasks.run(arguments).talk == "no such task; did you mean --name shop.failed?"
    arguments.name = "redy"
    assert tasks.run(arguments).talk == "no such task; did you mean --name stock.ready?"
    with pytest.raises(NotDone, match="did you mean 'mail'"):
        run("list", "--queue", "mial")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["list", "--status", "faild"], "failed?"),
        (["list", "--limit", "0"], "from 1 to 10,000"),
        (["list", "--name", "a*b"], "'a*'"),
        (["list", "--error", ""], "leave --error away"),
        (["delete", "--all", "--name", ""], "leave --name away"),
        (["delete", "--all", "--status", ""], "'' names no status: write one or more of scheduled, ready"),
        (["retry", "--all", "--status", " ,"], "' ,' names no status"),
        (["cancel", "--all", "--since", ""], "'' is not a duration"),
        (["show", "x7"], "t48213"),
        (["cancel", "--status", "failed", "--all"], "'failed' is not one of"),
        (["retry", "1", "--rate", "fast"], "50/s"),
    ],
)
def test_wrong_values_are_refused(wrong: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        given(*wrong)
    assert told in capsys.readouterr().err


def test_one_task_is_shown_with_every_failed_attempt(settings: Any) -> None:
    settings.BGTASKS = {"LOG_ARGS": True}
    task = enqueued("shop.pay", 5, "x", headers='{"trace": "1"}')
    for _ in range(2):
        settle(failure(claim_one(), retry_in=0))
    answer = run("show", f"t{task.id}")
    facts = answer.facts
    assert set(facts) == KEYS | MORE_KEYS
    assert (facts["status"], facts["args"], facts["kwargs"]) == ("ready", [5, "x"], {})
    assert facts["headers"] == {"trace": "1"}
    assert [each["attempt"] for each in facts["attempts_failed"]] == [1, 2]
    assert {each["host"] for each in facts["attempts_failed"]} == {"host"}
    assert facts["attempts_failed"][0]["traceback"] == "Traceback: no"
    assert "attempt 2, " in answer.text
    assert "    Traceback: no" in answer.text


def test_arguments_are_shown_only_where_the_settings_allow_it(settings: Any) -> None:
    settings.BGTASKS = {"LOG_ARGS": False}
    task = enqueued("shop.pay", "secret")
    answer = run("show", str(task.id))
    assert (answer.facts["arguments_shown"], answer.facts["args"]) == (False, None)
    assert "secret" not in answer.text + json.dumps(answer.facts)
    with pytest.raises(NotDone, match="there is no task 99") as missing:
        run("show", "99")
    assert (missing.value.exit_code, missing.value.code) == (1, "not_found")


def test_ids_are_cancelled_and_what_cannot_be_is_told(every: dict[str, int]) -> None:
    answer = run("cancel", str(every["ready"]), f"t{every['running']}", str(every["failed"]), "999999")
    assert answer.exit_code == 1
    assert answer.text == "1 task cancelled, 1 running task asked to end"
    assert answer.talk.splitlines() == [f"{every['failed']}: is failed", "999999: there is no such task"]
    assert {name: answer.facts[name] for name in ("matched", "done", "asked_to_end")} == {
        "matched": 2, "done": 2, "asked_to_end": 1,
    }  # fmt: skip
    assert completed(every["ready"]).status == Status.CANCELLED
    assert live(every["running"]).cancel_requested_at is not None


def test_ids_are_put_back_or_started_now(every: dict[str, int]) -> None:
    answer = run("retry", str(every["failed"]), str(every["scheduled"]))
    assert (answer.text, answer.exit_code, answer.facts["done"]) == ("2 tasks put back in the queue", 0, 2)
    assert live(every["failed"]).status == live(every["scheduled"]).status == Status.READY
    assert run("retry", str(every["running"])).talk == f"{every['running']}: is running: cancel it first"


def test_what_is_deleted_takes_its_attempts_along(every: dict[str, int]) -> None:
    assert TaskAttempt.objects.filter(task_id=every["failed"]).exists()
    answer = run("delete", "--yes", *(str(every[status]) for status in ("failed", "ready", "running")))
    assert (answer.text, answer.exit_code) == ("2 tasks deleted", 1)
    assert answer.talk == f"{every['running']}: is running: cancel it first"
    assert not TaskAttempt.objects.filter(task_id=every["failed"]).exists()
    assert run("delete", "--all", "--yes").facts["done"] == 3
    assert [task.id for task in Task.objects.all()] == [every["running"]]
    assert not CompletedTask.objects.exists()


def test_all_means_what_the_filters_find_batch_after_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selecting, "BATCH", 3)
    wanted = [enqueued("shop.no").id for _ in range(10)]
    other = enqueued("stock.no").id
    for _ in range(11):
        settle(failed(claim_one()))
    assert CompletedTask.objects.filter(outcome=Status.FAILED).count() == 11
    CompletedTask.objects.update(run_at=ago(5))  # all at one moment
    answer = run("retry", "--all", "--name", "shop.*", "--dry-run")
    assert (answer.text, answer.facts["matched"], answer.facts["done"]) == ("would retry 10 tasks", 10, 0)
    answer = run("retry", "--all", "--name", "shop.*", "--yes", "--rate", "1000/s")
    assert (answer.facts["matched"], answer.facts["done"], answer.exit_code) == (10, 10, 0)
    assert sorted(Task.objects.values_list("id", flat=True)) == wanted
    assert CompletedTask.objects.get().id == other
    assert run("cancel", "--all", "--yes").facts["done"] == 10
    assert CompletedTask.objects.cancelled().count() == 10
    assert run("cancel", "--all").text == "0 tasks cancelled"  # nothing to ask about


def test_with_nobody_to_ask_filters_need_a_yes(every: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    for arguments in (["cancel", "--all", "--name", "shop.*"], ["delete", str(every["ready"])]):
        with pytest.raises(NotDone, match="there is nobody to ask") as refused:
            run(*arguments)
        assert (refused.value.exit_code, refused.value.code) == (2, "not_confirmed")
    assert Task.objects.count() == 3


@pytest.mark.parametrize(("typed", "left"), [("y\n", 0), ("n\n", 2)])
def test_at_a_terminal_it_asks(monkeypatch: pytest.MonkeyPatch, typed: str, left: int) -> None:
    terminal = io.StringIO(typed)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    for _ in range(2):
        enqueued()
    if left:
        with pytest.raises(NotDone, match="nothing was changed"):
            run("cancel", "--all")
    else:
        run("cancel", "--all")
    assert Task.objects.count() == left


@pytest.mark.parametrize("empty", ["", ",", " "])
def test_a_filter_that_names_no_queue_is_not_every_queue(every: dict[str, int], empty: str) -> None:
    with pytest.raises(NotDone, match="the name of a queue is empty") as refused:
        run("delete", "--all", "--yes", "--queue", empty)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    "wrong",
    [
        ["cancel"],
        ["cancel", "1", "--all"],
        ["retry", "1", "--name", "x"],
        ["retry", "1", "--status", "failed"],
        ["delete", "1", "--status", "failed"],
        ["cancel", "1", "--status", "scheduled,ready,held,running"],
        ["retry", "1", "--since", "0"],
        ["retry", "1", "--error", "x"],
    ],
)
def test_ids_and_filters_do_not_go_together(wrong: list[str]) -> None:
    with pytest.raises(NotDone, match="give ids, or --all and filters") as refused:
        run(*wrong)
    assert refused.value.exit_code == 2


def test_an_interrupt_ends_it_after_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selecting, "BATCH", 2)
    for _ in range(5):
        enqueued()
    real = changing.DEEDS["cancel"].do

    def interrupted(ids: Any) -> tuple[int, int]:
        signal.raise_signal(signal.SIGINT)
        return real(ids)

    monkeypatch.setitem(changing.DEEDS, "cancel", dataclasses.replace(changing.DEEDS["cancel"], do=interrupted))
    answer = run("cancel", "--all", "--yes")
    assert (answer.text, answer.exit_code, answer.facts["interrupted"]) == ("interrupted; 2 tasks cancelled", 130, True)
    assert Task.objects.count() == 3


def test_no_table_is_counted_from_end_to_end(every: dict[str, int]) -> None:
    with CaptureQueriesContext(connection) as queries:
        list(run("list", "--name", "shop.*").in_json())
        run("cancel", "--all", "--dry-run")
    assert len(queries) < 12
    for query in queries:
        assert "COUNT" not in query["sql"] or "LIMIT" in query["sql"]
        assert "task_params" not in query["sql"]


@pytest.fixture
def _a_list_that_breaks_off(every: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = listing._rows

    def broken(*arguments: Any) -> Iterator[dict[str, Any]]:
        with closing(whole(*arguments)) as rows:
            yield next(rows)
            raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(listing, "_rows", broken)


@pytest.mark.usefixtures("_a_list_that_breaks_off")
def test_a_list_that_breaks_off_ends_with_the_reason() -> None:
    lines = answer("tasks", given("list")).in_json()
    assert json.loads(next(lines))["status"] == "ready"
    with pytest.raises(NotDone, match="server closed the connection") as ended:
        next(lines)
    assert (ended.value.code, ended.value.exit_code) == ("database", 1)
    told = io.StringIO()
    with pytest.raises(CommandError, match="server closed the connection"):
        call_command("bgtasks", "tasks", "list", "--json", stdout=told)
    first, last = map(json.loads, told.getvalue().splitlines())
    assert (first["status"], last["error"]["code"]) == ("ready", "database")


def test_manage_py_has_it_too(every: dict[str, int]) -> None:
    told = io.StringIO()
    call_command("bgtasks", "tasks", "list", "--status", "failed", "--json", stdout=told)
    assert json.loads(told.getvalue())["id"] == str(every["failed"])
    told = io.StringIO()
    call_command("bgtasks", "tasks", "show", str(every["failed"]), stdout=told)
    assert "Traceback: no" in told.getvalue()
    with pytest.raises(CommandError, match="there is no task 999999"):
        call_command("bgtasks", "tasks", "show", "999999")
    with pytest.raises(SystemExit) as left:
        call_command("bgtasks", "tasks", "cancel", "999999", stdout=told, stderr=told)
    assert left.value.code == 1
