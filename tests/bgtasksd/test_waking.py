"""Whom the supervisor wakes: real pages and lines, and nobody behind them."""

from __future__ import annotations

import signal
import socket
import time
from types import SimpleNamespace

import pytest

from bgtasksd.children import channel
from bgtasksd.children.channel import close_all
from bgtasksd.options import Binding, Options
from bgtasksd.scoreboard import Record, WorkState
from bgtasksd.supervisor import waking
from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.making import make_situation
from bgtasksd.supervisor.states import State
from bgtasksd.supervisor.wake_socket import WakeSocket, read
from bgtasksd.zygote.line import Line
from bgtasksd.zygote.observer import LONGEST_SILENCE, SlotObserver
from tests.bgtasks.claims_for_tests import claim_for
from tests.waiting import wait_until


class Workers:
    """A situation in which every slot has a worker, and the workers' ends of their lines."""

    def __init__(self, runtime_dir, **options) -> None:
        options = {"workers": 3, **options}
        self.situation = make_situation(
            Options(settings="none", root="/", runtime_dir=str(runtime_dir), daemon=False, **options)
        )
        self.ends = []
        for slot in self.situation.slots:
            ours, theirs = channel.pair()
            index = self.situation.board.take()
            page = self.situation.board.page(index)
            name = f"host:one:{slot.number}:0"
            slot.child = Child(slot.number, 1, name, index, page, channel=ours, dump=-1, spawned_at=0.0)
            slot.child.state = State.IDLE
            self.ends.append(theirs)
            self.be(slot.number, WorkState.IDLE, 1)

    def be(self, slot: int, state: WorkState, counter: int) -> None:
        """Write what a worker does into its page."""
        self.situation.slots.all[slot - 1].child.page.write(Record(state, counter))

    def woken(self) -> list[int]:
        """Return the slots whose workers have got a wake since the last time."""
        found = []
        for slot, end in enumerate(self.ends, start=1):
            while end.receive() is not None:
                found.append(slot)
        return found

    def close(self) -> None:
        for slot in self.situation.slots:
            slot.child.channel.close()
        for end in self.ends:
            end.close()


@pytest.fixture
def make(tmp_path):
    made = []

    def make(**options):
        made.append(Workers(tmp_path, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_one_idle_worker_is_woken_and_no_other_until_it_looks(make):
    workers = make()
    waking.wake(workers.situation, ["default"])
    assert workers.woken() == [1]
    waking.wake(workers.situation, ["default", ""])
    assert workers.woken() == []
    workers.be(1, WorkState.IDLE, 2)
    waking.wake(workers.situation, ["default"])
    assert workers.woken() == [1]


def test_another_is_woken_if_the_first_does_not_begin_to_look(make, monkeypatch):
    workers = make()
    waking.wake(workers.situation, ["default"])
    workers.woken()
    workers.situation.slots.all[0].child.woken_at -= waking.PATIENCE
    workers.situation.slots.all[0].child.state = State.DRAINING
    waking.wake(workers.situation, ["default"])
    assert workers.woken() == [2]


def test_who_does_not_answer_is_the_last_choice(make):
    workers = make()
    first = workers.situation.slots.all[0].child
    waking.wake(workers.situation, [""])
    assert workers.woken() == [1]
    for counter in (2, 3):
        first.woken_at -= waking.PATIENCE
        waking.wake(workers.situation, [""])
        assert workers.woken() == [2]
        workers.be(2, WorkState.IDLE, counter)
    workers.be(2, WorkState.BUSY, 4)
    workers.be(3, WorkState.FINISHING, 2)
    waking.wake(workers.situation, [""])
    assert workers.woken() == [3]
    workers.be(3, WorkState.BUSY, 3)
    waking.wake(workers.situation, [""])
    assert workers.woken() == [1]


def test_who_runs_a_task_is_left_alone_and_who_is_about_to_look_is_the_second_choice(make):
    workers = make()
    workers.be(1, WorkState.BUSY, 1)
    workers.be(2, WorkState.FINISHING, 1)
    waking.wake(workers.situation, [""])
    assert workers.woken() == [3]
    workers.be(3, WorkState.BUSY, 2)
    waking.wake(workers.situation, [""])
    assert workers.woken() == [2]
    workers.be(2, WorkState.BUSY, 2)
    waking.wake(workers.situation, [""])
    assert workers.woken() == []


def test_a_worker_with_a_full_batch_wakes_another_than_itself(make):
    workers = make()
    first = workers.situation.slots.all[0].child
    waking.wake(workers.situation, [""], but=first)
    assert workers.woken() == [2]


def test_a_queue_wakes_who_serves_it_and_an_unnamed_one_a_worker_of_each_kind(make):
    bindings = (Binding(("mail",), 1), Binding(("*",), 2))
    workers = make(bindings=bindings)
    workers.situation.serves = lambda patterns, queue: queue in patterns or "*" in patterns
    waking.wake(workers.situation, ["reports"])
    assert workers.woken() == [2]
    workers.be(2, WorkState.IDLE, 2)
    waking.wake(workers.situation, ["mail"])
    assert workers.woken() == [1]
    workers.be(1, WorkState.IDLE, 2)
    waking.wake(workers.situation, [""])
    assert workers.woken() == [1, 2]


def test_what_the_database_tells_once_more_is_heard_once(make, tmp_path):
    workers = make()
    duty = waking.Waking(workers.situation, WakeSocket(str(tmp_path)))
    duty.open()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"mark-1 ready default", str(tmp_path / "wake.sock"))
    duty.hear_other_hosts([("mark-1", "default")])
    assert workers.woken() == [1]
    workers.be(1, WorkState.BUSY, 2)
    duty.hear_other_hosts([("mark-2", "default")])
    assert workers.woken() == [2]
    duty.close()


def test_a_flood_is_taken_together(make, tmp_path):
    workers = make()
    duty = waking.Waking(workers.situation, WakeSocket(str(tmp_path)))
    duty.open()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        turns, until = 0, time.monotonic() + 0.5
        while time.monotonic() < until:
            try:
                sender.sendto(b"mark ready default", str(tmp_path / "wake.sock"))
            except BlockingIOError:
                before = workers.situation.loop.turns
                workers.situation.loop.timers = [duty]
                workers.situation.loop.turn()
                turns += workers.situation.loop.turns - before
    assert turns < 60
    duty.close()


def test_a_notice_leaves_the_duties_to_their_time(make, tmp_path):
    workers, log = make(), []
    loop, duty = workers.situation.loop, waking.Waking(workers.situation, WakeSocket(str(tmp_path)))
    duty.open()
    loop.timers, loop.duties = [duty], [SimpleNamespace(next_at=lambda: None, run=lambda: log.append("duty"))]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for number in range(3):
            sender.sendto(b"mark-%d ready default" % number, str(tmp_path / "wake.sock"))
            loop.turn()
            workers.be(number + 1, WorkState.BUSY, 2)
    assert workers.woken() == [1, 2, 3]
    assert log == ["duty"], "in the first turn"
    duty.close()


def test_notices_far_apart_cost_one_turn_each_and_close_ones_are_followed_by_a_rest(make, tmp_path):
    workers = make()
    duty = waking.Waking(workers.situation, WakeSocket(str(tmp_path)))
    duty.open()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"mark-1 ready default", str(tmp_path / "wake.sock"))
        duty.hear()
        assert duty.next_at() is None
        duty.heard_at = workers.situation.clock.now()
        sender.sendto(b"mark-2 ready default", str(tmp_path / "wake.sock"))
        duty.hear()
        assert duty.next_at() is not None
        wait_until(lambda: duty.run() and duty.next_at() is None)
    duty.close()


def test_where_all_are_busy_the_socket_rests_until_one_of_them_is_free(make, tmp_path):
    workers = make()
    duty = waking.Waking(workers.situation, WakeSocket(str(tmp_path)))
    duty.open()
    pages = [slot.child.page for slot in workers.situation.slots]
    for slot in (1, 2, 3):
        workers.be(slot, WorkState.BUSY, 2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"mark-1 ready default", str(tmp_path / "wake.sock"))
        duty.hear()
        assert duty.next_at() == pytest.approx(workers.situation.clock.now() + waking.FULL_DEAFNESS, abs=0.05)
        assert workers.woken() == []
        sender.sendto(b"mark-2 ready default", str(tmp_path / "wake.sock"))
    assert [page.is_rest_awaited for page in pages] == [True, True, True]
    workers.be(2, WorkState.IDLE, 3)
    duty.hear_at_last()
    assert workers.woken() == [2]
    assert [page.is_rest_awaited for page in pages] == [False, False, False]
    duty.close()


def test_notices_of_other_hosts_are_kept_back_until_one_is_free_and_no_longer(make):
    workers = make()
    duty = waking.Waking(workers.situation, WakeSocket("nowhere"))
    pages = [slot.child.page for slot in workers.situation.slots]
    workers.situation.maintenance.channel, theirs = channel.pair()
    for slot in (1, 2, 3):
        workers.be(slot, WorkState.BUSY, 2)
    duty.hear_other_hosts([("mark-1", "default")], are_kept_back=True)
    assert workers.woken() == []
    assert [page.is_rest_awaited for page in pages] == [True, True, True], "one of them will say so"
    assert theirs.receive() is None
    workers.be(2, WorkState.IDLE, 3)
    duty.hear_other_hosts([("mark-2", "default")], are_kept_back=True)
    assert workers.woken() == [2]
    assert theirs.receive() == ({"kind": "free"}, []), "one was, before it was asked for its word"
    duty.hear_other_hosts([("mark-3", "default")])
    assert theirs.receive() is None
    theirs.close()
    workers.situation.maintenance.channel.close()


def test_a_look_out_of_turn_that_finds_nothing_leaves_the_socket_at_rest(make, tmp_path):
    workers = make()
    duty = waking.Waking(workers.situation, WakeSocket(str(tmp_path)))
    duty.open()
    for slot in (1, 2, 3):
        workers.be(slot, WorkState.BUSY, 2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"mark-1 ready default", str(tmp_path / "wake.sock"))
        duty.hear()
        until = duty.next_at()
        duty.hear_other_hosts([("mark-1", "default")])
        assert duty.next_at() == until
        duty.hear_at_last()
        assert duty.next_at() is None
    duty.close()


def test_a_worker_says_once_that_it_is_free_if_that_is_awaited(make):
    workers = make(workers=1)
    child = workers.situation.slots.all[0].child
    line = Line(workers.ends[0], child.page)
    line.listen()
    child.page.await_rest()
    line.wait(0.0)
    line.wait(0.0)
    signal.set_wakeup_fd(-1)
    close_all(line.descriptors()[1:])
    received, _descriptors = child.channel.receive()
    assert received == {"kind": "free"}
    assert child.channel.receive() is None


def test_a_worker_that_finds_more_says_so_when_it_is_busy_itself_and_seldom_while_all_are(make):
    workers = make()
    duty = waking.Waking(workers.situation, WakeSocket("nowhere"))
    child = workers.situation.slots.all[0].child
    observer = SlotObserver(Line(workers.ends[0], child.page), None)
    for slot in (2, 3):
        workers.be(slot, WorkState.BUSY, 2)

    def claims_and_starts() -> object:
        observer.more_ready()
        assert child.channel.receive() is None, "it might be woken itself"
        observer.started(claim_for("tests.any"), 1)
        return child.channel.receive()

    assert claims_and_starts() == ({"kind": "more"}, [])
    duty.hear_of_more(child)
    assert workers.woken() == []
    observer.told_at -= LONGEST_SILENCE
    assert claims_and_starts() is None
    workers.be(3, WorkState.IDLE, 3)
    duty.hear_at_last()
    assert claims_and_starts() == ({"kind": "more"}, [])
    duty.hear_of_more(child)
    assert workers.woken() == [3]


def test_nobody_is_deaf_to_what_a_worker_that_is_no_worker_yet_may_do(make, tmp_path):
    workers = make(workers=1)
    duty = waking.Waking(workers.situation, WakeSocket(str(tmp_path)))
    duty.open()
    workers.situation.slots.all[0].child.state = State.BOOTING
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"mark-1 ready default", str(tmp_path / "wake.sock"))
    duty.hear()
    assert duty.next_at() is None
    duty.close()


def test_while_all_are_busy_no_more_than_half_of_what_the_kernel_keeps_may_gather(make, tmp_path):
    workers = make(workers=1)
    duty = waking.Waking(workers.situation, WakeSocket(str(tmp_path)))
    duty.open()
    workers.be(1, WorkState.BUSY, 2)
    rests = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for count in (1, 8, 8, 8):
            for _ in range(count):
                sender.sendto(b"mark ready default", str(tmp_path / "wake.sock"))
            duty.hear()
            rests.append(duty.deafness)
    assert rests == pytest.approx([0.1, 0.05, 0.025, waking.LONGEST_DEAFNESS])
    duty.close()


@pytest.mark.parametrize("garbage", [b"", b"x", b"\xff\xfe", b"m scheduled", b"m scheduled x", b"m other default"])
def test_garbage_says_nothing(garbage):
    assert read(garbage) is None
