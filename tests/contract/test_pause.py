"""Pausing queues and letting them go on: who, since when, until when, why; and who may not start meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from bgtasks import figures, queues
from bgtasks.exceptions import UnknownQueue
from bgtasks.models import Queue
from bgtasks.queue import claims
from tests.contract.making import claim, enqueued, holder, names
from tests.waiting import wait_until


def paused() -> set[str]:
    return {each["name"] for each in figures.queue_figures() if each["paused"]}


def filled(*names: str) -> None:
    for name in names:
        enqueued(name, queue=name)


def test_a_paused_queue_gives_nothing_and_the_others_go_on() -> None:
    filled("mail", "sms")
    queues.pause("mail")
    assert names(claim(9)) == ["sms"]
    assert claim(9, holder(queues=("mail",))) == []
    assert [row.name for row in queues.resume("mail")] == ["mail"]
    assert names(claim(9)) == ["mail"]


def test_who_since_when_until_when_and_why_are_told() -> None:
    filled("mail")
    before = claims.database_now().replace(microsecond=0)
    (row,) = queues.pause("mail", for_=timedelta(minutes=30), reason="migration", by="ana")
    assert (row.paused_by, row.pause_reason) == ("ana", "migration")
    assert row.paused_until - row.paused_at == timedelta(minutes=30)
    assert before <= row.paused_at <= claims.database_now()
    (told,) = figures.queue_figures()
    assert told["paused"] is True
    assert (told["pause"]["by"], told["pause"]["reason"]) == ("ana", "migration")
    assert told["pause"]["since"] < told["pause"]["until"]
    queues.resume("mail")
    (told,) = figures.queue_figures()
    assert (told["paused"], told["pause"]) == (False, None)


def test_a_pause_with_an_end_ends_by_itself() -> None:
    filled("mail")
    queues.pause("mail", for_=1)
    assert claim(1) == []
    found = wait_until(lambda: claim(1), within=30)
    row = Queue.objects.get()
    assert found[0].locked_at >= row.paused_until
    assert paused() == set()
    assert queues.resume("mail") == []


def test_a_second_pause_changes_end_and_reason_but_not_since_when() -> None:
    filled("mail")
    (first,) = queues.pause("mail", for_="1h", reason="a", by="ana")
    (second,) = queues.pause("mail", reason="b", by="bob")
    assert (second.paused_at, second.paused_until) == (first.paused_at, None)
    assert (second.paused_by, second.pause_reason) == ("bob", "b")


def test_a_pause_after_one_that_has_ended_begins_anew() -> None:
    filled("mail")
    (first,) = queues.pause("mail", for_=0.001)
    wait_until(lambda: claims.database_now() > first.paused_until)
    (second,) = queues.pause("mail")
    assert second.paused_at >= first.paused_until


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("mail*",), {"mail", "mail-bulk"}),
        (("mail*", "!mail-bulk"), {"mail"}),
        (("!sms",), {"mail", "mail-bulk", "slow"}),
        (("*",), {"mail", "mail-bulk", "slow", "sms"}),
        (("mail, sms",), {"mail", "sms"}),
        (("sms", "mail-*"), {"sms", "mail-bulk"}),
    ],
)
def test_patterns_pause_the_queues_there_are(given: tuple[str, ...], expected: set[str]) -> None:
    filled("mail", "mail-bulk", "sms", "slow")
    assert {row.name for row in queues.pause(*given)} == paused() == expected
    assert {row.name for row in queues.resume("*")} == expected
    assert paused() == set()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("mial",), "there is no queue 'mial'; did you mean 'mail'?"),
        (("mail", "zzz"), "there is no queue 'zzz'; there are: mail, sms"),
        (("*", "!smss"), "there is no queue 'smss'; did you mean 'sms'?"),
        (("x*",), "no queue begins with 'x'; there are: mail, sms"),
        (("mail*", "x*"), "no queue begins with 'x'; there are: mail, sms"),
    ],
)
def test_a_name_without_a_queue_is_refused_and_nothing_is_changed(given: tuple[str, ...], said: str) -> None:
    filled("mail", "sms")
    for order in (queues.pause, queues.resume):
        with pytest.raises(UnknownQueue) as refused:
            order(*given)
        assert str(refused.value) == said
    assert paused() == set()
    queues.pause("*")
    with pytest.raises(UnknownQueue):
        queues.resume(*given)
    assert paused() == {"mail", "sms"}


def test_without_any_queue_that_is_said() -> None:
    with pytest.raises(UnknownQueue, match="no queue is left; no task was enqueued yet"):
        queues.pause("*")


def test_a_queue_can_be_paused_before_its_first_task() -> None:
    queues.pause("reports", new=True)
    filled("reports")
    assert claim(1) == []
    assert claim(1, holder(queues=("reports",))) == []


@pytest.mark.parametrize("length", [0, -1, "soon", timedelta(days=99999), True])
def test_what_is_no_length_of_a_pause_is_refused(length: object) -> None:
    filled("mail")
    with pytest.raises(ValueError, match="is no"):
        queues.pause("mail", for_=length)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at most 255"):
        queues.pause("mail", reason="x" * 256)
    assert paused() == set()


def test_a_pause_takes_part_in_the_callers_transaction() -> None:
    filled("mail")
    with transaction.atomic():
        queues.pause("mail")
        transaction.set_rollback(True)
    assert paused() == set()


def test_what_runs_when_its_queue_is_paused_is_settled_as_always() -> None:
    from tests.contract.making import completed, settle, success

    filled("mail")
    (running,) = claim(1)
    queues.pause("mail")
    assert settle(success(running)) == []
    assert completed(running.task_id).queue == "mail"
