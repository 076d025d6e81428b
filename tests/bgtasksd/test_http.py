"""`--http`: what probes and Prometheus get, and what visitors who misbehave do not."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager
from typing import Any

import pytest

from bgtasksd.control import ControlError, HttpServer
from bgtasksd.control.http import LONGEST_REQUEST, MOST_VISITORS
from bgtasksd.options import address_parts
from tests.bgtasksd.example import status_facts
from tests.bgtasksd.serving import Loop
from tests.waiting import wait_until


@pytest.fixture
def facts():
    return status_facts()


@pytest.fixture
def loop(facts):
    server = HttpServer("0")
    server.commands = {"status": lambda request: facts, "metrics": lambda request: {"text": "up 1\n"}}
    server.open()
    loop = Loop(server)  # type: ignore[arg-type]
    thread = threading.Thread(target=loop.run)
    thread.start()
    yield loop
    loop.is_over = True
    thread.join()
    server.close()
    loop.selector.close()


@contextmanager
def visiting(loop):
    with socket.create_connection(("127.0.0.1", loop.server.port), timeout=20) as connection:
        yield connection


def send(loop, request: bytes) -> tuple[int, str, str]:
    """Return status, head and body of the answer."""
    with visiting(loop) as connection, connection.makefile("rb") as stream:
        connection.sendall(request)
        head, _, body = stream.read().decode().partition("\r\n\r\n")
    return int(head.split()[1]), head, body


def get(loop, path: str) -> tuple[int, str, str]:
    return send(loop, f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())


def test_every_page(loop, facts) -> None:
    assert get(loop, "/livez")[::2] == (200, "ok\n")
    assert get(loop, "/readyz")[::2] == (200, "ok\n")
    status, head, body = get(loop, "/metrics?name=x")
    assert (status, body) == (200, "up 1\n")
    assert "version=0.0.4" in head
    assert json.loads(get(loop, "/status.json")[2]) == facts


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"state": "stopping"}, "it is stopping"),
        ({"problems": [{"code": "database_unreachable", "severity": "error"}]}, "database"),
        ({"workers": []}, "no worker is up"),
    ],
)
def test_who_takes_no_tasks_is_alive_and_not_ready(loop, facts, change: dict[str, Any], said: str) -> None:
    facts.update(change)
    status, _, body = get(loop, "/readyz")
    assert status == 503
    assert said in body
    assert get(loop, "/livez")[0] == 200


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"POST /livez HTTP/1.1\r\n\r\n", 405),
        (b"GET /control HTTP/1.1\r\n\r\n", 404),
        (b"GET /../../etc/passwd HTTP/1.0\r\n\r\n", 404),
        (b'{"v": 1, "cmd": "stop"}\r\n\r\n', 400),
        (b"\x16\x03\x01\x00\xff\r\n\r\n", 400),
        (b"GET /" + b"x" * LONGEST_REQUEST, 400),
    ],
)
def test_whatever_else_is_asked_is_refused_and_the_next_visitor_answered(loop, request_text, status) -> None:
    assert send(loop, request_text)[0] == status
    assert get(loop, "/livez")[0] == 200


def test_a_page_that_fails_is_an_error_of_the_server(loop) -> None:
    def fail(request):
        raise KeyError("inside")

    loop.server.commands["status"] = fail
    assert get(loop, "/status.json")[0] == 500
    assert get(loop, "/livez")[0] == 200


def test_visitors_who_say_nothing_are_bounded_parted_from_and_hold_nobody(loop) -> None:
    silent = [socket.create_connection(("127.0.0.1", loop.server.port), timeout=20) for _ in range(MOST_VISITORS)]
    wait_until(lambda: len(loop.server.sockets) == 1 + MOST_VISITORS, within=20)
    assert get(loop, "/livez")[0] == 200, "who came first made room"
    assert silent[0].recv(1) == b""
    began = time.monotonic()
    wait_until(lambda: len(loop.server.sockets) == 1, within=20)
    assert time.monotonic() - began < 15
    assert get(loop, "/livez")[0] == 200
    assert loop.longest_turn < 1
    for each in silent:
        each.close()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("9808", ("127.0.0.1", 9808)),
        (":9808", ("127.0.0.1", 9808)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:9808", ("::1", 9808)),
    ],
)
def test_an_address_is_the_loopbacks_unless_told_otherwise(text, meant) -> None:
    assert address_parts(text) == meant


@pytest.mark.parametrize("text", ["", "here", "here:", "::1", "1:99999", "1:-1"])
def test_what_is_no_address_is_refused(text) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        address_parts(text)


def test_a_port_in_use_is_said(loop) -> None:
    with pytest.raises(ControlError, match="in use"):
        HttpServer(f"127.0.0.1:{loop.server.port}").open()
