"""F42, F43: no process, no memory, no descriptor to be had."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bgtasks.models import CompletedTask
from bgtasksd.connection import Connection
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

FULL = """
import os, resource, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
for number in range(3, 1100):
    os.dup2(0, number)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""As with hundreds of workers: what is opened from here on has a number above 1024."""


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("preload", ["auto", "none"])
def test_descriptors_above_1024_are_waited_for_like_any_other(make_daemon, preload, concurrency):
    daemon = make_daemon(workers=2, CONCURRENCY=concurrency)
    daemon.wrapper = (sys.executable, "-c", FULL)
    daemon.start("--preload", preload)
    for number in range(3):
        tasks.quick(number)
    daemon.assert_each_ran_once(3)
    maintenance = daemon.status()["maintenance"]["pid"]
    assert "socket:" in "".join(_targets(maintenance, above=1024)), "it has its line there"
    daemon.end_worker(1)
    daemon.assert_converged()
    assert daemon.status()["maintenance"]["pid"] == maintenance
    assert "filedescriptor out of range" not in daemon.log


def _targets(pid, above):
    entries = Path(f"/proc/{pid}/fd").iterdir()
    return [str(each.readlink()) for each in entries if int(each.name) > above]


NOBODY = 65534
AS_NOBODY = [
    "setpriv", f"--reuid={NOBODY}", "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override",
]  # fmt: skip
"""An ordinary user, for whom alone the kernel counts processes; the virtual environment may lie in root's home."""


def enter_as_ordinary_user(daemon) -> None:
    if os.geteuid() == 0:
        daemon.wrapper = AS_NOBODY
        for path in (daemon.runtime, daemon.directory):
            os.chown(path, NOBODY, -1)


def limit_processes(daemon, pid: int, soft: int) -> None:
    limit = "unlimited" if soft == resource.RLIM_INFINITY else soft
    subprocess.run([*daemon.wrapper, "prlimit", "--pid", str(pid), f"--nproc={limit}:"], check=True)


def test_f42_where_no_process_is_to_be_had_the_slot_waits_and_the_running_worker_works(make_daemon):
    daemon = make_daemon(workers=2)
    enter_as_ordinary_user(daemon)
    daemon.start()
    zygote = daemon.status()["zygote"]["pid"]
    limit_processes(daemon, zygote, 1)
    daemon.end_worker(1)
    wait_until(lambda: daemon.log_lines("w1 .*died: fork: EAGAIN: .*next in"), SLOW_MACHINE)
    wait_until(lambda: daemon.worker(1)["state"] == "backoff", SLOW_MACHINE)
    tasks.quick(1)
    wait_until(lambda: CompletedTask.objects.count() == 1, SLOW_MACHINE)
    assert "slot_in_backoff" in {each["code"] for each in daemon.status()["problems"]}
    limit_processes(daemon, zygote, resource.getrlimit(resource.RLIMIT_NPROC)[1])
    daemon.assert_converged()
    assert daemon.status()["zygote"]["pid"] == zygote


def test_f42_where_a_new_worker_gets_no_memory_its_slot_waits_and_the_running_worker_works(make_daemon):
    daemon = make_daemon(workers=2).start()
    zygote = daemon.status()["zygote"]["pid"]
    limits = resource.prlimit(zygote, resource.RLIMIT_AS)
    resource.prlimit(zygote, resource.RLIMIT_AS, (2**20, limits[1]))
    kept = daemon.worker_pids()[1]
    daemon.end_worker(1)
    wait_until(lambda: daemon.log_lines("Cannot allocate memory|MemoryError"), SLOW_MACHINE)
    wait_until(lambda: daemon.log_lines("w1 .*died: .*while booting; next in"), SLOW_MACHINE)
    tasks.quick(1)
    wait_until(lambda: CompletedTask.objects.count() == 1, SLOW_MACHINE)
    resource.prlimit(zygote, resource.RLIMIT_AS, limits)
    daemon.assert_converged()
    assert kept in daemon.worker_pids()


def test_f42_a_supervisor_that_gets_no_more_memory_waits_for_it_and_the_running_worker_works(make_daemon):
    daemon = make_daemon(workers=2).start()
    zygote, kept = daemon.status()["zygote"]["pid"], daemon.worker_pids()[1]
    in_use = int(Path(f"/proc/{daemon.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    limits = resource.prlimit(daemon.pid, resource.RLIMIT_AS)
    resource.prlimit(daemon.pid, resource.RLIMIT_AS, (in_use, limits[1]))
    os.kill(zygote, signal.SIGKILL)
    daemon.end_worker(1)
    tasks.quick(1)
    wait_until(lambda: CompletedTask.objects.count() == 1, SLOW_MACHINE)
    wait_until(lambda: len(daemon.log_lines("zygote (pid .* ended|not started)")) >= 3, SLOW_MACHINE)
    assert daemon.command("stacks").returncode in (0, 1)
    assert "zygote_down" in {each["code"] for each in daemon.status()["problems"]}
    resource.prlimit(daemon.pid, resource.RLIMIT_AS, limits)
    daemon.assert_converged()
    assert kept in daemon.worker_pids()


@contextlib.contextmanager
def many_clients(daemon):
    with contextlib.ExitStack() as clients:
        for _ in range(200):
            clients.enter_context(Connection(daemon.runtime, SLOW_MACHINE))
        yield


def test_f43_clients_never_take_the_descriptors_that_workers_need(make_daemon):
    daemon = make_daemon(workers=2)
    daemon.wrapper = ["prlimit", "--nofile=40"]
    daemon.start()
    killed = daemon.worker_pids()
    with many_clients(daemon):
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        tasks.quick(1)
        wait_until(lambda: CompletedTask.objects.count() == 1, SLOW_MACHINE)
        wait_until(lambda: daemon.is_ready and not set(killed) & set(daemon.worker_pids()), SLOW_MACHINE)
        assert daemon.command("status").returncode == 0
    assert not daemon.log_lines("a callback of the supervisor failed|not spawned")
    daemon.assert_converged()


def test_f43_a_supervisor_without_a_free_descriptor_supervises_and_turns_clients_away(make_daemon):
    daemon = make_daemon(workers=2).start()
    victim = daemon.worker_pids()[0]
    full = daemon.descriptor_count()
    soft, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (full, hard))
    assert daemon.try_status() is None
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: daemon.log_lines("w1 .*died: SIGKILL"), SLOW_MACHINE)
    tasks.quick(1)
    wait_until(lambda: CompletedTask.objects.count() == 1, SLOW_MACHINE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))
    daemon.assert_converged()
    assert not daemon.log_lines("a callback of the supervisor failed")
