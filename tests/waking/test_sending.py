"""What enqueuing sends, when, and to whom; that nothing in its way is felt by the caller."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.test import override_settings

from bgtasks import waking
from bgtasks.queue import claims
from bgtasks.queue.types import Holder
from bgtasks.waking import sending
from bgtasksd.supervisor import wake_socket
from tests.lifecycle import tasks

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parent.parent.parent


class Listener:
    """A wake socket in a directory."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))

    def heard(self) -> list[str]:
        """Return the datagrams that have come, without their marks."""
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode().partition(" ")[2])
            except BlockingIOError:
                return found


@pytest.fixture
def place(tmp_path, look_in):
    look_in(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def listener(place):
    listener = Listener(place / "wake.sock")
    yield listener
    listener.socket.close()


def test_one_notice_for_a_transaction_however_many_rows(listener):
    with transaction.atomic():
        for number in range(20):
            tasks.quick.enqueue(number)
            transaction.on_commit(lambda: None)
        assert listener.heard() == []
    assert listener.heard() == ["ready default"]


def enqueue_and_fail() -> None:
    tasks.quick.enqueue(1)
    raise ZeroDivisionError


def test_a_rollback_wakes_nobody(listener):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        enqueue_and_fail()
    assert listener.heard() == []


def test_what_is_enqueued_beside_a_rolled_back_savepoint_still_wakes(listener):
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            enqueue_and_fail()
        tasks.quick.enqueue(2)
    assert listener.heard() == ["ready default"]


def test_a_savepoint_for_each_row_makes_no_notice_for_each(listener):
    with transaction.atomic():
        for number in range(5):
            with transaction.atomic():
                tasks.quick.enqueue(number)
    assert listener.heard() == ["ready default"]


def test_several_queues_are_named_and_many_are_not(listener):
    with transaction.atomic():
        for queue in ("mail", "sms"):
            tasks.quick.using(queue=queue).enqueue(1)
    assert listener.heard() == ["ready mail", "ready sms"]
    with transaction.atomic():
        for number in range(9):
            tasks.quick.using(queue=f"queue{number}").enqueue(1)
    assert listener.heard() == ["ready "]


def test_the_longest_name_of_a_queue_arrives_whole(listener):
    name = "\N{GRINNING FACE}" * 190
    waking.ready(connection, name)
    assert listener.heard() == [f"ready {name}"]
    longest = f"{sending.sender.mark()}000000 ready {name}".encode()
    assert waking.receiving.LARGEST == wake_socket.LARGEST > len(longest)


def test_a_scheduled_task_tells_when_it_is_due(listener):
    with transaction.atomic():
        tasks.quick.using(run_at=timedelta(hours=2)).enqueue(1)
        tasks.quick.using(run_at=timedelta(hours=1)).enqueue(2)
    [heard] = listener.heard()
    assert heard.startswith("scheduled ")
    assert 3500 < float(heard.split()[1]) <= 3600


def test_whatever_makes_something_ready_wakes(listener):
    task = tasks.quick.enqueue(1)
    assert listener.heard() == ["ready default"]
    claims.cancel(task.id)
    assert listener.heard() == []
    claims.retry([task.id])
    assert listener.heard() == ["ready "]
    claims.cancel(task.id)
    later = tasks.quick.using(run_at=timedelta(hours=1)).enqueue(1)
    listener.heard()
    claims.run_now([later.id])
    assert listener.heard() == ["ready "]
    [claim] = claims.turn([], 1, Holder("host:test:1:nonce", lease=60)).claims
    assert listener.heard() == []
    claims.give_back([claim], worker="host:test:1:nonce")
    assert listener.heard() == ["ready "]


def test_a_task_that_is_made_due_by_maintenance_wakes(listener):
    with connection.cursor() as cursor:
        task = tasks.quick.using(run_at=timedelta(hours=1)).enqueue(1)
        past = connection.ops.adapt_datetimefield_value(task.run_at - timedelta(hours=2))
        cursor.execute("UPDATE bgtasks_task SET run_at = %s", [past])
    listener.heard()
    assert claims.stage() == 1
    assert listener.heard() == ["ready "]


def test_many_at_once_wake_once(listener):
    tasks.quick.enqueue_many([((number,), {}) for number in range(50)])
    assert listener.heard() == ["ready default"]


def test_with_waking_off_nothing_is_sent(listener):
    with override_settings(BGTASKS={"WAKE": False}):
        tasks.quick.enqueue(1)
    assert listener.heard() == []


def test_without_autocommit_nobody_is_woken_and_nothing_fails(listener):
    transaction.set_autocommit(False)
    try:
        tasks.quick.enqueue(1)
        transaction.commit()
    finally:
        transaction.set_autocommit(True)
    assert listener.heard() == []


def test_instances_and_stand_alone_workers_are_found_and_what_is_none_of_them_is_not(place, listener, monkeypatch):
    others = [Listener(place / "shop" / "wake.sock"), Listener(place / "wake-123.sock")]
    monkeypatch.setattr(sending.sender, "more", (place / "shop",))  # as a worker of that daemon has it: heard once
    strangers = [Listener(place / "control.sock"), Listener(place / "a" / "b" / "wake.sock")]
    sending.sender._listed_at = float("-inf")
    tasks.quick.enqueue(1)
    assert [each.heard() for each in (listener, *others)] == [["ready default"]] * 3
    assert [each.heard() for each in strangers] == [[], []]
    for each in (*others, *strangers):
        each.socket.close()


def test_a_new_daemon_is_found_while_the_directory_is_not_read_each_time(place, monkeypatch):
    read = []
    really = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: read.append(path) or really(path))
    for number in range(20):
        tasks.quick.enqueue(number)
    assert len(read) <= 2
    monkeypatch.setattr(sending, "LISTED_FOR", 0.0)
    listener = Listener(place / "wake.sock")
    tasks.quick.enqueue(1)
    assert listener.heard() == ["ready default"]
    listener.socket.close()


def test_a_full_socket_does_not_hold_the_caller(listener):
    for number in range(600):
        waking.ready(connection, f"queue{number}")
    assert listener.heard()[0] == "ready queue0"


def test_a_socket_whose_owner_is_gone_is_passed_over(place, listener):
    gone = Listener(place / "wake-1.sock")
    gone.socket.close()
    sending.sender._listed_at = float("-inf")
    tasks.quick.enqueue(1)
    assert listener.heard() == ["ready default"]
    assert sending.sender.addresses == (str(place / "wake.sock"),)


def test_workers_of_one_number_are_all_told(place):
    """As in containers that share the directory: there everybody is number 1."""
    one, two = waking.OwnSocket(), waking.OwnSocket()
    tasks.quick.enqueue(1)
    assert [[notice.queue for notice in each.heard()] for each in (one, two)] == [["default"]] * 2
    one.close()
    assert list(place.iterdir()) == [two.path]
    two.close()
    assert not list(place.iterdir())


def test_a_missing_directory_is_no_trouble(place):
    tasks.quick.enqueue(1)
    assert sending.sender.addresses == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize(("directory", "socket_mode"), [(0o700, 0o777), (0o755, 0o600)])
def test_a_socket_of_somebody_else_is_no_trouble(tmp_path, directory, socket_mode):
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.geteuid() and parent != Path(parent.root):
            parent.chmod(parent.stat().st_mode | 0o055)
    tmp_path.chmod(0o755)
    listener = Listener(tmp_path / "run" / "wake.sock")
    (tmp_path / "run" / "wake.sock").chmod(socket_mode)
    (tmp_path / "run").chmod(directory)
    code = """
import os
from bgtasks.waking.sending import sender
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sender.send("1 ready default")
print(sender.addresses)
"""
    environ = {"PYTHONPATH": str(ROOT), "BGTASKSD_RUNTIME_DIR": str(tmp_path / "run")}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "()", "")
    assert listener.heard() == []
    listener.socket.close()


def test_a_forked_process_has_a_socket_and_marks_of_its_own(place):
    listener = Listener(place / "wake.sock")
    code = """
import os
from bgtasks.waking.sending import sender
sender.send(sender.mark() + " ready parent")
descriptor = sender._socket.fileno()
if os.fork() == 0:
    os.close(descriptor)  # as who becomes a daemon does
    replaced = os.open("/dev/null", os.O_RDONLY)
    assert replaced == descriptor
    sender.send(sender.mark() + " ready child")
    os.fstat(replaced)
    os._exit(0)
assert os.wait()[1] == 0
sender.send(sender.mark() + " ready parent")
"""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)
    marks = [listener.socket.recv(512).decode().split() for _ in range(3)]
    assert [queue for _, _, queue in marks] == ["parent", "child", "parent"]
    prefixes = [mark.partition("-")[0] for mark, _, _ in marks]
    assert prefixes[0] == prefixes[2] != prefixes[1]
    listener.socket.close()


def test_who_has_sent_and_ends_leaves_no_warning(listener):
    code = """
from bgtasks.waking.sending import sender
sender.send(sender.mark() + " ready first")
"""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-X", "dev", "-c", code]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert listener.heard() == ["ready first"]


def test_a_notice_is_read_as_it_was_written_and_garbage_is_none():
    for notice in (
        waking.Notice("m-1", "ready", queue="with blanks"),
        waking.Notice("m-2", "scheduled", seconds=1.5),
        waking.Notice("m-3", "awaited", seconds=15),
        waking.Notice("m-4", "over", ids=(17, 18)),
    ):
        assert waking.parse(str(notice)) == notice
    for garbage in ("", "ready", "1 ready", "x y z", "1 scheduled soon", "1 scheduled -1", "1 scheduled nan", "\0\xff"):
        found = waking.parse(garbage)
        assert found is None or found.kind == "ready", garbage
