"""Forking, signalling, reaping and talking to real child processes."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time

import pytest

from bgtasksd.children import channel, process
from bgtasksd.children.exits import Exit, OomCounter
from bgtasksd.children.fork import fork
from bgtasksd.children.process import Process
from bgtasksd.lock import start_ticks
from tests.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("one_thread")]


def _end(child):
    exit_ = wait_until(child.reap)
    child.close()
    return exit_


def test_an_exit_says_code_or_signal():
    assert str(_end(Process(fork(lambda mask: 3)))) == "exit code 3"
    child = Process(fork(lambda mask: time.sleep(60)))
    child.send_signal(signal.SIGKILL)
    assert str(_end(child)) == "SIGKILL"


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), BaseException("x")])
def test_a_child_never_returns_into_its_parents_frames(error, capfd):
    before = os.getpid()

    def body(mask):
        raise error

    child = Process(fork(body))
    assert os.getpid() == before
    assert _end(child).code == 70
    assert type(error).__name__ in capfd.readouterr().err


def test_a_signal_sent_right_after_the_fork_is_not_lost():
    """It waits, blocked, until the child has its handlers and restores the mask."""

    def body(mask):
        time.sleep(0.1)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(9))
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        time.sleep(10)
        return 1

    for _ in range(5):
        child = Process(fork(body))
        child.send_signal(signal.SIGTERM)
        assert _end(child).code == 9


def test_a_child_has_default_signals_but_for_broken_pipes():
    old = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        child = Process(
            fork(
                lambda mask: int(
                    signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
                    and signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
                )
            )
        )
    finally:
        signal.signal(signal.SIGTERM, old)
    assert _end(child).code == 1


NESTED = """
import faulthandler, gc, signal
from bgtasksd.children.linux import widen_signal_stack
faulthandler.enable()
widen_signal_stack()
numbers = signal.valid_signals() - {4, 6, 7, 8, 9, 11, 19}
for number in numbers:
    signal.signal(number, lambda *told: None)
mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
for number in numbers:
    signal.raise_signal(number)
signal.pthread_sigmask(signal.SIG_SETMASK, mask)
gc.collect()
"""


def test_f61_signals_that_come_together_do_not_overflow_the_stack_of_faulthandler():
    ended = subprocess.run([sys.executable, "-c", NESTED], timeout=20, check=False)
    assert ended.returncode == 0, "without room, signals that interrupt one another write over the heap"


def test_killing_the_group_ends_what_the_child_started():
    reader, writer = os.pipe()

    def body(mask):
        os.setpgid(0, 0)
        pid = os.fork()
        if pid:
            os.write(writer, str(pid).encode())
        time.sleep(60)
        return 0

    child = Process(fork(body))
    grandchild = int(os.read(reader, 20))
    child.send_signal(signal.SIGKILL)
    wait_until(child.has_ended)
    child.kill_group()
    assert _end(child).signal == signal.SIGKILL
    wait_until(lambda: process.run_state(grandchild) in ("", "Z"))
    os.close(reader)
    os.close(writer)


def test_only_unknown_children_are_reaped_as_strays():
    process.reap_strays(set())  # what other tests left behind
    ours, stray = fork(lambda mask: 1), fork(lambda mask: 2)
    assert wait_until(lambda: process.reap_strays({ours})) == [(stray, Exit(code=2))]
    assert _end(Process(ours)).code == 1


def test_messages_carry_descriptors_and_the_end_of_the_other_side_is_told():
    ours, theirs = channel.pair()
    reader, writer = os.pipe()
    assert ours.receive() is None
    assert theirs.send("hello", [writer], slot=3)
    message, descriptors = ours.receive()
    assert message == {"kind": "hello", "slot": 3}
    os.write(descriptors[0], b"x")
    assert os.read(reader, 1) == b"x"
    theirs.socket.send(b"not json")
    assert ours.receive() == ({"kind": "garbage"}, [])
    theirs.close()
    with pytest.raises(channel.ChannelClosed):
        ours.receive()
    assert not ours.send("drain")
    ours.close()
    channel.close_all([reader, writer, *descriptors])


def test_the_last_words_of_who_left_with_something_unread_are_heard():
    ours, theirs = channel.pair()
    ours.send("wake")
    theirs.send("bye", reason="scale")
    theirs.close()
    assert ours.receive() == ({"kind": "bye", "reason": "scale"}, [])
    with pytest.raises(channel.ChannelClosed):
        ours.receive()
    ours.close()


def test_a_full_channel_loses_the_message_instead_of_blocking():
    ours, theirs = channel.pair()
    started = time.monotonic()
    while ours.send("wake", text="x" * 1000):
        assert time.monotonic() - started < 10
    ours.close()
    theirs.close()


def test_the_out_of_memory_counter_is_found_in_both_cgroup_versions(tmp_path):
    two = tmp_path / "two"
    (two / "app.slice").mkdir(parents=True)
    events = two / "app.slice" / "memory.events"
    events.write_text("low 0\noom 1\noom_kill 1\n")
    (tmp_path / "v2").write_text("0::/app.slice\n")
    counter = OomCounter(tmp_path / "v2", two)
    assert not counter.explains_a_kill()
    events.write_text("low 0\noom 2\noom_kill 3\n")
    assert counter.explains_a_kill()
    assert counter.explains_a_kill()
    assert not counter.explains_a_kill()

    one = tmp_path / "one" / "memory" / "box"
    one.mkdir(parents=True)
    (one / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n")
    (tmp_path / "v1").write_text("5:cpu:/\n4:memory:/box\n0::/\n")
    counter = OomCounter(tmp_path / "v1", tmp_path / "one")
    (one / "memory.oom_control").write_text("oom_kill 5\n")
    assert counter.explains_a_kill()


def test_no_cgroup_counts_nothing(tmp_path):
    assert not OomCounter(tmp_path / "missing", tmp_path).explains_a_kill()


def test_the_start_time_of_a_process_does_not_come_from_the_wall_clock():
    assert process.start_ticks(os.getpid()) == process.start_ticks(os.getpid()) > 0
    assert process.start_ticks(2**22 + 1) is None
    assert process.parent(os.getpid()) == os.getppid()
    assert process.unshared_bytes(os.getpid()) > 1024**2
    assert "python" in process.command(os.getpid()) or sys.executable


CUT = "загрузка".encode()[:15]
"""What the kernel keeps of such a name: it ends inside a letter."""


@pytest.mark.parametrize("name", [CUT, "a\u2028SigBlk".encode(), b"a) R 1 (\xff"], ids=["cut", "lines", "parentheses"])
def test_a_process_of_any_name_is_seen(name):
    reader, writer = os.pipe()

    def body(mask):
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        ctypes.CDLL(None).prctl(15, name, 0, 0, 0)
        os.write(writer, str(start_ticks(os.getpid())).encode())
        time.sleep(60)
        return 0

    child = Process(fork(body))
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        own_ticks = wait_until(lambda: told.read1(64))
    assert process.start_ticks(child.pid) == int(own_ticks)
    assert process.parent(child.pid) == os.getpid()
    assert process.run_state(child.pid) in ("R", "S")
    assert not process.handles(child.pid, signal.SIGTERM)
    child.send_signal(signal.SIGKILL)
    _end(child)
