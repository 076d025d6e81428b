"""What the connection that listens hears: all that is told from the moment on at which it says that it listens."""

from __future__ import annotations

import threading

import pytest
from django.db import connection
from django.test import override_settings

from bgtasks.queue import claims
from bgtasks.queue.notifying import CHANNEL, notify
from bgtasks.waking import READY, Notice
from tests.hosts import listening, proxy
from tests.settings import VENDOR
from tests.waiting import wait_until

if VENDOR != "postgres":
    pytest.skip("only PostgreSQL tells other hosts", allow_module_level=True)

__all__ = ["proxy"]
SLOW_MACHINE = 30.0


@pytest.fixture
def listener(proxy):
    """A listener that reaches its database through the proxy."""
    with override_settings(BGTASKS={"LISTEN": {"HOST": "127.0.0.1", "PORT": proxy.port}}):
        listener = claims.listener()
        yield listener
        listener.close()


def test_what_comes_with_the_answer_to_listen_is_heard(listener, proxy):
    def tell_before_the_answer():
        wait_until(lambda: listening() == 1, SLOW_MACHINE, "a server that knows who listens")
        notify(connection, str(Notice("1", READY, queue="mail")))
        connection.close()
        proxy.open()  # now the answer and the notification come at once

    proxy.last_words = f"LISTEN {CHANNEL}".encode()
    telling = threading.Thread(target=tell_before_the_answer)
    telling.start()
    assert listener.open_if_due()
    telling.join(SLOW_MACHINE)
    heard = wait_until(listener.heard, SLOW_MACHINE, "what was told")
    assert [(notice.kind, notice.queue) for notice in heard] == [(READY, "mail")]


def test_it_says_once_that_nothing_was_heard_before(listener, proxy):
    assert listener.open_if_due()
    assert not listener.open_if_due()
    proxy.cut()
    wait_until(lambda: not listener.heard() and listener.fileno() is None, SLOW_MACHINE, "a broken connection")
    listener.retry_at = 0.0
    assert not listener.open_if_due()
    proxy.open()
    listener.retry_at = 0.0
    assert listener.open_if_due()
    assert not listener.heard()
