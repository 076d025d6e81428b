"""F57: an exception in each callback of the supervisor's loop."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import urllib.request

import pytest

from bgtasks.models import CompletedTask
from bgtasksd.directory import WAKE_NAME
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

DUTIES = [
    "watching:Watching.run",
    "watching:Watching.next_at",
    "spawning:Spawning.run",
    "strays:Strays.run",
    "watching:Watching.look_at",
    "memory:Memory.run",
    "runtime_dir:RuntimeDir.run",
    "viewing:Viewing.run",
    "breaker:Breaker.run",
    "notices:Notices.run",
]
EVENTS = [
    "link:Link.run",
    "link:Link._hear",
    "link:Link._has_ended",
    "stopping:Stopping.run",
    "waking:Waking.run",
    "waking:Waking.hear",
    "hearing:hear_worker",
    "run:Supervisor.on_signals",
    "exits:has_ended",
]
INJECTOR = """
import sys
from importlib import import_module
from operator import attrgetter
from pathlib import Path

def inject(target):
    module, _, path = target.partition(":")
    *holders, name = path.split(".")
    holder = import_module("bgtasksd.supervisor." + module)
    for each in holders:
        holder = getattr(holder, each)
    original, flag = getattr(holder, name), Path(__file__).with_name(target)

    def injected(*arguments, **named):
        if flag.exists():
            is_once = flag.read_text() == "once"
            if is_once:
                flag.unlink()
            raise RuntimeError("injected into " + target)
        return original(*arguments, **named)

    setattr(holder, name, injected)

if "start" in sys.orig_argv:
    for target in TARGETS:
        inject(target)
"""


@pytest.fixture
def make_breakable(make_daemon):
    """A function that makes daemons whose callbacks fail when a file with their name is there."""

    def make(targets: list[str]):
        daemon = make_daemon(workers=2)
        (daemon.directory / "sitecustomize.py").write_text(f"TARGETS = {targets!r}\n{INJECTOR}")
        return daemon.start()

    return make


def break_callbacks(daemon, targets: list[str], how: str = "once") -> None:
    for target in targets:
        written = daemon.directory / "flag"  # whoever sees the file of a callback finds it whole
        written.write_text(how)
        written.replace(daemon.directory / target)


def assert_each_failed_once(daemon, targets: list[str]) -> None:
    for target in targets:
        wait_until(lambda: not (daemon.directory / target).exists(), SLOW_MACHINE, target)  # noqa: B023
    for target in targets:  # each is logged after its file is gone
        wait_until(lambda: daemon.log_lines(f"RuntimeError: injected into {target}$"), SLOW_MACHINE)  # noqa: B023
        assert len(daemon.log_lines(f"RuntimeError: injected into {target}$")) == 1
    assert len(daemon.log_lines("a callback of the supervisor failed")) == len(targets)
    assert daemon.log_lines("Traceback")


def test_f57_an_exception_in_each_duty_of_the_loop_is_logged_and_the_loop_goes_on(make_breakable):
    daemon = make_breakable(DUTIES)
    break_callbacks(daemon, DUTIES)
    assert_each_failed_once(daemon, DUTIES)
    tasks.quick(1)
    wait_until(lambda: CompletedTask.objects.count() == 1, SLOW_MACHINE)
    daemon.assert_converged()
    assert daemon.end() == 0


def test_f57_an_exception_on_each_event_costs_at_most_what_it_was_about(make_breakable):
    daemon = make_breakable(EVENTS)
    victim = daemon.worker_pids()[0]
    maintenance = daemon.status()["maintenance"]["pid"]
    *others, last = EVENTS
    break_callbacks(daemon, others)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"mark ready default", str(daemon.runtime / WAKE_NAME))
    tasks.quick(1)
    with contextlib.suppress(ProcessLookupError):  # given up already, if it had something to say
        os.kill(victim, signal.SIGKILL)
    os.kill(maintenance, signal.SIGKILL)
    wait_until(lambda: not any((daemon.directory / each).exists() for each in others), SLOW_MACHINE)
    wait_until(lambda: daemon.is_ready, SLOW_MACHINE)
    break_callbacks(daemon, [last])
    daemon.end_worker(2)
    assert_each_failed_once(daemon, EVENTS)
    wait_until(lambda: CompletedTask.objects.count() == 1, SLOW_MACHINE)
    daemon.assert_converged()
    assert daemon.end() == 0


def test_f57_a_client_whose_request_cannot_be_acted_on_is_cut_and_the_next_one_answered(make_daemon):
    daemon, targets = make_daemon(workers=1), ["answering:answer", "pages:answer"]
    injector = INJECTOR.replace("bgtasksd.supervisor.", "bgtasksd.control.")
    (daemon.directory / "sitecustomize.py").write_text(f"TARGETS = {targets!r}\n{injector}")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    daemon.start("--http", address)
    break_callbacks(daemon, targets)
    assert daemon.try_status() is None
    assert daemon.status()["pid"] == daemon.pid
    with pytest.raises(OSError, match=r"closed|reset"):
        urllib.request.urlopen(f"http://{address}/livez", timeout=SLOW_MACHINE)
    assert urllib.request.urlopen(f"http://{address}/livez", timeout=SLOW_MACHINE).status == 200
    assert_each_failed_once(daemon, targets)
    daemon.assert_converged()


def test_f57_stacks_that_cannot_be_collected_fail_once_and_not_in_every_turn(make_breakable):
    target = "stacks:Dump.collect"
    daemon = make_breakable([target])
    break_callbacks(daemon, [target], how="always")
    asked = daemon.command("stacks")
    assert asked.returncode == 1
    assert "the daemon's log has the traceback" in asked.stderr
    assert len(daemon.log_lines("a callback of the supervisor failed")) == 1
    (daemon.directory / target).unlink()
    assert daemon.command("stacks").returncode == 0
    daemon.assert_converged()


def test_f57_more_than_ten_failures_a_minute_end_the_daemon_with_70_and_its_workers_with_it(make_breakable):
    daemon = make_breakable(DUTIES)
    break_callbacks(daemon, ["viewing:Viewing.run"], how="always")
    assert daemon.wait_for_end() == 70
    assert len(daemon.log_lines("a callback of the supervisor failed")) == 11
    assert daemon.log_lines("the supervisor gives up")
    wait_until(daemon.is_swept, SLOW_MACHINE)
