"""Queues with a real daemon: workers that are bound to some, and pauses that count for every worker."""

from __future__ import annotations

import json

import pytest

from bgtasks.models import CompletedTask, Queue, Status, Task, WorkerProcess
from tests.foreground import SLOW_MACHINE
from tests.lifecycle.tasks import quick, stand
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def enqueue(queue: str, count: int) -> None:
    for number in range(count):
        quick.using(queue=queue).enqueue(number)


def done(*queues: str) -> int:
    return CompletedTask.objects.filter(queue__in=queues, outcome=Status.SUCCESSFUL).count()


def slots(queue: str) -> set[int]:
    """Return the slots whose workers have run tasks of a queue."""
    names = CompletedTask.objects.filter(queue=queue).values_list("locked_by", flat=True)
    return {int(name.split(":")[-2]) for name in names}


def command(daemon, *arguments: str, expect: int = 0) -> dict:
    """Run a command of the command line; return what it answers as JSON."""
    ended = daemon.command(*arguments, "--json")
    assert ended.returncode == expect, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


# -- workers bound to queues


def test_workers_serve_the_queues_they_are_bound_to(make_daemon):
    daemon = make_daemon(workers=3).start("--queue", "mail*,sms:2", "--queue", "*,!mail*:1", "--sleep", "0.2s")
    for queue in ("mail", "mail-bulk", "sms", "other"):
        enqueue(queue, 5)
    wait_until(lambda: done("mail", "mail-bulk", "sms", "other") == 20, SLOW_MACHINE, daemon.log)
    assert slots("mail") | slots("mail-bulk") <= {1, 2}
    assert slots("other") == {3}
    workers = daemon.status()["workers"]
    assert [each["queues"] for each in workers] == [["mail*", "sms"], ["mail*", "sms"], ["*", "!mail*"]]
    rows = WorkerProcess.objects.order_by("slot").values_list("slot", "queues")
    assert list(rows) == [(1, "mail*,sms"), (2, "mail*,sms"), (3, "*,!mail*")]
    assert daemon.log_lines(r"^workers     3 processes .* queues: mail\*,sms \(2\), \*,!mail\* \(1\)$")
    shown = daemon.command("status").stdout.splitlines()
    assert "           mail*,sms  2/2 up     *,!mail*  1/1 up" in shown


def test_a_replaced_worker_serves_what_the_one_before_did(make_daemon):
    daemon = make_daemon(workers=2).start("--queue", "mail:1", "--queue", "*,!mail:1", "--sleep", "0.2s")
    for slot in (1, 2):
        daemon.end_worker(slot)
    daemon.wait_until_ready()
    for queue in ("mail", "other"):
        enqueue(queue, 5)
    wait_until(lambda: done("mail", "other") == 10, SLOW_MACHINE, daemon.log)
    assert (slots("mail"), slots("other")) == ({1}, {2})


def test_long_tasks_of_one_queue_do_not_keep_another_waiting(make_daemon):
    daemon = make_daemon(workers=2)
    obstacles = [daemon.ledger_file.with_name(f"stand-{number}") for number in range(3)]
    for number, obstacle in enumerate(obstacles):
        obstacle.touch()
        stand.using(queue="slow").enqueue(number)
    daemon.start("--queue", "slow:1", "--queue", "!slow:1", "--sleep", "0.2s")
    daemon.busy_worker("stand")
    enqueue("mail", 5)
    wait_until(lambda: done("mail") == 5, SLOW_MACHINE, daemon.log)
    assert done("slow") == 0
    for obstacle in obstacles:
        obstacle.unlink()
    wait_until(lambda: done("slow") == 3, SLOW_MACHINE, daemon.log)


# -- pause and resume


def test_a_paused_queue_rests_on_all_workers_until_it_is_resumed(make_daemon):
    enqueue("mail", 1)
    daemon = make_daemon(workers=2).start("--sleep", "0.2s")
    wait_until(lambda: done("mail") == 1, SLOW_MACHINE, daemon.log)
    (paused,) = command(daemon, "pause", "mail", "--reason", "the server is down")["queues"]
    assert (paused["name"], paused["pause"]["reason"], paused["pause"]["until"]) == ("mail", "the server is down", None)
    assert paused["pause"]["by"]
    enqueue("mail", 5)
    for _ in range(3):
        enqueue("other", 5)
    wait_until(lambda: done("other") == 15, SLOW_MACHINE, daemon.log)
    assert done("mail") == 1
    assert Task.objects.filter(queue="mail", status=Status.READY, attempts=0).count() == 5
    figures = wait_until(lambda: [each for each in daemon.status()["queues"] if each["paused"]], SLOW_MACHINE)
    assert [(each["name"], each["pause"]) for each in figures] == [("mail", paused["pause"])]
    assert f"mail  PAUSED by {paused['pause']['by']}" in daemon.command("status").stdout
    assert command(daemon, "resume")["resumed"] == ["mail"]
    wait_until(lambda: done("mail") == 6, SLOW_MACHINE, daemon.log)


def test_idle_workers_begin_at_once_when_a_queue_is_resumed(make_daemon):
    enqueue("mail", 3)
    daemon = make_daemon(workers=2)
    command(daemon, "pause", "mail")
    daemon.start("--sleep", "300s")
    wait_until(lambda: daemon.status()["figures_age_s"] is not None, SLOW_MACHINE)
    assert done("mail") == 0
    command(daemon, "resume", "mail")
    wait_until(lambda: done("mail") == 3, SLOW_MACHINE, daemon.log)


def test_a_pause_outlives_the_daemon(make_daemon):
    enqueue("mail", 3)
    daemon = make_daemon(workers=1)
    command(daemon, "pause", "mail")
    daemon.start("--sleep", "0.2s")
    enqueue("other", 3)
    wait_until(lambda: done("other") == 3, SLOW_MACHINE, daemon.log)
    assert done("mail") == 0
    assert daemon.end() == 0
    command(daemon, "resume", "mail")
    daemon.start("--sleep", "0.2s")
    wait_until(lambda: done("mail") == 3, SLOW_MACHINE, daemon.log)


def test_a_pause_with_an_end_ends_by_itself(make_daemon):
    Queue.objects.create(name="mail")
    daemon = make_daemon(workers=1).start("--sleep", "0.2s")
    (paused,) = command(daemon, "pause", "mail", "--for", "2s")["queues"]
    enqueue("mail", 3)
    wait_until(lambda: done("mail") == 3, SLOW_MACHINE, daemon.log)
    until = Queue.objects.get(name="mail").paused_until
    assert paused["pause"]["until"] is not None
    assert all(task.locked_at >= until for task in CompletedTask.objects.filter(queue="mail"))


def test_a_running_task_of_a_paused_queue_finishes(make_daemon):
    daemon = make_daemon(workers=1)
    obstacle = daemon.ledger_file.with_name("stand-7")
    obstacle.touch()
    stand.using(queue="mail").enqueue(7)
    daemon.start("--sleep", "0.2s")
    daemon.busy_worker("stand")
    command(daemon, "pause", "mail")
    obstacle.unlink()
    wait_until(lambda: done("mail") == 1, SLOW_MACHINE, daemon.log)


def test_an_unknown_queue_is_refused_with_its_neighbour(make_daemon):
    enqueue("mail", 1)
    daemon = make_daemon(workers=1)
    told = command(daemon, "pause", "mial", expect=1)["error"]
    assert (told["code"], told["message"]) == ("unknown_queue", "there is no queue 'mial'; did you mean 'mail'?")
    ended = daemon.command("pause", "reports")
    assert ended.returncode == 1
    assert "there is no queue 'reports'; there are: mail" in ended.stderr
    assert "--new pauses a queue that has had no task yet" in ended.stderr
    assert command(daemon, "pause", "ma*il", expect=2)["error"]["code"] == "usage"
    assert not Queue.objects.paused().exists()
    ended = daemon.command("pause", "reports", "--new", "--for", "1h")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("reports  paused by ")
    ended = daemon.command("resume", "mail", "reports")
    assert ended.stdout == "resumed: reports\nnot paused: mail\n"


def test_without_names_every_queue_there_is_now_is_meant(make_daemon):
    for queue in ("mail", "sms"):
        enqueue(queue, 1)
    daemon = make_daemon(workers=1)
    ended = daemon.command("pause")
    assert ended.stdout.splitlines()[-1] == "a queue that gets its first task later is not paused"
    assert Queue.objects.paused().count() == 2
    assert daemon.command("resume").stdout == "resumed: mail, sms\n"
    assert daemon.command("resume").stdout == "not paused: mail, sms\n"


def test_manage_py_knows_the_same_verbs(transactional_db, capsys):
    from django.core.management import CommandError, call_command

    enqueue("mail", 1)
    call_command("bgtasks", "pause", "mail", "--for", "30m", "--reason", "why")
    assert capsys.readouterr().out.rstrip().endswith(": why")
    call_command("bgtasks", "resume", "--json")
    assert json.loads(capsys.readouterr().out) == {"schema_version": 1, "resumed": ["mail"], "not_paused": []}
    with pytest.raises(CommandError, match="did you mean 'mail'") as refused:
        call_command("bgtasks", "resume", "mial")
    assert refused.value.returncode == 1


def test_process_tasks_serves_patterns_too(make_foreground):
    for queue in ("mail", "mail-bulk", "other"):
        enqueue(queue, 1)
    process = make_foreground().start("--queue", "mail*,!mail-bulk")
    process.wait_until(lambda: done("mail") == 1)
    assert WorkerProcess.objects.get().queues == "mail*,!mail-bulk"
    assert "queues: mail*, !mail-bulk" in process.log
    enqueue("mail-new", 1)
    process.wait_until(lambda: done("mail-new") == 1)
    assert done("mail-bulk", "other") == 0
