"""Starting: one daemon per directory whatever lies there, and every way in which a start can end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.db import connection

from bgtasksd.lock import is_held
from tests.daemon import SLOW_MACHINE, Daemon
from tests.settings import VENDOR
from tests.waiting import wait_until

pytestmark = pytest.mark.processes
FILES = ("bgtasksd.lock", "bgtasksd.pid", "control.sock")


def start_beside(daemon: Daemon, *arguments: str) -> subprocess.Popen[str]:
    """Start another daemon in the same directory."""
    command = [sys.executable, "-m", "bgtasksd", "start", "--workers", "1", "--runtime-dir", str(daemon.runtime)]
    return subprocess.Popen(
        [*command, *arguments], env=daemon.environment(), cwd=daemon.directory, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end; return the exit code and all that was said."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def test_a_second_start_is_refused_and_says_by_whom(make_daemon):
    daemon = make_daemon(workers=1).start()
    before = {name: (daemon.runtime / name).stat() for name in FILES}
    code, said = ended(start_beside(daemon))
    assert code == 73
    assert said == (
        f"bgtasksd (pid {daemon.pid}, project_under_test) already runs here: "
        "`bgtasksd status`; a second one: `--instance NAME`\n"
    )
    assert {name: (daemon.runtime / name).stat() for name in FILES} == before
    daemon.assert_converged()


def test_another_instance_runs_beside(make_daemon):
    daemon = make_daemon(workers=1).start()
    other = start_beside(daemon, "--instance", "other")
    try:
        wait_until(lambda: daemon.command("status", "--instance", "other", "-q").returncode == 0, within=20)
        assert json.loads(daemon.command("status", "--json", "--instance", "other").stdout)["instance"] == "other"
        assert daemon.command("stop", "--instance", "other").returncode == 0
        assert daemon.status()["instance"] == "default"
    finally:
        other.terminate()
        ended(other)


def test_an_owner_that_does_not_answer_is_named_all_the_same(make_daemon):
    daemon = make_daemon(workers=1).start()
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        code, said = ended(start_beside(daemon))
        began = time.monotonic()
        asked = daemon.command("status", "--json")
        took = time.monotonic() - began
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    assert (code, f"pid {daemon.pid}, it does not answer" in said) == (73, True)
    assert (asked.returncode, json.loads(asked.stdout)["state"]) == (4, "unknown")
    assert took >= 5
    daemon.assert_converged()


@pytest.mark.parametrize("left", ["socket", "file", "link"])
def test_f55_left_over_files_do_not_matter(make_daemon, left):
    daemon = make_daemon(workers=1)
    path = daemon.runtime / "control.sock"
    (daemon.runtime / "bgtasksd.pid").write_text(f"{os.getpid()} 1 boot 1.0\n")
    (daemon.runtime / "bgtasksd.lock").write_text("stale")
    if left == "socket":
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
    elif left == "file":
        path.write_text("stale")
    else:
        path.symlink_to(daemon.directory / "elsewhere")
    assert daemon.command("status").returncode == 3
    daemon.start()
    assert (daemon.runtime / "bgtasksd.pid").read_text().split()[0] == str(daemon.pid)
    daemon.assert_converged()
    assert daemon.end() == 0
    assert sorted(path.name for path in daemon.runtime.iterdir()) == ["bgtasksd.lock"]


def test_after_sigkill_status_says_died_and_a_start_works_at_once(make_daemon):
    daemon = make_daemon(workers=1).start()
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait_for_end()
    asked = daemon.command("status")
    assert asked.returncode == 3
    assert "died" in asked.stdout
    daemon.start()
    daemon.assert_converged()


def test_f55_what_lies_in_the_way_and_cannot_be_replaced_is_named(make_daemon):
    daemon = make_daemon(workers=1)
    (daemon.runtime / "control.sock").mkdir()
    code, said = ended(start_beside(daemon))
    assert code == 78
    assert "no control socket at" in said
    assert not is_held(daemon.runtime)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_f55_a_directory_of_somebody_else_is_refused(make_daemon):
    daemon = make_daemon(workers=1)
    os.chown(daemon.runtime, 65534, 65534)
    code, said = ended(start_beside(daemon))
    assert code == 78
    assert "belongs to uid 65534" in said


def test_f53_of_starts_in_the_same_instant_exactly_one_wins(make_daemon):
    storm(make_daemon(workers=1), rounds=3)


@pytest.mark.soak
def test_f53_of_starts_in_the_same_instant_exactly_one_wins_two_hundred_times(make_daemon):
    storm(make_daemon(workers=1), rounds=200)


def storm(daemon: Daemon, rounds: int) -> None:
    is_over = threading.Event()
    codes: set[int] = set()
    asking = threading.Thread(target=ask_all_the_time, args=(daemon, is_over, codes))
    asking.start()
    try:
        for _ in range(rounds):
            one_round(daemon)
    finally:
        is_over.set()
        asking.join()
    assert codes <= {0, 3}


def ask_all_the_time(daemon: Daemon, is_over: threading.Event, codes: set[int]) -> None:
    while not is_over.is_set():
        codes.add(daemon.command("status", "--json").returncode)


def one_round(daemon: Daemon) -> None:
    """Start three at once; two are refused, and the third is what answers."""
    starters = [start_beside(daemon) for _ in range(3)]
    wait_until(lambda: sum(each.poll() is not None for each in starters) >= 2, within=60, what="two refused")
    (winner,) = [each for each in starters if each.poll() is None]
    refused = [ended(each) for each in starters if each is not winner]
    assert [code for code, _ in refused] == [73, 73], refused
    wait_until(lambda: (daemon.try_status() or {}).get("pid") == winner.pid, within=20)
    winner.terminate()
    code, said = ended(winner)
    assert code == 0, said
    assert not (daemon.runtime / "bgtasksd.pid").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_any_moment_of_a_start_ends_it(make_daemon, number):
    daemon = make_daemon(workers=1)
    for delay in (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6):
        process = start_beside(daemon)
        if number == signal.SIGINT:
            wait_until(lambda: is_held(daemon.runtime), within=20)  # before, it is Python's own
        time.sleep(delay)  # the moment itself is what is tried
        process.send_signal(number)
        code, said = ended(process)
        assert code in (0, -number), said
        assert "Traceback" not in said
        assert not is_held(daemon.runtime)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_settings_that_never_end_leave_nobody_behind_when_the_start_is_ended(make_daemon, number):
    daemon = make_daemon(workers=1)
    noted = daemon.directory / "noted"
    daemon.add_setting(f"import time; open({str(noted)!r}, 'w').close(); time.sleep(600)")
    process = start_beside(daemon)
    wait_until(noted.exists, within=20)
    process.send_signal(number)
    assert ended(process)[0] == -number
    wait_until(lambda: daemon.processes() == [], within=20)


def test_an_application_that_cannot_be_imported_ends_the_start_with_70(make_daemon):
    daemon = make_daemon(workers=2)
    break_application(daemon)
    for arguments in ((), ("--daemon",)):
        code, said = ended(start_beside(daemon, *arguments))
        assert code == 70
        assert "ZeroDivisionError" in said
        wait_until(lambda: not is_held(daemon.runtime))


def break_application(daemon: Daemon) -> None:
    daemon.add_app("broken", {"tasks.py": "1 / 0\n"})


def test_in_the_background_the_parent_leaves_when_every_worker_is_up(make_daemon):
    daemon = make_daemon(workers=1)
    code, said = ended(start_beside(daemon, "--daemon", "--workers", "2"))
    assert code == 0, said
    status = daemon.status()
    assert status["problems"] == []
    assert (status["state"], len(status["workers"]), daemon.ready_workers(status)) == ("running", 2, 2)
    assert f"pid {status['pid']}" in said
    assert "ready, 2 workers up" in (daemon.runtime / "bgtasksd.log").read_text()
    code, said = ended(start_beside(daemon, "--daemon", "--log-file", str(daemon.directory / "second.log")))
    assert (code, "already runs here" in said) == (73, True)
    assert not (daemon.directory / "second.log").exists()
    assert daemon.command("stop").returncode == 0
    wait_until(lambda: daemon.processes() == [])


@pytest.mark.skipif(VENDOR != "sqlite", reason="what decides is the same everywhere")
def test_a_start_longer_than_the_time_for_a_renewal_is_none_that_is_late(make_daemon):
    daemon = make_daemon(workers=2, LEASE=3)
    there, later = Path(connection.settings_dict["NAME"]), daemon.directory / "later"
    daemon.add_setting(f"DATABASES['default']['NAME'] = {str(later / there.name)!r}")  # so that nothing is renewed yet
    daemon.add_setting("import time; time.sleep(2.5)")
    daemon.start(is_awaited=False)
    status = wait_until(lambda: (told := daemon.try_status()) and told["state"] != "starting" and told, SLOW_MACHINE)
    assert status["maintenance"]["last_renewal_s"] is None
    assert status["uptime_s"] > 2
    assert (status["state"], status["problems"]) == ("running", [])
    wait_until(lambda: daemon.status()["state"] == "degraded", SLOW_MACHINE)
    assert [problem["code"] for problem in daemon.status()["problems"]] == ["renewal_late"]
    later.symlink_to(there.parent)
    wait_until(lambda: daemon.status()["state"] == "running", SLOW_MACHINE)


def test_in_the_background_wrong_settings_are_told_by_the_parent(make_daemon):
    daemon = make_daemon(workers=1)
    code, said = ended(start_beside(daemon, "--daemon", "--log-file", str(daemon.directory / "nowhere" / "log")))
    assert code == 78
    assert "there is no directory" in said


def test_a_killed_background_start_lets_its_parent_go(make_daemon):
    daemon = make_daemon(workers=1)
    starting = start_beside(daemon, "--daemon")
    pid_file = daemon.runtime / "bgtasksd.pid"
    wait_until(pid_file.exists, within=20)
    os.kill(int(Path(pid_file).read_text().split()[0]), signal.SIGKILL)
    code, _ = ended(starting)
    assert code in (0, 70), "0 if it was ready just before"
