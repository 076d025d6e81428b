"""F61, F62, F64, F65: new code and settings without a pause, refused when they cannot work; storms of orders."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone

from bgtasks.models import Status, Task, WorkerProcess
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def wait_until_reloaded(daemon, within: float = 60.0) -> None:
    """Wait until no reload is under way. One that waits begins a moment later."""
    wait_until(
        lambda: len(daemon.log_lines("  reloading$")) == len(daemon.log_lines("  reload(ed in| failed)")),
        within,
        f"no reload; log:\n{daemon.log}",
    )


def test_a_reload_replaces_every_worker_and_says_so(make_daemon, systemd):
    address, listen = systemd
    daemon = make_daemon(workers=2)
    daemon.variables = {"NOTIFY_SOCKET": address}
    before = daemon.start().worker_pids()
    daemon.add_setting("BGTASKS = {**BGTASKS, 'LOG_FILE': 'elsewhere.log', 'HTTP': '9808'}")
    reloaded = daemon.command("reload", "--wait", "--timeout", "60")
    assert reloaded.returncode == 0, reloaded.stderr + daemon.log
    assert "generation 2, 2 workers" in reloaded.stdout
    steps = ["reloading…", "options read", "application loaded", "application checked"]
    pairs = enumerate(zip(before, daemon.worker_pids(), strict=True), start=1)
    assert reloaded.stderr.splitlines() == [*steps, *(f"w{slot}  pid {old} → {new}" for slot, (old, new) in pairs)]
    daemon.assert_converged()
    status = daemon.status()
    assert (status["state"], status["zygote"]["generation"]) == ("running", 2)
    assert status["totals"]["recycled"]["reload"] == 2
    assert {worker["last_exit"] for worker in status["workers"]} == {"reload"}
    assert daemon.log_lines("in force only after a restart: log_file, http")
    heard = [line.partition("=")[0] for line in listen() if line.startswith(("READY", "RELOADING", "MONOTONIC"))]
    assert heard == ["READY", "RELOADING", "MONOTONIC_USEC", "READY"]


def test_new_workers_have_the_new_code_and_the_new_limits(make_daemon):
    daemon = make_daemon(workers=1).start()
    sell = "from bgtasks import background\nfrom tests.project.tasks import note\n@background\ndef sell():\n"
    daemon.add_app("shop", {})
    daemon.add_setting("BGTASKS = {**BGTASKS, 'MAX_TASKS': 1}")
    for price in (1, 2):
        (daemon.directory / "shop" / "tasks.py").write_text(f"{sell}    note('sold', price={price})\n")
        assert daemon.command("reload", "--wait", "--timeout", "60").returncode == 0, daemon.log
        with transaction.atomic():  # a task that is not known here
            Task.objects.filter(pk=tasks.quick.enqueue().id).update(task_name="shop.tasks.sell")
        wait_until(lambda price=price: price in [entry["price"] for entry in daemon.ledger("sold")], within=20)
    wait_until(lambda: len(daemon.log_lines("left: max_tasks")) == 2, within=20)
    daemon.assert_converged()


def test_a_project_without_a_default_database_is_reloaded(make_daemon):
    daemon = make_daemon(workers=1)
    daemon.add_setting("DATABASES = {'default': {}, 'tasks': DATABASES['default']}")
    daemon.add_setting("BGTASKS = {**BGTASKS, 'DATABASE': 'tasks'}")
    daemon.add_setting("class Router:")
    daemon.add_setting("    def db_for_read(self, *_, **hints): return 'tasks'")
    daemon.add_setting("    db_for_write = db_for_read")
    daemon.add_setting("    def allow_migrate(self, alias, *_, **hints): return alias == 'tasks'")
    daemon.add_setting("DATABASE_ROUTERS = [Router()]")
    daemon.start()
    reloaded = daemon.command("reload", "--wait", "--timeout", "60")
    assert reloaded.returncode == 0, reloaded.stderr
    daemon.assert_converged()


BROKEN = {
    "a syntax error": ({"tasks.py": "def broken(:\n"}, "SyntaxError"),
    "a failing system check": (
        {
            "__init__.py": "from django.core.checks import Error, register\n"
            "register(lambda **_: [Error('the shelves are empty')])\n"
        },
        "the shelves are empty",
    ),
    "an unapplied migration": (
        {
            "migrations/__init__.py": "",
            "migrations/0001_initial.py": "from django.db import migrations\n"
            "class Migration(migrations.Migration):\n    operations = []\n",
        },
        ".0001_initial. Run: python manage.py migrate",
    ),
    "a check that dies": (
        {
            "__init__.py": "import os\nfrom django.core.checks import register\n"
            "register(lambda **_: os.kill(os.getpid(), 9))\n"
        },
        "SIGKILL",
    ),
}
SETTINGS = {
    "bad options": ("BGTASKS = {**BGTASKS, 'LEASE': 1}", "LEASE"),
    "settings that cannot be imported": ("1 / 0", "ZeroDivisionError"),
    "another database": ("DATABASES['default']['NAME'] += '-2'", "that needs a restart"),
}


def test_f64_what_cannot_work_is_refused_and_the_old_code_goes_on(make_daemon, systemd):
    daemon = make_daemon(workers=1)
    daemon.variables = {"NOTIFY_SOCKET": systemd[0]}
    before = daemon.start().worker_pids()
    settings = daemon.settings_file
    good = settings.read_text()
    for number, (what, (given, expected)) in enumerate({**BROKEN, **SETTINGS}.items(), start=1):
        settings.write_text(good)
        if isinstance(given, str):
            daemon.add_setting(given)
        else:
            daemon.add_app(f"shop{number}", given)
        refused = daemon.command("reload", "--wait", "--timeout", "60")
        assert refused.returncode == 1, what
        assert expected in refused.stderr, what
        assert systemd[1]().count("READY=1") == number + 1
        assert [
            (each["code"], each["severity"], expected in each["message"]) for each in daemon.status()["problems"]
        ] == [("reload_failed", "warning", True)], what
    assert daemon.worker_pids() == before
    settings.write_text(good)
    assert daemon.command("reload", "--wait", "--timeout", "60").returncode == 0
    assert not daemon.status()["problems"]
    daemon.assert_converged()


def test_f64_when_the_first_replacement_does_not_come_up_the_old_generation_goes_on(make_daemon):
    daemon = make_daemon(workers=2).start()
    before = daemon.worker_pids()
    dies_in_workers = (
        "import os\nfrom bgtasksd.zygote import polling\ndef die(*_):\n    os._exit(9)\npolling.make_polling = die\n"
    )
    daemon.add_app("shop", {"tasks.py": dies_in_workers})
    refused = daemon.command("reload", "--wait", "--timeout", "120")
    assert refused.returncode == 1
    assert "w1: 3 new workers did not come up" in refused.stderr
    assert daemon.worker_pids() == before
    daemon.end_worker(2)  # the old zygote forks again
    daemon.assert_converged()
    assert daemon.status()["zygote"]["generation"] == 1


DIES_WHERE_ASKED = """
import os
from bgtasksd.zygote import polling
make_polling = polling.make_polling
def make_or_die(birth, *rest):
    if os.path.exists(f"dies-{birth.generation}-{birth.slot}"):
        os._exit(9)
    return make_polling(birth, *rest)
polling.make_polling = make_or_die
"""


def have_die(daemon, *named: str) -> None:
    """Have workers die while they boot: those of these generations and slots, and no others."""
    for file in daemon.directory.glob("dies-*"):
        file.unlink()
    for each in named:
        (daemon.directory / f"dies-{each}").touch()


def generations(daemon) -> list[int]:
    return [worker["generation"] for worker in daemon.status()["workers"]]


def problem_codes(daemon) -> list[str]:
    return [problem["code"] for problem in daemon.status()["problems"]]


def test_f64_when_a_later_replacement_does_not_come_up_the_earlier_ones_go_back(make_daemon):
    daemon = make_daemon(workers=2)
    daemon.add_app("shop", {"tasks.py": DIES_WHERE_ASKED})
    before = daemon.start().worker_pids()
    have_die(daemon, "2-2")
    refused = daemon.command("reload", "--wait", "--timeout", "120")
    assert refused.returncode == 1
    assert "w2: 3 new workers did not come up" in refused.stderr
    assert "back to generation 1" in refused.stderr
    assert generations(daemon) == [1, 1]
    assert (daemon.worker_pids()[0] != before[0], daemon.worker_pids()[1]) == (True, before[1])
    assert problem_codes(daemon) == ["reload_failed"]
    daemon.assert_converged()


def test_generations_that_stay_mixed_are_said_and_the_next_reload_mends_it(make_daemon):
    daemon = make_daemon(workers=2)
    daemon.add_app("shop", {"tasks.py": DIES_WHERE_ASKED})
    daemon.start()
    have_die(daemon, "2-2", "1-1")
    refused = daemon.command("reload", "--wait", "--timeout", "120")
    assert refused.returncode == 1
    assert "w2: 3 new workers did not come up; the log says why; then w1: 3 new" in refused.stderr
    assert generations(daemon) == [2, 1]
    assert problem_codes(daemon) == ["reload_failed", "generations_mixed"]
    assert "generation 1: w1 not" in daemon.command("status").stdout
    have_die(daemon)
    reloaded = daemon.command("reload", "--wait", "--timeout", "60", "--json")
    assert reloaded.returncode == 0, daemon.log
    assert [json.loads(line)["is_over"] for line in reloaded.stdout.splitlines()] == [False] * 5 + [True], "every step"
    assert generations(daemon) == [3, 3]
    assert not problem_codes(daemon)
    daemon.assert_converged()


def test_f66_a_scale_during_a_reload_wins_and_nobody_busy_is_cut(make_daemon):
    daemon = make_daemon(workers=2).start()
    tasks.nap(2.0)
    daemon.busy_worker("nap")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: daemon.status()["state"] == "reloading")
    for number in (signal.SIGTTIN, signal.SIGTTIN, signal.SIGTTOU):
        daemon.process.send_signal(number)
        wait_until(lambda: daemon.status()["workers_target"] > 2)
    daemon.workers = 3
    wait_until_reloaded(daemon)
    wait_until(lambda: daemon.ledger("ended"), within=20)
    wait_until(lambda: daemon.is_ready, within=20)
    assert {worker["state"] for worker in daemon.status()["workers"]} == {"idle"}
    assert daemon.status()["zygote"]["generation"] == 2


def test_f65_a_reload_while_every_worker_is_in_a_long_task_serves_beside_them(make_daemon):
    daemon = make_daemon(workers=2).start()
    obstacles = [daemon.directory / f"stand-{number}" for number in range(2)]
    for number, obstacle in enumerate(obstacles):
        obstacle.touch()
        tasks.stand(number)
    wait_until(lambda: len(daemon.ledger("ran")) == 2, within=20)
    before = daemon.worker_pids()
    order_and_await(daemon, lambda: assert_leases_hold(2) or daemon.log_lines("reloaded in"))
    assert not set(before) & set(daemon.worker_pids())
    tasks.quick(2)
    until = time.monotonic() + 6  # longer than a lease
    order_and_await(daemon, lambda: assert_leases_hold(2) or time.monotonic() > until)
    assert daemon.status()["state"] == "reloading", "the second reload has to wait for room"
    assert set(before) < set(workers_of(daemon))
    assert len(workers_of(daemon)) == 4
    for obstacle in obstacles:
        obstacle.unlink()
    wait_until_reloaded(daemon)
    daemon.assert_converged()
    assert daemon.status()["zygote"]["generation"] == 3
    daemon.assert_each_ran_once(3)


def order_and_await(daemon, condition) -> None:
    assert daemon.command("reload").returncode == 0
    wait_until(condition, within=60)


def assert_leases_hold(count: int) -> None:
    """Check that so many tasks are held, and none of them longer than its lease."""
    held = Task.objects.filter(status=Status.RUNNING, task_name__endswith=".stand")
    ends = list(held.values_list("locked_until", flat=True))
    assert len(ends) == count
    assert all(end > timezone.now() for end in ends)


def workers_of(daemon) -> list[int]:
    """Return the pids of all its workers, those that leave included."""
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    known = set(WorkerProcess.objects.values_list("pid", flat=True))
    return sorted({int(pid) for pid in children} & known)


def test_f61_storms_of_orders_become_few_reloads_and_every_task_runs_once(make_daemon):
    daemon = make_daemon(workers=2).start()
    for number in range(300):
        tasks.quick(number)
    for _ in range(5000):
        daemon.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 6
    while time.monotonic() < until:
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.01)
    last = daemon.command("reload", "--wait", "--timeout", "55")  # served with all that was ordered before
    assert last.returncode == 0, last.stderr
    steps = ["ends" if "reloaded in" in line else "begins" for line in daemon.log_lines("  reloading$|reloaded in")]
    assert steps == (["begins", "ends"] * len(steps))[: len(steps)], "one at a time"
    assert 1 <= len(steps) // 2 < 50, "thousands of orders"
    daemon.assert_converged()
    assert len(daemon.processes()) == 3 + 2
    daemon.assert_each_ran_once(300)


def test_f62_a_stop_ends_a_reload_and_no_reload_begins_in_a_stop(make_daemon):
    daemon = make_daemon(workers=2, DRAIN_TIMEOUT=60).start()
    tasks.nap(1.5)
    daemon.busy_worker("nap")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: daemon.status()["state"] == "reloading")
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
        daemon.process.send_signal(number)
    refused = daemon.command("reload")
    assert refused.returncode in (1, 3)
    assert daemon.wait_for_end() == 0
    assert len(daemon.ledger("ended")) == 1
    assert len(daemon.log_lines("  reloading$")) == 1
    assert not daemon.processes()
