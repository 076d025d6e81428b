"""`manage.py process_tasks` as a real process on a real database."""

from __future__ import annotations

import io
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from bgtasks import options
from bgtasks.models import CompletedTask, Status, Task, WorkerProcess
from bgtasks.queue import claims
from bgtasks.queue.types import Holder
from tests.foreground import SLOW_MACHINE, foregrounds
from tests.lifecycle import tasks
from tests.project import tasks as project_tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def test_it_says_what_it_found_runs_what_is_there_and_leaves_after_its_duration(make_foreground):
    done = [tasks.quick.enqueue(number) for number in range(3)]
    process = make_foreground().start("--duration", "4")
    assert process.ended() == 0
    assert [note["number"] for note in process.ledger("ran")] == [0, 1, 2]
    assert {task.id for task in CompletedTask.objects.succeeded()} == {task.id for task in done}
    assert "tests.lifecycle.tasks.quick" in process.log
    assert "queues: all" in process.log
    assert process.log.count("done") == 3
    assert not WorkerProcess.objects.exists()


def test_it_runs_new_tasks_while_it_waits_and_scheduled_ones_on_time(make_foreground):
    process = make_foreground().start()
    tasks.quick.enqueue(1)
    process.wait_for("ran", 1)
    tasks.quick.using(run_at=timedelta(seconds=1)).enqueue(2)
    tasks.quick.using(run_at=timedelta(hours=1)).enqueue(3)
    process.wait_for("ran", 2)
    process.wait_until(lambda: CompletedTask.objects.count() == 2)
    task = CompletedTask.objects.get(task_params="[[2], {}]")
    assert task.due_at <= task.locked_at
    assert Task.objects.get().status == Status.SCHEDULED


def test_only_the_queues_asked_for_are_served(make_foreground):
    for queue in ("mail", "reports", "other"):
        tasks.quick.using(queue=queue).enqueue(len(queue))
    process = make_foreground().start("--queue", "mail", "--queue", "reports")
    process.wait_until(lambda: CompletedTask.objects.count() == 2)
    process.send(signal.SIGTERM)
    assert process.ended() == 0
    assert sorted(note["number"] for note in process.ledger("ran")) == [len("mail"), len("reports")]
    assert Task.objects.get().queue == "other"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGTSTP, signal.SIGHUP])
def test_a_signal_ends_an_idle_worker_at_once(make_foreground, number):
    process = make_foreground().start(sleep=300)
    wait_until(WorkerProcess.objects.exists, SLOW_MACHINE)
    time.sleep(0.3)  # so that it most probably sleeps: the test holds in any case
    sent_at = time.monotonic()
    process.send(number)
    assert process.ended() == 0
    assert time.monotonic() - sent_at < 10
    assert "left: stopped" in process.log
    assert not WorkerProcess.objects.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_running_task_finish_and_the_next_one_wait(make_foreground, number):
    running, waiting = tasks.nap.enqueue(1.5, 1), tasks.quick.enqueue(2)
    process = make_foreground().start()
    process.wait_for("started")
    process.send(number)
    assert process.ended() == 0
    assert len(process.ledger("ended")) == 1
    assert CompletedTask.objects.get(id=running.id).status == Status.SUCCESSFUL
    waiting.refresh_from_db()
    assert (waiting.status, waiting.attempts) == (Status.READY, 0)
    assert "finishing the running task" in process.log


def test_the_second_signal_interrupts_the_task_and_gives_it_back_uncharged(make_foreground):
    task = tasks.hang.enqueue()
    process = make_foreground().start()
    process.wait_for("started")
    process.wait_until_asleep()
    process.send(signal.SIGTERM)
    process.wait_until(lambda: "finishing the running task" in process.log)
    process.wait_until_asleep()
    process.send(signal.SIGTERM)
    assert process.ended() == 0
    assert process.ledger("interrupted")[0]["error"] == "TaskInterrupted"
    task.refresh_from_db()
    assert (task.status, task.attempts, task.locked_by) == (Status.READY, 0, None)
    assert "given back" in process.log


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_other_signals_of_the_heritage_do_nothing(make_foreground, number):
    process = make_foreground().start()
    process.send(number)
    tasks.quick.enqueue(1)
    process.wait_for("ran")
    assert not process.is_over


def test_a_task_past_its_limit_is_a_failed_attempt_and_the_worker_goes_on(make_foreground):
    task, after = tasks.hang.using(max_run_time=1).enqueue(), tasks.quick.enqueue(2)
    process = make_foreground(KILL_GRACE=5).start()
    process.wait_for("ran")
    assert process.ledger("interrupted")[0]["error"] == "TaskTimeout"
    process.wait_until(lambda: CompletedTask.objects.filter(id=after.id).exists())
    task.refresh_from_db()
    assert (task.status, task.attempts, task.crashes) == (Status.SCHEDULED, 1, 0)
    assert "TaskTimeout" in task.last_error
    assert not process.is_over


def test_a_claim_lasts_as_long_as_the_task_may_run(make_foreground):
    tasks.nap.using(max_run_time=None).enqueue(60, 1)
    process = make_foreground(MAX_RUN_TIME=100, KILL_GRACE=5).start()
    process.wait_for("started", 1)
    endless = Task.objects.get()
    assert timedelta(hours=23) < endless.locked_until - endless.locked_at <= timedelta(hours=24, seconds=60)
    process.send(signal.SIGTERM)
    # again and again: a signal in the instant before a system call is acted on when that returns, or at the next one
    process.wait_until(lambda: process.is_over or process.send(signal.SIGINT), what="the end")
    Task.objects.all().delete()
    tasks.nap.enqueue(60, 2)
    other = make_foreground(MAX_RUN_TIME=100, KILL_GRACE=5).start()
    other.wait_for("started", 1)
    usual = Task.objects.get()
    assert timedelta(seconds=100) < usual.locked_until - usual.locked_at < timedelta(seconds=120)


def test_the_log_goes_to_a_file_and_printing_goes_to_the_log(make_foreground, tmp_path):
    project_tasks.prints.enqueue("hello from a task")
    project_tasks.prints.enqueue("and again")
    log = tmp_path / "tasks.log"
    process = make_foreground().start("--log-std", "--log-file", str(log), "--log-level", "INFO", is_awaited=False)
    process.wait_until(lambda: CompletedTask.objects.count() == 2)
    process.send(signal.SIGTERM)
    assert process.ended() == 0
    assert "hello from a task" in log.read_text()
    assert "outcome=successful" in log.read_text()
    assert "Traceback" not in process.log


# Refusing to start


def test_a_tasks_module_that_is_broken_stops_the_start_with_its_traceback(make_foreground):
    process = make_foreground("INSTALLED_APPS = [*INSTALLED_APPS, 'broken']")
    package = process.directory / "broken"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "tasks.py").write_text("import nothing_of_that_name\n")
    assert process.start(is_awaited=False).ended() == 1
    assert "No module named 'nothing_of_that_name'" in process.log
    assert 'tasks.py", line 1' in process.log


def test_two_functions_under_one_name_stop_the_start(make_foreground):
    process = make_foreground("INSTALLED_APPS = [*INSTALLED_APPS, 'twice']")
    package = process.directory / "twice"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "tasks.py").write_text(
        "from bgtasks import background\n"
        "@background(name='same')\ndef one(): pass\n"
        "@background(name='same')\ndef other(): pass\n"
    )
    assert process.start(is_awaited=False).ended() == 1
    assert "bgtasks.E004" in process.log
    assert "Traceback" not in process.log


def test_missing_tables_stop_the_start_with_the_command_to_run(tmp_path, transactional_db):
    if connection.vendor != "sqlite":
        pytest.skip("a database of its own is made for SQLite only")
    with foregrounds(tmp_path, str(tmp_path / "empty.sqlite3")) as make_on_empty:
        process = make_on_empty().start(is_awaited=False)
        assert process.ended() == 1
        assert "python manage.py migrate" in process.log
        assert "Traceback" not in process.log


def test_a_database_that_is_not_there_yet_is_waited_for(tmp_path, transactional_db):
    if connection.vendor != "sqlite":
        pytest.skip("a database of its own is made for SQLite only")
    later = tmp_path / "later"
    with foregrounds(tmp_path, str(later / "db.sqlite3")) as make_on_nothing:
        process = make_on_nothing().start()
        process.wait_until(lambda: "cannot be reached, trying again" in process.log)
        assert "cannot be reached yet" in process.log
        later.mkdir()
        migrate = [sys.executable, "-m", "django", "migrate", "-v0"]
        subprocess.run(migrate, env=process.environment(), check=True)
        process.wait_until(lambda: "the queue is back" in process.log)
        process.send(signal.SIGTERM)
        assert process.ended() == 0


# In a process that is somebody else's


@pytest.fixture
def _no_noise(settings, monkeypatch):
    from bgtasks import output

    monkeypatch.setattr(output, "attach_if_silent", lambda *args: [])


@pytest.mark.usefixtures("transactional_db", "_no_noise")
def test_call_command_runs_and_leaves_this_process_as_it_was():
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    tasks.quick.enqueue(1)
    call_command("process_tasks", duration=3, sleep=0.1, queue="default", stdout=io.StringIO())
    assert CompletedTask.objects.count() == 1
    assert {number: signal.getsignal(number) for number in handlers} == handlers
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.usefixtures("transactional_db", "_no_noise")
def test_call_command_runs_in_another_thread():
    tasks.quick.enqueue(1)

    def run():
        call_command("process_tasks", duration=3, sleep=0.1)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert CompletedTask.objects.count() == 1


def test_the_options_have_the_names_and_defaults_of_the_heritage():
    from bgtasks.management.commands.process_tasks import Command

    parser = Command().create_parser("manage.py", "process_tasks")
    given = vars(parser.parse_args([]))
    heritage = {"duration": 0, "sleep": 5.0, "queue": None, "log_file": None, "log_std": False, "log_level": None}
    assert {name: given[name] for name in heritage} == heritage
    assert given["dev"] is False
    assert options.queues_of({"queue": None}) is None


def expired_elsewhere(number):
    """Return a task that a host which went silent holds for longer than its lease."""
    task = tasks.quick.enqueue(number)
    claims.turn([], 1, Holder("elsewhere:test:1:nonce", lease=60))
    Task.objects.filter(id=task.id).update(locked_until=timezone.now() - timedelta(seconds=1))
    return task


def test_one_that_would_leave_before_a_lease_is_over_stays_to_take_back_what_silent_hosts_hold(make_foreground):
    task = expired_elsewhere(1)
    process = make_foreground(LEASE=4, KILL_GRACE=1).start("--duration", "1")
    assert process.ended() == 0
    task.refresh_from_db()
    assert (task.status, task.attempts, task.crashes) == (Status.READY, 1, 1)
    assert "to take back tasks of workers that went silent" in process.log
    assert process.ledger("ran") == []  # its time was up: that is for the next one


def test_one_that_stays_for_others_leaves_at_once_when_told(make_foreground):
    task = expired_elsewhere(1)
    process = make_foreground(LEASE=600).start("--duration", "1")
    process.wait_until(lambda: "to take back tasks" in process.log)
    process.send(signal.SIGTERM)
    assert process.ended() == 0
    task.refresh_from_db()
    assert task.status == Status.RUNNING


# Development


def test_dev_starts_anew_after_a_change_and_lets_the_task_finish(make_foreground):
    process = make_foreground("INSTALLED_APPS = [*INSTALLED_APPS, 'changing']")
    package = process.directory / "changing"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "tasks.py").write_text("")
    process.start("--dev")
    tasks.nap.enqueue(4, 1)
    first = process.wait_for("started")
    times = itertools.count(1_000_000)

    def has_started_anew() -> bool:
        """Touch the module until that is noticed: the reloader may not have taken its first look yet."""
        if process.log.count("found:") >= 2:
            return True
        os.utime(package / "tasks.py", (0, next(times)))
        return False

    process.wait_until(has_started_anew)
    assert process.wait_for("ended")["pid"] == first["pid"]
    tasks.quick.enqueue(2)
    assert process.wait_for("ran")["pid"] != first["pid"]
    process.wait_until(lambda: CompletedTask.objects.count() == 2)
    process.send(signal.SIGTERM)
    assert process.ended() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has ended")
def test_dev_leaves_no_child_behind_when_it_is_killed(make_foreground):
    process = make_foreground().start("--dev")
    tasks.nap.enqueue(2, 1)
    child = process.wait_for("started")["pid"]
    assert child != process.pid
    process.send(signal.SIGKILL)
    assert process.ended() == -signal.SIGKILL
    process.wait_until(lambda: "left: stopped" in process.log and not is_alive(child))
    assert process.wait_for("ended")["pid"] == child  # the running task was allowed to finish
    assert CompletedTask.objects.succeeded().count() == 1


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that ended and was not reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
