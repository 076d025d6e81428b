"""What is done once before workers are forked: it leaves nothing open, writes nothing, and may fail."""

from __future__ import annotations

import logging
import socket
import time

import pytest
from django.db import connection, connections

from bgtasks.models import Task, WorkerProcess
from bgtasks.queue import claims
from bgtasks.worker.rehearsing import rehearse
from tests.contract.making import enqueued, live
from tests.settings import VENDOR


@pytest.fixture
def troubles(caplog):
    """What kept a rehearsal from its end: it never raises."""
    caplog.set_level(logging.DEBUG, "bgtasks.queue")
    return caplog


def test_a_rehearsal_leaves_no_connection_open_and_no_trace(troubles):
    task = enqueued()
    connection.close()
    before = connections["default"]
    rehearse()
    assert connections["default"] is before
    assert connection.connection is None
    assert live(task.id).attempts == 0
    assert (Task.objects.count(), WorkerProcess.objects.count()) == (1, 0)
    assert troubles.messages == []


@pytest.mark.skipif(VENDOR == "sqlite", reason="there is no server")
def test_a_server_that_does_not_answer_is_given_up_soon(monkeypatch):
    connection.close()
    with socket.create_server(("127.0.0.1", 0)) as silent, monkeypatch.context() as patched:
        patched.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        patched.setitem(connection.settings_dict, "PORT", silent.getsockname()[1])
        patched.setitem(connections.settings, "default", dict(connection.settings_dict))
        begun = time.monotonic()
        claims.rehearse()
        assert 1 < time.monotonic() - begun < 20
    assert enqueued().id


LOCKED_BY_OTHERS = {
    "sqlite": "BEGIN IMMEDIATE",
    "postgres": "BEGIN; LOCK TABLE bgtasks_task",
    "mariadb": "LOCK TABLES bgtasks_task WRITE",
}


def test_a_lock_that_others_hold_is_not_waited_for_long(troubles):
    task, other = enqueued(), connection.copy()
    connection.close()
    try:
        with other.cursor() as cursor:
            cursor.execute(LOCKED_BY_OTHERS[VENDOR])
            begun = time.monotonic()
            claims.rehearse()
            assert time.monotonic() - begun < 18, "the tests' databases wait for 20 s, or for ever"
    finally:
        other.close()
    assert len(troubles.messages) == 1
    claims.rehearse()
    assert len(troubles.messages) == 1
    assert live(task.id).attempts == 0


@pytest.mark.skipif(VENDOR != "postgres", reason="only there")
def test_a_connection_pool_is_left_alone_for_its_threads(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setitem(connection.settings_dict, "OPTIONS", {"pool": True})
        patched.setattr(connections, "create_connection", None)
        claims.rehearse()
