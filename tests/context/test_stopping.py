"""`should_stop` in real workers: true soon after a stop, a cancel or a time limit, whoever runs the task."""

from __future__ import annotations

import signal

import pytest

from bgtasks.models import CompletedTask, Status
from tests.context import tasks
from tests.daemon import SLOW_MACHINE
from tests.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


def statuses() -> list[int]:
    return sorted(CompletedTask.objects.values_list("outcome", flat=True))


def test_tasks_that_listen_end_well_when_the_daemon_stops(make_daemon):
    daemon = make_daemon(workers=3, DRAIN_TIMEOUT=600)
    daemon.start()
    tasks.attentive.enqueue()
    tasks.attentive_coroutine.enqueue()
    tasks.with_a_thread.enqueue()
    wait_until(lambda: len(daemon.ledger("started")) == 3, SLOW_MACHINE)
    assert daemon.ledger("stopped") == []
    assert daemon.end() == 0
    assert len(daemon.ledger("stopped")) == 3
    assert statuses() == [Status.SUCCESSFUL] * 3


def test_the_thread_of_a_cancelled_coroutine_hears_of_it(make_daemon):
    daemon = make_daemon(workers=1)
    daemon.start()
    task = tasks.with_a_thread.enqueue()
    wait_until(lambda: daemon.ledger("started"), SLOW_MACHINE)
    assert task.cancel()
    wait_until(lambda: daemon.ledger("stopped"), SLOW_MACHINE)
    wait_until(lambda: statuses() == [Status.CANCELLED], SLOW_MACHINE)


def test_a_time_limit_is_heard_of_too(make_daemon):
    daemon = make_daemon(workers=1)
    daemon.start()
    tasks.with_a_thread.using(max_run_time=1, max_attempts=1).enqueue()
    wait_until(lambda: daemon.ledger("stopped"), SLOW_MACHINE)
    wait_until(lambda: statuses() == [Status.FAILED], SLOW_MACHINE)


def test_a_foreground_worker_tells_its_task_that_it_is_to_leave(make_foreground):
    process = make_foreground().start()
    tasks.attentive.enqueue()
    process.wait_for("started")
    process.send(signal.SIGTERM)
    process.wait_for("stopped")
    assert process.ended() == 0
    assert statuses() == [Status.SUCCESSFUL]


def test_every_attempt_has_the_headers_of_the_row(make_daemon):
    daemon = make_daemon(workers=1)
    daemon.start()
    headers = {"request-id": "a1", "depth": [1, {"two": None}]}
    tasks.tell_headers.using(headers=headers).enqueue()
    wait_until(lambda: statuses() == [Status.SUCCESSFUL], SLOW_MACHINE)
    assert [(each["attempt"], each["headers"]) for each in daemon.ledger("headers")] == [
        (1, headers),
        (2, headers),
        (3, headers),
    ]
