"""Who a process is, and whether it is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from bgtasks import identity
from bgtasks.identity import Identity, is_gone, this_process, worker_name
from tests.waiting import wait_until


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def identity_of(pid: int) -> Identity:
    status = identity._read_status(pid)
    return replace(this_process(), pid=pid, start_ticks=status.start_ticks)


def test_this_process_is_itself_and_lives():
    me = this_process()
    assert me.pid == os.getpid()
    assert me.start_ticks > 0
    assert me == this_process()
    assert not is_gone(me)


def test_a_child_lives_until_it_ends_and_then_is_gone(child):
    its = identity_of(child.pid)
    assert not is_gone(its)
    child.kill()
    wait_until(lambda: is_gone(its), what="the zombie to count as gone")
    child.wait()
    assert is_gone(its)


def test_another_process_under_the_same_pid_does_not_hide_the_death():
    assert is_gone(replace(this_process(), start_ticks=1))


@pytest.mark.parametrize("place", [{"host": "elsewhere"}, {"boot_id": "another"}, {"pid_namespace": "pid:[1]"}])
def test_what_cannot_be_checked_from_here_counts_as_living(place):
    assert not is_gone(replace(this_process(), start_ticks=1, **place))


def test_without_a_boot_id_nothing_is_proven(monkeypatch):
    monkeypatch.setattr(identity, "_read", lambda path: "")
    assert not is_gone(replace(this_process(), start_ticks=1))


def test_a_hidden_entry_in_proc_proves_nothing(monkeypatch):
    me = replace(this_process(), start_ticks=1)
    monkeypatch.setattr(identity, "_read_status", lambda pid: None)
    assert not is_gone(me)


def test_a_command_name_with_spaces_and_parentheses_is_read(monkeypatch):
    rest = "S 1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0"
    monkeypatch.setattr(identity, "_read", lambda path: f"77 (a b) c) {rest}")
    assert identity._read_status(77) == identity._Status(start_ticks=4711, is_zombie=False)


def test_worker_names_differ_and_fit_the_column():
    names = {worker_name("host", "default", 1) for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith("host:default:1:") for name in names)
    long = worker_name("h" * 300, "default", 12)
    assert len(long) == identity.LONGEST_NAME
    assert ":default:12:" in long
