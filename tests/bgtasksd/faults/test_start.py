"""F34, F48, F59: what may go wrong while a daemon starts."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from bgtasks.models import CompletedTask
from tests.bgtasksd.faults.test_crash_loops import break_new_workers
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.settings import VENDOR
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

POINTS = 10
ONE_BOOTS = """
import os, pathlib
if os.getpgrp() == os.getpid() and not pathlib.Path(__file__ + ".mended").exists():  # a worker leads a group of its own
    try:
        os.close(os.open(__file__ + ".taken", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        os._exit(1)
"""


def test_f59_sigterm_at_any_moment_of_the_start_ends_it_and_leaves_nothing_behind(make_daemon):
    daemon = make_daemon(workers=2)
    begun = time.monotonic()
    daemon.start()
    whole = time.monotonic() - begun
    assert daemon.end() == 0
    for point in range(POINTS):
        daemon.start(is_awaited=False)
        time.sleep(
            whole * (0.4 + 0.7 * point / POINTS)
        )  # the moment is what is tested; before it the loop is not there
        assert daemon.end(signal.SIGTERM) in (0, -signal.SIGTERM), daemon.log
        wait_until(daemon.is_swept, within=10)


def test_f48_a_preload_that_starts_a_thread_falls_back_to_workers_that_import_by_themselves(make_daemon):
    daemon = make_daemon(workers=2)
    daemon.add_setting("import threading, time")
    daemon.add_setting("threading.Thread(target=time.sleep, args=(3600,), name='ticker', daemon=True).start()")
    daemon.start()
    assert len(daemon.log_lines("thread ticker")) == 1
    assert not daemon.log_lines("fork.. may lead to deadlocks")
    tasks.quick(1)
    wait_until(lambda: CompletedTask.objects.count() == 1, within=20)
    daemon.assert_converged()


@pytest.mark.parametrize("preload", ["auto", "none"])
def test_an_application_that_cannot_be_imported_ends_the_start_with_70_and_the_traceback(make_daemon, preload):
    daemon = make_daemon(workers=2, PRELOAD=preload)
    (daemon.directory / "broken_tasks.py").write_text("import missing_module_of_mine\n")
    daemon.add_setting("BGTASKS['TASK_MODULES'] = ['broken_tasks']")
    daemon.start(is_awaited=False)
    assert daemon.wait_for_end() == 70
    assert daemon.log_lines("No module named 'missing_module_of_mine'")
    assert not daemon.log_lines("ready,")
    wait_until(daemon.is_swept, within=10)


def test_an_application_that_the_system_checks_refuse_is_not_started(make_daemon):
    daemon = make_daemon(workers=1)
    (daemon.directory / "doubled.py").write_text(
        "from bgtasks import background\n"
        "@background(name='same')\ndef one(): pass\n"
        "@background(name='same')\ndef two(): pass\n"
    )
    daemon.add_setting("BGTASKS['TASK_MODULES'] = ['doubled']")
    daemon.start(is_awaited=False)
    assert daemon.wait_for_end() == 78
    assert daemon.log_lines("bgtasks.E00.")
    assert not daemon.log_lines("Traceback")


@pytest.mark.parametrize("option", ["--max-memory", "--max-memory-kill"])
def test_f34_f35_a_memory_limit_below_a_fresh_worker_is_refused_with_both_numbers(make_daemon, option):
    daemon = make_daemon(workers=2)
    daemon.start(option, "1M", is_awaited=False)
    assert daemon.wait_for_end() == 78
    assert daemon.log_lines(rf"a fresh worker uses \d+ MB, more than {option} \(1 MB\) allows")


def test_a_second_start_of_the_instance_is_refused_and_says_by_whom(make_daemon):
    daemon = make_daemon(workers=1).start()
    second = daemon.command("start", "--workers", "1")
    assert second.returncode == 73
    assert str(daemon.pid) in second.stderr
    daemon.assert_converged()


def is_told(daemon) -> bool:
    return "migrations_missing" in {each["code"] for each in daemon.status()["problems"]}


@pytest.mark.skipif(VENDOR != "sqlite", reason="an empty database is made of a file")
def test_missing_tables_are_named_with_the_command_and_the_daemon_goes_on_when_they_are_there(make_daemon, tmp_path):
    daemon = make_daemon(workers=1)
    daemon.add_setting(f"DATABASES['default']['NAME'] = {str(tmp_path / 'empty.sqlite3')!r}")
    daemon.start(is_awaited=False)
    wait_until(lambda: daemon.log_lines("Run: python manage.py migrate"), within=20)
    wait_until(lambda: is_told(daemon), within=20)
    until, told = time.monotonic() + 5, []  # rounds that wait for the database find nothing, and change nothing
    wait_until(lambda: told.append(is_told(daemon)) or time.monotonic() > until, within=20)
    assert all(told)
    migrate = [sys.executable, "-m", "django", "migrate"]
    subprocess.run(migrate, env=daemon.environment(), cwd=daemon.directory, check=True, capture_output=True)
    wait_until(lambda: daemon.is_ready, within=20)
    assert daemon.status()["problems"] == []


def test_f39_a_start_in_which_some_workers_come_up_and_others_never_do_is_over_and_degraded(make_daemon, systemd):
    address, listen = systemd
    daemon = make_daemon(workers=2, PRELOAD="none", BOOT_TIMEOUT=10)
    break_new_workers(daemon, ONE_BOOTS)
    daemon.variables["NOTIFY_SOCKET"] = address
    daemon.start(is_awaited=False)
    wait_until(lambda: (seen := daemon.try_status()) and daemon.ready_workers(seen) == 1, SLOW_MACHINE)
    assert daemon.status()["state"] == "starting"
    assert "READY=1" not in listen()
    wait_until(lambda: daemon.status()["state"] == "degraded", SLOW_MACHINE)
    assert listen().count("READY=1") == 1
    assert daemon.log_lines("ready, 1 of 2 workers up")
    wait_until(lambda: "slot_in_backoff" in {each["code"] for each in daemon.status()["problems"]}, SLOW_MACHINE)
    daemon.settings_file.with_name(daemon.settings_file.name + ".mended").touch()
    assert daemon.command("reload", "--wait").returncode == 0
    wait_until(lambda: daemon.status()["state"] == "running" and daemon.is_ready, SLOW_MACHINE)
    assert listen().count("READY=1") == 2
