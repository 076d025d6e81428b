"""The control socket: protocol, limits, and what may lie in its place."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from bgtasksd.connection import Connection, Refused
from bgtasksd.control import CommandError, ControlError, ControlServer
from bgtasksd.control.client import LONGEST_PARTIAL, LONGEST_REQUEST
from bgtasksd.control.server import MOST_CLIENTS
from tests.bgtasksd.serving import Commands, served
from tests.waiting import wait_until

PING = b'{"v": 1, "id": 7, "cmd": "ping"}\n'


def refuse(request: dict[str, Any]) -> dict[str, Any]:
    raise CommandError("not now")


def fail(request: dict[str, Any]) -> dict[str, Any]:
    raise KeyError("inside")


COMMANDS: Commands = {
    "ping": lambda request: {"pid": os.getpid()},
    "status": lambda request: {"text": "x" * 3000},
    "stop": lambda request: {"now": request.get("now"), "change": 1},
    "refuse": refuse,
    "fail": fail,
    "huge": lambda request: {"text": "x" * 2_000_000},
}


@pytest.fixture
def loop(tmp_path):
    with served(tmp_path, COMMANDS) as loop:
        yield loop


@contextlib.contextmanager
def connected(directory: Path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(directory / "control.sock"))
        client.settimeout(20)
        yield client


def ask(directory: Path, request: bytes) -> dict[str, Any]:
    with connected(directory) as client:
        client.sendall(request)
        return answer(client)


def answer(client: socket.socket) -> dict[str, Any]:
    with client.makefile("rb") as stream:
        line = stream.readline()
    found: dict[str, Any] = json.loads(line)
    return found


def is_cut(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def has_room(directory: Path) -> bool:
    with contextlib.suppress(Refused), Connection(directory) as connection:
        return bool(connection.ask("ping"))
    return False


def test_an_answer_carries_version_and_id(tmp_path, loop) -> None:
    assert ask(tmp_path, PING) == {"v": 1, "id": 7, "ok": True, "data": {"pid": os.getpid()}}


def test_arguments_reach_the_command(tmp_path, loop) -> None:
    assert ask(tmp_path, b'{"v": 1, "cmd": "stop", "now": true}\n')["data"]["now"] is True


def test_one_connection_may_ask_many_times_and_in_pieces(tmp_path, loop) -> None:
    with connected(tmp_path) as client, client.makefile("rb") as stream:
        client.sendall(PING * 50 + PING[:10])
        assert [json.loads(stream.readline())["id"] for _ in range(50)] == [7] * 50
        client.sendall(PING[10:])
        assert json.loads(stream.readline())["ok"]


@pytest.mark.parametrize(
    ("request_line", "said"),
    [
        (b"garbage\n", "JSON"),
        (b"\xff\xfe\n", "JSON"),
        (b"[" * 60000 + b"\n", "JSON"),
        (b"[1]\n", "object"),
        (b'{"cmd": "ping"}\n', "version"),
        (b'{"v": 2, "cmd": "ping"}\n', "version"),
        (b'{"v": 1, "cmd": "pnig"}\n', "did you mean 'ping'"),
        (b'{"v": 1, "cmd": ["ping"]}\n', "unknown command"),
        (b'{"v": 1, "cmd": "__class__"}\n', "unknown command"),
        (b'{"v": 1, "cmd": "refuse"}\n', "not now"),
        (b'{"v": 1, "cmd": "fail"}\n', "log has the traceback"),
    ],
)
def test_f73_what_is_not_understood_gets_an_error_and_the_next_client_an_answer(
    tmp_path, loop, request_line, said
) -> None:
    refused = ask(tmp_path, request_line)
    assert refused["ok"] is False
    assert said in refused["error"]
    assert ask(tmp_path, PING)["ok"]


def test_f73_a_request_beyond_the_limit_is_refused_and_the_client_cut(tmp_path, loop) -> None:
    with connected(tmp_path) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(b"x" * (LONGEST_REQUEST * 4))
        with contextlib.suppress(ConnectionError):
            assert "bytes" in answer(client)["error"]
        assert is_cut(client)
    assert ask(tmp_path, PING)["ok"]


def test_f73_an_endless_stream_never_holds_the_loop(tmp_path, loop) -> None:
    with connected(tmp_path) as client, contextlib.suppress(ConnectionError):
        for _ in range(1000):
            client.sendall(b"x" * 1_000_000)
    assert ask(tmp_path, PING)["ok"]
    assert loop.longest_turn < 0.5


def test_f73_a_partial_request_is_cut_after_its_time_and_a_silent_client_is_not(tmp_path, loop) -> None:
    with connected(tmp_path) as partial, connected(tmp_path) as silent:
        began = time.monotonic()
        partial.sendall(PING[:5])
        assert is_cut(partial)
        assert time.monotonic() - began >= LONGEST_PARTIAL - 0.1
        silent.sendall(PING)
        assert answer(silent)["ok"]


def test_f73_a_client_that_never_reads_is_cut(tmp_path, loop) -> None:
    with connected(tmp_path) as client:
        client.sendall(b'{"v": 1, "cmd": "status"}\n' * 400)
        assert ask(tmp_path, PING)["ok"]
        wait_until(lambda: loop.clients == 0, within=LONGEST_PARTIAL + 10, what="cut")


def test_f73_more_waiting_output_than_allowed_is_cut(tmp_path, loop) -> None:
    with connected(tmp_path) as client:
        client.sendall(b'{"v": 1, "cmd": "huge"}\n')
        assert is_cut(client)
    assert ask(tmp_path, PING)["ok"]


def test_f73_a_thousand_connections_leave_room_for_a_question(tmp_path, loop) -> None:
    clients = []
    for _ in range(1000):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(tmp_path / "control.sock"))
        clients.append(client)
    try:
        assert ask(tmp_path, PING)["ok"]
        assert loop.clients <= MOST_CLIENTS
    finally:
        for client in clients:
            client.close()
    wait_until(lambda: loop.clients == 0, what="all gone")


def test_clients_that_have_asked_are_not_driven_out(tmp_path, loop) -> None:
    with contextlib.ExitStack() as stack:
        asking = [stack.enter_context(connected(tmp_path)) for _ in range(MOST_CLIENTS)]
        for client in asking:
            client.sendall(PING)
            assert answer(client)["ok"]
        late = stack.enter_context(connected(tmp_path))
        assert "32 clients already; try again" in answer(late)["error"]
        assert is_cut(late)
        with Connection(tmp_path) as refused, pytest.raises(Refused, match="try again"):
            refused.ask("ping")
        asking[0].sendall(PING)
        assert answer(asking[0])["ok"]


def test_who_does_not_read_makes_room_for_the_next_one_and_who_does_is_not_driven_out(tmp_path, loop) -> None:
    with contextlib.ExitStack() as stack:
        deaf, *asking = [stack.enter_context(connected(tmp_path)) for _ in range(MOST_CLIENTS)]
        deaf.sendall(b'{"v": 1, "cmd": "status"}\n' * 200)
        for client in asking:
            client.sendall(PING)
            assert answer(client)["ok"]
        wait_until(lambda: has_room(tmp_path), what="room")
        assert loop.clients <= MOST_CLIENTS
        for client in asking:
            client.sendall(PING)
            assert answer(client)["ok"]


def test_who_waits_for_a_change_hears_of_it_and_of_no_other(tmp_path) -> None:
    with served(tmp_path, COMMANDS) as loop, connected(tmp_path) as client, client.makefile("rb") as stream:
        client.sendall(b'{"v": 1, "cmd": "stop", "wait": true}\n')
        assert json.loads(stream.readline())["ok"]
        loop.todo.put(lambda: loop.server.tell(2, ok=True, data={"given_back": 1}))
        loop.todo.put(lambda: loop.server.tell(1, ok=True, data={"given_back": 2}))
        assert json.loads(stream.readline())["data"] == {"given_back": 2}


def test_the_socket_is_ours_alone_from_its_first_instant_and_removed_at_the_end(tmp_path) -> None:
    with served(tmp_path, COMMANDS):
        assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o600
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bgtasksd.lock", "control.sock"]
    assert not (tmp_path / "control.sock").exists()


def test_left_over_socket_file_and_link_are_replaced(tmp_path) -> None:
    for left in ("socket", "file", "link"):
        place = tmp_path / left
        place.mkdir()
        path = place / "control.sock"
        if left == "socket":
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(path))
        elif left == "file":
            path.write_text("what")
        else:
            (place / "target").write_text("precious")
            path.symlink_to(place / "target")
        with served(place, COMMANDS):
            assert ask(place, PING)["ok"]
    assert (tmp_path / "link" / "target").read_text() == "precious"


def test_a_directory_in_the_place_of_the_socket_is_refused(tmp_path) -> None:
    (tmp_path / "control.sock").mkdir()
    with pytest.raises(ControlError, match="no control socket"):
        ControlServer(tmp_path).open()
    assert [path.name for path in tmp_path.iterdir()] == ["control.sock"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_belongs_to_somebody_else_is_refused(tmp_path) -> None:
    (tmp_path / "control.sock").touch()
    os.chown(tmp_path / "control.sock", 65534, 65534)
    with pytest.raises(ControlError, match="uid 65534"):
        ControlServer(tmp_path).open()


def test_a_removed_socket_is_noticed_and_can_be_made_again(tmp_path) -> None:
    server = ControlServer(tmp_path, COMMANDS)
    server.open()
    assert server.is_in_place()
    (tmp_path / "control.sock").unlink()
    assert not server.is_in_place()
    server.close()
    server.open()
    assert server.is_in_place()
    server.close()


def test_a_removed_socket_is_made_again_under_the_clients_that_are_connected(tmp_path, loop) -> None:
    with connected(tmp_path) as early:
        early.sendall(PING)
        assert answer(early)["ok"]
        before = len(list(Path("/proc/self/fd").iterdir()))
        (tmp_path / "control.sock").unlink()
        loop.todo.put(loop.server.open_again)
        wait_until(loop.server.is_in_place)
        wait_until(lambda: len(list(Path("/proc/self/fd").iterdir())) == before)
        assert ask(tmp_path, PING)["ok"]
        early.sendall(PING)
        assert answer(early)["ok"]
    assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o600


def test_a_socket_that_cannot_be_made_again_leaves_the_old_one_at_work(tmp_path, loop) -> None:
    with connected(tmp_path) as early:
        (tmp_path / "control.sock").unlink()
        (tmp_path / "control.sock").mkdir()
        with pytest.raises(ControlError):
            loop.server.open_again()
        early.sendall(PING)
        assert answer(early)["ok"]


def test_a_spare_that_was_lost_for_want_of_descriptors_is_none_that_children_close(tmp_path):
    server = ControlServer(tmp_path, COMMANDS)
    server.open()
    server._listener.spare.close()
    (listening,) = server.sockets
    assert listening.fileno() >= 0
    server.close()
