"""F61, F67: the daemon's own new code in place, while tasks run; programs that cannot be executed, or die; storms."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from bgtasksd.children.process import run_state
from bgtasksd.connection import Connection
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes
DIES_AFTER_ITS_CHECK = """
import os
if os.environ.get("BGTASKSD_HANDOVER", "").isdigit():
    os._exit(70)
"""


def stand(daemon, count: int) -> list[Path]:
    """Have tasks run until their files are gone; return the files."""
    obstacles = [daemon.directory / f"stand-{number}" for number in range(count)]
    for number, obstacle in enumerate(obstacles):
        obstacle.touch()
        tasks.stand(number)
    wait_until(lambda: len(daemon.ledger("ran")) == count, within=20)
    return obstacles


def let_end(daemon) -> None:
    """Return when nothing is under way or waiting: what is ordered last is served with all that was ordered before."""
    for order in (("upgrade",), ("reload", "--wait")):
        ended = daemon.command(*order, "--timeout", "55")
        assert ended.returncode == 0, ended.stderr


def lasting(status: dict) -> dict:
    """Return what an upgrade does not change."""
    workers = [(each["slot"], each["pid"], each["task"], each["done"]) for each in status["workers"]]
    kept = {name: status[name] for name in ("pid", "started_at", "workers_target", "totals", "zygote", "database")}
    return {**kept, "workers": workers, "database": {**status["database"], "last_contact_s": None}}


def test_an_upgrade_goes_on_in_the_same_process_and_no_worker_notices(make_daemon):
    daemon = make_daemon(workers=1).start()
    obstacles = stand(daemon, 1)
    assert daemon.command("scale", "2", "--wait").returncode == 0
    tasks.quick(1)
    wait_until(lambda: daemon.status()["totals"]["done"] == 1, within=20)
    before = lasting(daemon.status())
    daemon.add_setting("1 / 0")  # the reload that follows is refused: all stays as it was
    upgraded = daemon.command("upgrade", "--timeout", "60")
    assert upgraded.returncode == 0, upgraded.stderr + daemon.log
    assert "a reload follows" in upgraded.stdout
    wait_until(lambda: daemon.log_lines("reload failed"), within=60)
    assert lasting(daemon.status()) == before
    assert "ready, 1 worker up" in daemon.command("events").stdout
    obstacles[0].unlink()
    daemon.workers = 2
    daemon.assert_each_ran_once(2)
    daemon.end_worker(1)
    wait_until(lambda: daemon.is_ready, within=20)
    assert daemon.end() == 0


def test_a_drain_that_is_to_end_the_daemon_still_does_after_an_upgrade(make_daemon):
    daemon = make_daemon(workers=2).start()
    obstacles = stand(daemon, 1)
    with Connection(daemon.runtime) as operator:
        assert operator.ask("drain", exit=True, wait=True)["running"] == 1
        assert daemon.command("upgrade", "--timeout", "60").returncode == 0, daemon.log
        wait_until(lambda: daemon.log_lines("reloaded in"), within=60)
        tasks.quick(1)
        obstacles[0].unlink()
        operator.be_patient(60)
        while not (told := operator.read())["is_over"]:
            pass
    assert told["exits"]
    assert daemon.wait_for_end() == 0
    assert [entry["number"] for entry in daemon.ledger("ran")] == [0], "drained: nothing else begins"


def test_f61_storms_of_upgrades_and_reloads_converge_and_every_task_runs_once(make_daemon):
    daemon = make_daemon(workers=2).start()
    obstacles = stand(daemon, 1)
    for number in range(1, 200):
        tasks.quick(number)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        for order in (signal.SIGUSR2, signal.SIGHUP):
            daemon.process.send_signal(order)
        time.sleep(0.01)
    let_end(daemon)
    upgrades, reloads = len(daemon.log_lines("upgraded: ")), len(daemon.log_lines("reloaded in"))
    assert 1 <= upgrades <= reloads < 50, "hundreds of orders of each"
    for obstacle in obstacles:
        obstacle.unlink()
    daemon.assert_each_ran_once(200)
    daemon.assert_converged()
    assert len(daemon.processes()) == 3 + 2
    assert not daemon.log_lines("upgrade failed|reload failed|Traceback")


def own_python(daemon) -> Path:
    """Have the daemon run by an interpreter of its own, which can be taken away."""
    home = daemon.directory / "own"
    (home / "bin").mkdir(parents=True)
    shutil.copy(Path(sys.prefix, "pyvenv.cfg"), home)
    (home / "lib").symlink_to(Path(sys.prefix, "lib"))
    python = home / "bin" / "python"
    python.symlink_to(Path(sys.executable).resolve())
    daemon.wrapper = ["sh", "-c", f'shift; exec "{python}" "$@"', "sh"]
    return python


def test_f67_a_program_that_cannot_be_executed_or_dies_at_import_is_refused(make_daemon):
    daemon = make_daemon(workers=1)
    python = own_python(daemon)
    before = daemon.start().worker_pids()
    python.unlink()
    refused = daemon.command("upgrade", "--timeout", "60")
    assert refused.returncode == 1
    assert "cannot be executed: ENOENT" in refused.stderr
    python.write_text("no program")
    assert "EACCES" in daemon.command("upgrade", "--timeout", "60").stderr
    python.unlink()
    python.symlink_to(Path(sys.executable).resolve())
    (daemon.directory / "bgtasksd.py").write_text("import no_such_module\n")
    daemon.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: daemon.log_lines("No module named 'no_such_module'"), within=60)
    (daemon.directory / "bgtasksd.py").unlink()
    daemon.assert_converged()
    assert daemon.worker_pids() == before
    assert len(daemon.log_lines("upgrade failed, version .* goes on")) == 3


def test_f67_when_the_new_program_dies_its_workers_finish_and_a_restart_goes_on(make_daemon):
    daemon = make_daemon(workers=2, ORPHAN_TIMEOUT=2.6).start()
    obstacles = stand(daemon, 1)
    workers = daemon.worker_pids()
    (daemon.directory / "sitecustomize.py").write_text(DIES_AFTER_ITS_CHECK)
    daemon.process.send_signal(signal.SIGUSR2)
    assert daemon.wait_for_end() == 70
    obstacles[0].unlink()
    wait_until(lambda: all(run_state(pid) in ("", "Z") for pid in workers), within=20)
    (daemon.directory / "sitecustomize.py").unlink()
    daemon.start()
    tasks.quick(1)
    daemon.assert_each_ran_once(2)
    daemon.assert_converged()
