"""The client's side: an answer decides, then the lock; and what each sight means for a script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bgtasksd.cli.thresholds import passed_thresholds
from bgtasksd.facts import blank
from bgtasksd.lock import PID_NAME, Lock
from bgtasksd.status import Sight, exit_code, look
from tests.bgtasksd.example import status_facts
from tests.bgtasksd.serving import served

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "status.schema.json").read_text())


def answered(**changes: Any) -> Sight:
    return Sight("answered", Path("/run/x"), {**status_facts(), **changes})


def problem(severity: str) -> dict[str, Any]:
    return {**status_facts()["problems"][0], "severity": severity}


def test_the_example_of_the_documentation_is_valid() -> None:
    jsonschema.validate(status_facts(), SCHEMA)


@pytest.mark.parametrize("state", ["not_running", "unknown"])
def test_a_daemon_that_does_not_answer_has_the_same_keys(state) -> None:
    facts = blank("shop", state)
    jsonschema.validate(facts, SCHEMA)
    assert keys(facts) == keys({**status_facts(), "workers": [], "queues": [], "problems": []})


def keys(value: Any) -> Any:
    return {name: keys(below) for name, below in value.items()} if isinstance(value, dict) else None


def test_a_missing_key_is_not_valid() -> None:
    for name in status_facts():
        facts = status_facts()
        del facts[name]
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(facts, SCHEMA)


def test_a_live_answer_decides(tmp_path) -> None:
    with served(tmp_path, {"status": lambda request: status_facts()}):
        sight = look([tmp_path], "default")
    assert (sight.situation, sight.facts) == ("answered", status_facts())
    assert exit_code(sight) == 0


def test_nothing_there_is_not_running(tmp_path) -> None:
    sight = look([tmp_path / "nowhere"], "shop")
    assert (sight.situation, sight.facts["state"], sight.facts["instance"]) == ("not_running", "not_running", "shop")
    assert exit_code(sight) == 3


def test_a_stale_socket_and_pid_file_are_a_daemon_that_died(tmp_path) -> None:
    (tmp_path / PID_NAME).write_text("4711 1 boot 1.0\n")
    (tmp_path / "control.sock").touch()
    sight = look([tmp_path], "default")
    assert (sight.situation, sight.pid, exit_code(sight)) == ("died", 4711, 3)


def test_a_held_lock_without_an_answer_cannot_be_told(tmp_path) -> None:
    lock = Lock.acquire(tmp_path)
    began = time.monotonic()
    sight = look([tmp_path], "default", patience=0.3)
    lock.release()
    assert (sight.situation, exit_code(sight)) == ("silent", 4)
    assert time.monotonic() - began >= 0.3


def test_a_server_that_accepts_and_says_nothing_is_not_waited_for_longer(tmp_path) -> None:
    def never(request: dict[str, Any]) -> dict[str, Any]:
        time.sleep(1)
        return {}

    with served(tmp_path, {"status": never}):
        assert look([tmp_path], "default", patience=0.3).situation == "silent"


def test_an_answer_that_is_late_but_in_time_counts(tmp_path) -> None:
    def late(request: dict[str, Any]) -> dict[str, Any]:
        time.sleep(0.5)
        return status_facts()

    with served(tmp_path, {"status": late}):
        assert look([tmp_path], "default").situation == "answered"


def test_of_several_places_the_one_that_lives_is_it(tmp_path) -> None:
    stale, live = tmp_path / "stale", tmp_path / "live"
    stale.mkdir()
    live.mkdir()
    (stale / PID_NAME).write_text("4711 1 boot 1.0\n")
    Lock.acquire(stale).release()
    with served(live, {"status": lambda request: status_facts()}):
        assert look([stale, live, tmp_path], "default").directory == live


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_without_permission_it_cannot_be_told(tmp_path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    program = (
        "import os, sys; from pathlib import Path; from bgtasksd.status import exit_code, look; os.setuid(65534);"
        "sight = look([Path(sys.argv[1])], 'default', 0.5); print(sight.situation, exit_code(sight))"
    )
    with served(closed, {"status": lambda request: status_facts()}):
        for path in (tmp_path.parent, tmp_path):
            path.chmod(0o755)
        closed.chmod(0o700)
        told = output_of(program, closed)
        closed.chmod(0o755)  # the socket itself is ours alone
        assert (told, output_of(program, closed)) == ("forbidden 4\n", "forbidden 4\n")


def output_of(program: str, *arguments: object) -> str:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize(
    ("sight", "strict", "code"),
    [
        (answered(), False, 0),
        (answered(), True, 1),
        (answered(problems=[]), True, 0),
        (answered(problems=[problem("error")]), False, 1),
        (answered(problems=[], state="degraded"), False, 1),
        (answered(problems=[], state="failed"), False, 1),
        (answered(problems=[], state="starting"), True, 0),
        (answered(problems=[], state="draining"), True, 0),
        (answered(problems=[], state="stopping"), False, 0),
    ],
)
def test_what_a_sight_means(sight, strict, code) -> None:
    assert exit_code(sight, strict=strict) == code


@pytest.mark.parametrize(
    ("given", "codes"),
    [
        ({}, []),
        ({"max_oldest": 5.0}, []),
        ({"max_oldest": 4.0}, ["oldest_exceeded"]),
        ({"max_oldest": 1.0}, ["oldest_exceeded", "oldest_exceeded"]),
        ({"max_failed": 19}, []),
        ({"max_failed": 18}, ["failed_exceeded"]),
        ({"min_workers": 2}, []),
        ({"min_workers": 3}, ["workers_too_few"]),
        ({"max_failed": 0, "min_workers": 9}, ["failed_exceeded", "workers_too_few"]),
    ],
)
def test_the_callers_thresholds(given, codes) -> None:
    facts = status_facts()
    found = passed_thresholds(facts, **given)
    assert [each["code"] for each in found] == codes
    jsonschema.validate({**facts, "problems": found}, SCHEMA)


def test_a_paused_queue_passes_no_threshold() -> None:
    facts = status_facts()
    for queue in facts["queues"]:
        queue["paused"] = True
    assert passed_thresholds(facts, max_oldest=0.1) == []


def test_looking_imports_neither_django_nor_the_application() -> None:
    program = (
        "import sys, bgtasksd.cli.verbs.status, bgtasksd.cli.verbs.stop\n"
        "print(sorted({'django', 'psutil'} & set(sys.modules)))"
    )
    assert output_of(program) == "[]\n"
