"""The service under a real systemd: start, stop, watchdog, kill modes, exit codes, sandbox."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from bgtasks.models import CompletedTask, Status
from tests.lifecycle import tasks
from tests.systemd.service import UNIT
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def test_it_is_active_when_every_worker_is_up_and_gone_when_stopped(service) -> None:
    pid = service.start()
    assert service.show("ActiveState") == "active"
    assert service.show("StatusText") == "2/2 workers up, 0 busy"
    runtime = service.daemon.runtime
    assert runtime.stat().st_mode & 0o777 == 0o700
    assert service.daemon.status()["pid"] == pid
    assert sorted(service.processes()) == sorted(service.daemon.processes())
    service.stop()
    assert (service.show("ActiveState"), service.show("Result"), service.processes()) == ("inactive", "success", [])
    assert runtime.is_dir(), "the sockets of others may lie below it"


def test_a_drain_may_take_longer_than_the_time_that_systemd_gives(service) -> None:
    service.configure("TimeoutStopSec=2s")
    service.start()
    obstacle = stop_during_a_task(service)
    enough = time.monotonic() + 3
    wait_until(lambda: time.monotonic() > enough or service.show("ActiveState") != "deactivating")
    assert service.show("ActiveState") == "deactivating", service.daemon.log
    obstacle.unlink()
    service.wait_for("ActiveState", "inactive")
    assert service.show("Result") == "success"
    assert CompletedTask.objects.get().status == Status.SUCCESSFUL


def stop_during_a_task(service) -> Path:
    """Begin to stop the service while a task stands at an obstacle; return that."""
    obstacle = service.daemon.directory / "stand-1"
    obstacle.touch()
    tasks.stand.enqueue(1)
    service.wait_for("StatusText", "2/2 workers up, 1 busy")
    service.manager.systemctl("stop", "--no-block", UNIT)
    service.wait_for("StatusText", "stopping: 1 worker left")
    return obstacle


def test_f56_the_watchdog_aborts_a_supervisor_that_stands_still_and_starts_another(service) -> None:
    service.configure("WatchdogSec=3s")
    pid = service.start()
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: service.pid not in (0, pid) and service.daemon.is_ready, 40, service.daemon.log)
    assert "Fatal Python error: Aborted" in service.daemon.log
    assert "loop.py" in service.daemon.log, "the stack says where it stood"
    tasks.quick.enqueue(1)
    wait_until(lambda: service.daemon.ledger("ran"), 20)


def test_f52_a_supervisor_killed_with_its_zygote_leaves_an_empty_control_group(service) -> None:
    service.configure("Restart=no")
    pid = service.start()
    tasks.hang.enqueue()
    service.daemon.busy_worker("hang")
    left = service.processes()
    assert len(left) >= 5
    for victim in (pid, service.daemon.status()["zygote"]["pid"]):
        os.kill(victim, signal.SIGKILL)
    service.wait_for("ActiveState", "failed")
    assert (service.show("Result"), service.processes(), service.daemon.processes()) == ("signal", [], [])
    assert service.daemon.command("status").returncode == 3
    assert "died" in service.daemon.command("check").stdout


def test_f63_a_signal_to_every_process_of_the_group_ends_no_task(service) -> None:
    service.configure("KillMode=control-group")
    service.start()
    stop_during_a_task(service).unlink()
    service.wait_for("ActiveState", "inactive")
    assert service.show("Result") == "success"
    assert CompletedTask.objects.get().status == Status.SUCCESSFUL
    assert service.processes() == []


def test_a_project_that_fails_to_load_is_tried_again(service) -> None:
    models = add_app(service, "raise RuntimeError('not deployed yet')\n")
    service.manager.systemctl("start", "--no-block", UNIT)
    wait_until(lambda: int(service.show("NRestarts")) >= 1, 30, service.daemon.log)
    assert service.show("ExecMainStatus") in ("0", "70")
    assert "not deployed yet" in service.daemon.log
    models.write_text("")
    service.wait_for("ActiveState", "active")


@pytest.mark.parametrize(
    ("code", "arguments", "wrong"), [(2, " --nonsense", ""), (78, "", "BGTASKS = {'MAX_AGEE': 1}")]
)
def test_what_trying_again_cannot_change_is_not_tried_again(service, code, arguments, wrong) -> None:
    started = service.show("ExecStart").partition("argv[]=")[2].partition(" ;")[0]
    service.daemon.add_setting(wrong)
    service.configure("ExecStart=", f"ExecStart={started}{arguments}")
    assert service.manager.systemctl("start", UNIT, check=False).returncode != 0
    service.wait_for("ActiveState", "failed")
    assert (service.show("ExecMainStatus"), service.show("NRestarts")) == (str(code), "0")


def test_an_instance_that_runs_already_is_not_tried_again(service) -> None:
    service.daemon.runtime.mkdir(mode=0o700, exist_ok=True)
    service.daemon.start()
    assert service.manager.systemctl("start", UNIT, check=False).returncode != 0
    service.wait_for("ActiveState", "failed")
    assert (service.show("ExecMainStatus"), service.show("NRestarts")) == ("73", "0")
    assert service.daemon.is_ready


def add_app(service, models: str) -> Path:
    """Add an app to the project whose models are this text; return its file."""
    service.daemon.add_app("another_app", {"models.py": models})
    return service.daemon.directory / "another_app" / "models.py"


def test_the_daemon_does_all_its_work_in_the_tightest_sandbox(service) -> None:
    service.daemon.variables["BGTASKSD_MAX_RUN_TIME"] = "1"
    service.install_sandboxed("hardened")
    pid = service.start()
    held = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert (held["Seccomp"], held["NoNewPrivs"], int(held["CapEff"], 16)) == ("2", "1", 0)
    tasks.hang.enqueue()
    wait_until(lambda: service.daemon.ledger("interrupted"), 20, service.daemon.log)
    service.daemon.end_worker(1)
    tasks.quick.enqueue(1)
    wait_until(lambda: service.daemon.ledger("ran"), 20, service.daemon.log)
    touched = ["nsenter", f"--mount=/proc/{pid}/ns/mnt", "touch", "/etc/bgtasksd-test"]
    assert "Read-only file system" in subprocess.run(touched, capture_output=True, text=True, check=False).stderr
    assert "not permitted" not in service.daemon.log
    service.stop()
    assert service.show("Result") == "success"


def test_a_reload_is_waited_for_and_one_that_is_refused_leaves_the_service_as_it_was(service) -> None:
    models = add_app(service, "")
    pid = service.start()
    old = service.daemon.worker_pids()
    service.manager.systemctl("reload", UNIT)
    assert not {*old} & {*service.daemon.worker_pids()}
    assert (service.show("ActiveState"), service.pid) == ("active", pid)
    models.write_text("raise RuntimeError('not deployed yet')\n")
    kept = service.daemon.worker_pids()
    assert service.manager.systemctl("reload", UNIT, check=False).returncode != 0
    assert (service.show("ActiveState"), service.daemon.worker_pids()) == ("active", kept)
    models.write_text("")
    os.kill(pid, signal.SIGHUP)
    service.wait_for("ActiveState", "reloading")
    service.wait_for("ActiveState", "active")
    assert not {*kept} & {*service.daemon.worker_pids()}
    assert service.show("NRestarts") == "0"


def test_an_upgrade_is_the_same_service_that_goes_on_and_its_watchdog_is_fed_by_the_new_program(service) -> None:
    service.configure("WatchdogSec=3s")
    pid = service.start()
    obstacle = service.daemon.directory / "stand-1"
    obstacle.touch()
    tasks.stand.enqueue(1)
    busy = service.daemon.busy_worker("stand")
    upgraded = service.daemon.command("upgrade", "--timeout", "60")
    assert upgraded.returncode == 0, upgraded.stderr + service.daemon.log
    enough = time.monotonic() + 4
    wait_until(lambda: time.monotonic() > enough and service.daemon.log_lines("reloaded in"), 60, service.daemon.log)
    service.wait_for("StatusText", "2/2 workers up, 1 busy")
    assert (service.pid, service.show("NRestarts"), service.show("ActiveState")) == (pid, "0", "active")
    assert busy["pid"] in service.processes(), "it finishes beside its replacement"
    obstacle.unlink()
    wait_until(CompletedTask.objects.exists, 20)
    assert (CompletedTask.objects.get().status, CompletedTask.objects.get().attempts) == (Status.SUCCESSFUL, 1)
    service.stop()
    assert (service.show("Result"), service.processes()) == ("success", [])


CHECK = "bgtasksd-healthcheck.service"


def test_the_timer_runs_a_check_that_fails_only_for_what_is_critical_and_never_starts_the_daemon(service) -> None:
    service.install_sandboxed("healthcheck")
    assert check(service).returncode != 0
    assert service.show("ActiveState") == "inactive"
    pid = service.start()
    timer = service.manager.units / CHECK.replace(".service", ".timer")
    timer.write_text(timer.read_text().replace("1min", "100ms").replace("10s", "10ms"))
    service.manager.systemctl("daemon-reload")
    service.manager.systemctl("start", timer.name)
    wait_until(lambda: service.daemon.log.count("BGTASKS OK - 2/2 workers") >= 2, 20, service.daemon.log)
    service.manager.systemctl("stop", timer.name)
    assert check(service, "--min-workers 3").returncode == 0
    assert "BGTASKS WARNING - 2/2 workers, 2 workers are up, wanted 3" in service.daemon.log
    os.kill(pid, signal.SIGSTOP)
    assert check(service).returncode != 0
    os.kill(pid, signal.SIGCONT)
    assert service.manager.show(CHECK, "ExecMainStatus") == "2"
    assert "BGTASKS CRITICAL" in service.daemon.log


def check(service, arguments: str = "") -> subprocess.CompletedProcess[str]:
    """Run the service that the timer runs, and wait for its end."""
    called = service.manager.show(CHECK, "ExecStart").partition("argv[]=")[2].partition(" ;")[0]
    drop_in = service.manager.units / f"{CHECK}.d" / "95-arguments.conf"
    drop_in.write_text(f"[Service]\nExecStart=\nExecStart={called} {arguments}\n")
    service.manager.systemctl("daemon-reload")
    service.manager.systemctl("stop", CHECK)  # a start would join one that the timer has begun
    return service.manager.systemctl("start", CHECK, check=False)
