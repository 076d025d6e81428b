"""The notify protocol, spoken to a real datagram socket."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Iterator

import pytest

from bgtasksd.systemd import Notifier
from tests.waiting import wait_until


@pytest.fixture(params=["path", "abstract"])
def listener(request, tmp_path) -> Iterator[tuple[str, socket.socket]]:
    """Return what stands in NOTIFY_SOCKET, and the socket behind it."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@bgtasksd-test-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address.replace("@", "\0"))
        listening.settimeout(10)
        yield address, listening


def heard(listening: socket.socket) -> list[str]:
    return listening.recv(4096).decode().split("\n")


def test_every_message_in_its_words(listener) -> None:
    address, listening = listener
    notifier = Notifier(address)
    notifier.ready("4 workers")
    assert heard(listening) == ["READY=1", "STATUS=4 workers"]
    notifier.status("4 workers")
    notifier.status("4 workers,\n2 busy")
    assert heard(listening) == ["STATUS=4 workers, 2 busy"], "only what has changed is said, on one line"
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    first, second = heard(listening)
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    notifier.extend(30)
    assert heard(listening) == ["EXTEND_TIMEOUT_USEC=30000000"]
    notifier.stopping("draining")
    assert heard(listening) == ["STOPPING=1", "STATUS=draining"]


def test_the_environment_is_read_once_and_not_left_to_children(listener) -> None:
    address, listening = listener
    environ = {
        "NOTIFY_SOCKET": address,
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": str(os.getpid()),
        "LISTEN_FDS": "1",
        "LISTEN_PID": "1",
        "HOME": "/root",
    }
    notifier = Notifier.from_environment(environ)
    assert environ == {"HOME": "/root"}
    assert notifier.watchdog_interval == 5.0
    notifier.ready()
    assert heard(listening) == ["READY=1"]


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_pinged_three_times_as_often_as_it_asks(environ, interval) -> None:
    assert Notifier.from_environment(dict(environ)).watchdog_interval == interval


def test_the_watchdog_hears_of_turns_no_more_often_than_it_needs(listener) -> None:
    address, listening = listener
    notifier = Notifier(address, watchdog_interval=0.05)
    for _ in range(100):
        notifier.watchdog()
    assert heard(listening) == ["WATCHDOG=1"]
    listening.settimeout(0)

    def pinged_again() -> bool:
        notifier.watchdog()
        try:
            return heard(listening) == ["WATCHDOG=1"]
        except BlockingIOError:
            return False

    assert wait_until(pinged_again)


def test_without_systemd_nothing_happens() -> None:
    notifier = Notifier.from_environment({})
    notifier.ready("fine")
    notifier.watchdog()
    notifier.stopping()


def test_a_listener_that_has_gone_or_never_reads_blocks_nothing(tmp_path) -> None:
    Notifier(str(tmp_path / "nobody")).ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        notifier = Notifier(str(tmp_path / "deaf"))
        for turn in range(5000):
            notifier.status(f"turn {turn}")


def test_what_matters_is_said_again_in_its_order_when_systemd_was_too_busy_to_take_it(tmp_path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as busy:
        busy.bind(str(tmp_path / "busy"))
        notifier = Notifier(str(tmp_path / "busy"))
        for turn in range(1000):
            notifier.status(f"turn {turn}")
        notifier.ready()
        notifier.reloading()
        notifier.ready()
        notifier.stopping()
        busy.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while "READY=1" not in heard(busy):
                pass
            pytest.fail("the queue was not full")
        notifier.status("fine")
        messages = [heard(busy) for _ in range(5)]
        assert messages[0] == messages[2] == ["READY=1"]
        assert [line.partition("=")[0] for line in messages[1]] == ["RELOADING", "MONOTONIC_USEC"]
        assert messages[3:] == [["STOPPING=1"], ["STATUS=fine"]]


def test_whoever_waits_for_ready_is_told_once() -> None:
    told: list[str] = []
    notifier = Notifier()
    assert notifier.fileno() is None
    notifier.call_when_ready(lambda: told.append("ready"), 7)
    assert notifier.fileno() == 7
    notifier.ready()
    notifier.ready()
    assert told == ["ready"]
    assert notifier.fileno() is None
