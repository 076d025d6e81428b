"""F19, F35, F39, F48, F73: what the operator decides with `--strays`, `--max-memory-kill`, `--on-failed` and others."""

from __future__ import annotations

import os
import signal
import stat
import tempfile
from pathlib import Path

import pytest

from bgtasks.models import CompletedTask, TaskAttempt
from bgtasksd.children.process import command, parent, start_ticks
from bgtasksd.connection import Connection, Refused
from bgtasksd.directory import STATUS_NAME
from bgtasksd.status import CANNOT_TELL, HEALTHY, exit_code, look
from tests.bgtasksd.faults.test_crash_loops import break_new_workers
from tests.daemon import SLOW_MACHINE, is_alive
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

NOBODY = 65534


def test_f35_a_worker_beyond_the_hard_memory_limit_is_killed_in_its_task_with_its_stacks(make_daemon):
    daemon = make_daemon(workers=2, BACKOFF=0).start("--max-memory-kill", "150M")
    task = tasks.balloon(200)
    wait_until(lambda: TaskAttempt.objects.filter(task_id=task.pk).exists(), SLOW_MACHINE)
    attempt = TaskAttempt.objects.get(task_id=task.pk)
    assert "memory limit" in attempt.error
    done = wait_until(lambda: CompletedTask.objects.filter(pk=task.pk).first(), SLOW_MACHINE)
    assert (done.attempts, done.crashes) == (2, 1)
    slot = next(each["slot"] for each in daemon.status()["workers"] if each["last_exit"])
    assert daemon.worker(slot)["last_exit"] == "memory_limit"
    line = daemon.log_lines(r"died: killed: it ran into its memory limit .*; task \d+ .*balloon ran")
    assert len(line) == 1
    assert len(daemon.log_lines(r"uses \d+ MB, more than --max-memory-kill \(150 MB\) allows")) == 1
    assert daemon.log_lines(r"tasks.py., line \d+ in balloon")
    assert not daemon.log_lines("next in")
    daemon.assert_converged()


def test_f19_strays_are_named_and_left_alone_where_that_is_the_policy(make_daemon):
    daemon = make_daemon(workers=1, BACKOFF=60).start("--strays", "report")
    tasks.start_grandchildren()
    inside, outside = wait_until(lambda: daemon.ledger("grandchildren"), SLOW_MACHINE)[0]["pids"]
    ticks = {pid: start_ticks(pid) for pid in (inside, outside)}
    os.kill(daemon.busy_worker("start_grandchildren")["pid"], signal.SIGKILL)
    wait_until(lambda: not is_alive(inside, ticks[inside]), SLOW_MACHINE, "its group is ended all the same")
    wait_until(lambda: daemon.log_lines("left behind by a worker: sleep 3601; it is left alone"), SLOW_MACHINE)
    assert daemon.end(signal.SIGQUIT) == 0
    assert is_alive(outside, ticks[outside])
    assert len(daemon.log_lines("left behind")) == 1


def test_f19_a_reload_brings_a_changed_policy_into_force(make_daemon):
    daemon = make_daemon(workers=1, BACKOFF=60).start()
    daemon.add_setting('BGTASKS["STRAYS"] = "report"')
    assert daemon.command("reload", "--wait").returncode == 0
    tasks.start_grandchildren()
    _inside, outside = wait_until(lambda: daemon.ledger("grandchildren"), SLOW_MACHINE)[0]["pids"]
    ticks = start_ticks(outside)
    os.kill(daemon.busy_worker("start_grandchildren")["pid"], signal.SIGKILL)
    wait_until(lambda: daemon.log_lines("left behind by a worker: sleep 3601; it is left alone"), SLOW_MACHINE)
    assert daemon.end(signal.SIGQUIT) == 0
    assert is_alive(outside, ticks)


def leave_a_stray_behind(daemon) -> None:
    """Have a dead worker leave a process behind, and wait until it is ended: every other was looked at as well then."""
    count = len(daemon.ledger("grandchildren"))
    tasks.start_grandchildren()
    wait_until(lambda: len(daemon.ledger("grandchildren")) > count, SLOW_MACHINE)
    _inside, outside = daemon.ledger("grandchildren")[-1]["pids"]
    ticks = start_ticks(outside)
    os.kill(daemon.busy_worker("start_grandchildren")["pid"], signal.SIGKILL)
    wait_until(lambda: not is_alive(outside, ticks), SLOW_MACHINE)


def test_f19_what_a_living_worker_uses_and_what_was_there_before_the_daemon_is_left_alone(make_daemon):
    daemon = make_daemon(workers=2, BACKOFF=600)
    daemon.wrapper = ["sh", "-c", 'sleep 3603 & exec "$@"', "sh"]  # as in the entry point of a container
    daemon.start()
    earlier = next(pid for pid in daemon.processes() if command(pid) == "sleep 3603")
    tasks.serve_in_background()
    noted = wait_until(lambda: daemon.ledger("serving"), SLOW_MACHINE)[0]
    worker, server = noted["pid"], noted["server"]
    wait_until(lambda: parent(server) == daemon.pid, SLOW_MACHINE, "adopted")
    ticks = {pid: start_ticks(pid) for pid in (server, earlier)}
    leave_a_stray_behind(daemon)
    assert daemon.command("upgrade", "--timeout", "60").returncode == 0, daemon.log
    wait_until(lambda: daemon.log_lines("reloaded in"), SLOW_MACHINE)
    leave_a_stray_behind(daemon)
    assert all(is_alive(pid, ticks[pid]) for pid in (server, earlier))
    assert len(daemon.log_lines("left behind by a worker: sleep 3601; it is ended")) == 2
    assert len(daemon.log_lines("left behind")) == 2
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not is_alive(server, ticks[server]), SLOW_MACHINE, "it ends with its worker")
    assert daemon.end(signal.SIGQUIT) == 0
    assert is_alive(earlier, ticks[earlier])


def test_f39_where_no_worker_stays_up_the_daemon_exits_with_70_if_that_is_the_policy(make_daemon):
    daemon = make_daemon(workers=1, PRELOAD="none").start("--on-failed", "exit")
    break_new_workers(daemon, "raise ImportError('broken')")
    daemon.end_worker(1)
    assert daemon.wait_for_end(within=90) == 70
    assert len(daemon.log_lines(r"every worker failed again and again: exiting \(--on-failed exit\)")) == 1
    assert daemon.is_swept()


def test_f48_a_connection_that_an_import_opened_is_in_no_worker(make_daemon):
    daemon = make_daemon(workers=2)
    (daemon.directory / "asking_tasks.py").write_text(
        "from django.db import connection\nconnection.ensure_connection()\n"
    )
    daemon.add_setting("BGTASKS['TASK_MODULES'] = ['asking_tasks']")
    daemon.start()
    for number in range(10):
        tasks.nap(0.1, number)
    wait_until(lambda: CompletedTask.objects.count() == 10, SLOW_MACHINE)
    assert len({entry["pid"] for entry in daemon.ledger("ended")}) == 2
    assert not TaskAttempt.objects.exists()
    assert not daemon.log_lines("not safe|may lead to deadlocks")
    daemon.assert_converged()


def test_f48_without_preloading_a_thread_of_the_application_is_in_no_process_that_forks(make_daemon):
    """`-W always` shows Python's warning about a fork in a process with threads; `-W error` would swallow it."""
    daemon = make_daemon(workers=2)
    daemon.add_setting("import threading, time")
    daemon.add_setting("threading.Thread(target=time.sleep, args=(3600,), name='ticker', daemon=True).start()")
    daemon.start("--preload", "none")
    daemon.end_worker(1)
    daemon.assert_converged()
    assert not daemon.log_lines("not safe|may lead to deadlocks")


def test_f73_the_status_socket_answers_the_group_and_takes_no_orders(make_daemon):
    daemon = make_daemon(workers=1).start("--status-socket")
    mode = (daemon.runtime / STATUS_NAME).stat().st_mode
    assert stat.filemode(mode) == "srw-rw----"
    with Connection(daemon.runtime, name=STATUS_NAME) as connection:
        assert connection.ask("status")["pid"] == daemon.pid
        with pytest.raises(
            Refused, match=r"status\.sock answers questions alone: 'stop' has to come through control.so"
        ):
            connection.ask("stop")
    (daemon.runtime / STATUS_NAME).unlink()
    wait_until((daemon.runtime / STATUS_NAME).is_socket, SLOW_MACHINE, "made again")
    daemon.assert_converged()


@pytest.fixture
def open_directory():
    """A directory that others may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def seen_by_somebody_else(directory: Path, group: int) -> int:
    """Return the exit code of `status` for another user of this group."""
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setgid(group)
        os.setuid(NOBODY)
        os._exit(exit_code(look([directory], "default")))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_f73_a_foreign_user_is_refused_by_file_mode_and_the_group_may_ask(make_daemon, open_directory):
    daemon = make_daemon(workers=1)
    daemon.runtime = open_directory
    daemon.start()
    assert seen_by_somebody_else(open_directory, group=os.getgid()) == CANNOT_TELL
    assert daemon.end() == 0
    daemon.start("--status-socket")
    assert seen_by_somebody_else(open_directory, group=os.getgid()) == HEALTHY
    assert seen_by_somebody_else(open_directory, group=NOBODY) == CANNOT_TELL
    daemon.assert_converged()
