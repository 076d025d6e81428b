"""History that is old goes away: by hand, batch by batch, through its index, and with the attempts of its tasks."""

from __future__ import annotations

import io
import json
import signal
from argparse import ArgumentParser, Namespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from bgtasks.management.verbs import NotDone, prune
from bgtasks.models import CompletedTask, Status, TaskAttempt
from bgtasks.queue import claims
from bgtasks.queue.pruning import OLD, Pruning
from tests.contract.making import ago
from tests.contract.test_plans import plan
from tests.settings import VENDOR

DAY = 86400.0


def make_history(count: int, age: float, outcome: Status = Status.SUCCESSFUL, first: int = 1) -> None:
    """Write so many completed tasks, each with an attempt; the first is the oldest, by a second a task."""
    rows = range(first, first + count)
    CompletedTask.objects.bulk_create(
        CompletedTask(id=n, task_name="x", task_params="[]", outcome=outcome, run_at=ago(age + first + count - n))
        for n in rows
    )
    TaskAttempt.objects.bulk_create(TaskAttempt(task_id=n, attempt=1, finished_at=ago(age)) for n in rows)


def ids() -> list[int]:
    return list(CompletedTask.objects.order_by("id").values_list("id", flat=True))


def given(*arguments: str) -> Namespace:
    parser = ArgumentParser()
    prune.add_arguments(parser)
    return parser.parse_args(arguments)


def test_the_oldest_go_first_and_their_attempts_with_them() -> None:
    make_history(7, DAY)
    going = claims.pruning({"successful": 3600}, batch=3)
    assert going.step() == 3
    assert ids() == [4, 5, 6, 7]
    assert sorted(TaskAttempt.objects.values_list("task_id", flat=True)) == [4, 5, 6, 7]
    assert (going.step(), going.step(), going.step()) == (3, 1, 0)
    assert going.pruned == {Status.SUCCESSFUL: 7}


def test_what_ended_at_the_same_moment_is_deleted_whole() -> None:
    make_history(5, DAY)
    CompletedTask.objects.update(run_at=ago(DAY))
    going = claims.pruning({"successful": 3600}, batch=2)
    assert [going.step() for _ in range(4)] == [2, 2, 1, 0]


def test_a_batch_that_was_undone_is_counted_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    make_history(5, DAY)
    going = claims.pruning({"successful": 3600}, batch=2)
    going.step()
    with monkeypatch.context() as patched:
        patched.setattr(TaskAttempt.objects, "using", lambda alias: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            going.step()
    assert (going.pruned[Status.SUCCESSFUL], ids()) == (2, [3, 4, 5])


def test_nothing_is_kept_where_the_settings_say_zero(settings: Any) -> None:
    settings.BGTASKS = {"KEEP": {"successful": 0}}
    make_history(2, 1)
    make_history(2, 1, Status.FAILED, first=10)
    assert claims.prune() == 2
    assert ids() == [10, 11]


def test_a_batch_is_found_by_its_index_without_a_sort() -> None:
    make_history(3000, 10 * DAY)
    make_history(3000, 10 * DAY, Status.FAILED, first=10_001)
    with connection.cursor() as cursor:
        table = "TABLE bgtasks_completedtask" if VENDOR == "mariadb" else "bgtasks_completedtask"
        cursor.execute(f"ANALYZE {table}")
    for beyond in ("", "AND finished_at >= %(reached)s"):
        times = {"before": _stored(2 * DAY), "reached": _stored(30 * DAY)}
        text = plan(OLD.format(outcome=10, beyond=beyond, batch=1000), times)
        assert "bgtasks_completed_outcome" in text, text
        assert not any(word in text for word in ("Sort", "filesort", "TEMP B-TREE")), text


def _stored(age: float) -> Any:
    return connection.ops.adapt_datetimefield_value(ago(age))


def test_by_hand_the_settings_decide_unless_an_age_is_given(settings: Any) -> None:
    settings.BGTASKS = {"KEEP": {"successful": "7d", "failed": None}}
    make_history(3, 20 * DAY)
    make_history(2, 20 * DAY, Status.FAILED, first=10)
    answer = prune.run(given())
    assert answer.text == "pruned 3 successful; kept for ever: failed"
    assert answer.facts["pruned"] == {"successful": 3, "cancelled": 0}
    answer = prune.run(given("--older-than", "14d", "--status", "failed,cancelled", "--batch", "1", "--yes"))
    assert answer.facts == {
        "schema_version": 1, "dry_run": False, "pruned": {"failed": 2, "cancelled": 0}, "interrupted": False,
    }  # fmt: skip
    assert ids() == []
    assert prune.run(given()).text == "pruned nothing; kept for ever: failed"


def test_a_dry_run_counts_and_deletes_nothing() -> None:
    make_history(3, 20 * DAY)
    answer = prune.run(given("--older-than", "14d", "--dry-run"))
    assert answer.text == "would prune 3 successful"
    assert answer.facts["matched"] == {"successful": 3, "failed": 0, "cancelled": 0}
    assert len(ids()) == 3


def test_with_nobody_to_ask_an_age_needs_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    make_history(3, 20 * DAY)
    with pytest.raises(NotDone, match="3 successful would be deleted") as refused:
        prune.run(given("--older-than", "14d"))
    assert refused.value.exit_code == 2
    assert len(ids()) == 3


@pytest.mark.parametrize(("typed", "left"), [("y\n", 0), ("n\n", 3), ("", 3)])
def test_at_a_terminal_it_asks(monkeypatch: pytest.MonkeyPatch, typed: str, left: int) -> None:
    terminal = io.StringIO(typed)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    make_history(3, 20 * DAY)
    if left:
        with pytest.raises(NotDone, match="nothing was deleted"):
            prune.run(given("--older-than", "14d"))
    else:
        prune.run(given("--older-than", "14d"))
    assert len(ids()) == left


def test_an_interrupt_keeps_what_was_deleted_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    make_history(5, 20 * DAY)
    step = Pruning.step

    def interrupted(going: Pruning) -> int:
        signal.raise_signal(signal.SIGINT)
        return step(going)

    monkeypatch.setattr(Pruning, "step", interrupted)
    answer = prune.run(given("--batch", "2"))
    assert (answer.text, answer.exit_code) == ("interrupted; pruned 2 successful", 130)
    assert answer.facts["interrupted"]
    assert ids() == [3, 4, 5]


@pytest.mark.parametrize(
    "wrong", [["--status", "done"], ["--batch", "0"], ["--batch", "1e9"], ["--older-than", "soon"]]
)
def test_wrong_values_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        given(*wrong)
    assert wrong[1] in capsys.readouterr().err


def test_manage_py_has_it_too() -> None:
    make_history(2, 20 * DAY)
    told = io.StringIO()
    call_command("bgtasks", "prune", "--json", stdout=told)
    assert json.loads(told.getvalue())["pruned"]["successful"] == 2
    with pytest.raises(CommandError):
        call_command("bgtasks", "prune", "--batch", "0")
