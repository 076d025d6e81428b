"""`status`, `check` and `healthcheck`: what each of them makes of every situation a daemon can be in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bgtasksd.cli import main
from bgtasksd.lock import PID_NAME, Lock
from tests.bgtasksd.example import status_facts
from tests.bgtasksd.serving import served

PROBES = (("status",), ("check",), ("healthcheck", "--live"), ("healthcheck", "--ready"))
AWAY = {"code": "database_unreachable", "severity": "error", "subject": "default", "message": "no contact for 40 s",
        "since": None, "fix": "python manage.py dbshell"}  # fmt: skip
SHORT = {**AWAY, "code": "workers_below_target", "subject": None, "message": "1 of 2 workers are ready"}
PERFORMANCE = re.compile(r"(\w+=[\d.]+(s|B|%)?(;[\d.]*){0,4} ?)+")


def codes(directory: Path) -> list[int]:
    return [main([*probe, "--runtime-dir", str(directory)]) for probe in PROBES]


def idle(state: str) -> dict[str, Any]:
    return {**status_facts()["workers"][1], "state": state}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": "running"}, [0, 0, 0, 0]),
        ({"state": "starting"}, [0, 1, 0, 1]),
        ({"state": "draining"}, [0, 1, 0, 1]),
        ({"state": "stopping"}, [0, 1, 0, 1]),
        ({"state": "reloading"}, [0, 1, 0, 0]),
        ({"state": "degraded", "problems": [SHORT]}, [1, 1, 0, 0]),
        ({"state": "degraded", "problems": [AWAY]}, [1, 1, 0, 1]),
        ({"state": "degraded", "problems": [SHORT], "workers": [idle("backoff")]}, [1, 1, 0, 1]),
        ({"state": "failed", "workers": [idle("backoff")]}, [1, 2, 0, 1]),
        ({"state": "running", "workers_target": 0, "workers": []}, [0, 0, 0, 0]),
    ],
    ids=lambda value: value.get("state", "") if isinstance(value, dict) else "",
)
def test_what_a_daemon_that_answers_means_to_each_probe(tmp_path, changes, expected) -> None:
    with served(tmp_path, {"status": lambda request: {**status_facts(), **changes}}):
        assert codes(tmp_path) == expected


def test_what_a_daemon_that_is_not_there_or_died_means_to_each_probe(tmp_path) -> None:
    assert codes(tmp_path / "nowhere") == [3, 2, 1, 1]
    (tmp_path / PID_NAME).write_text("4711 1 boot 1.0\n")
    assert codes(tmp_path) == [3, 2, 1, 1]


def test_f56_what_a_held_lock_without_an_answer_means_to_each_probe(tmp_path) -> None:
    lock = Lock.acquire(tmp_path)
    try:
        running = [subprocess.Popen(command(*probe, at=tmp_path), stderr=subprocess.DEVNULL) for probe in PROBES]
        assert [process.wait(60) for process in running] == [4, 2, 1, 1]
    finally:
        lock.release()


def command(*arguments: str, at: Path) -> list[str]:
    return [sys.executable, "-m", "bgtasksd", *arguments, "--runtime-dir", str(at)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_a_daemon_that_may_not_be_asked_means_to_each_probe(tmp_path) -> None:
    # a first look imports what the second needs: the interpreter itself may lie where only root can read
    as_nobody = (
        "import os, sys; from bgtasksd.cli import main; main([*sys.argv[1:-1], '/nowhere']);"
        "os.setuid(65534); sys.exit(main(sys.argv[1:]))"
    )
    with served(tmp_path, {"status": lambda request: status_facts()}):
        tmp_path.chmod(0o700)
        told = [
            subprocess.run(
                [sys.executable, "-c", as_nobody, *probe, "--runtime-dir", str(tmp_path)], check=False, timeout=60
            ).returncode
            for probe in PROBES
        ]
    assert told == [4, 3, 1, 1]


@pytest.mark.parametrize(("verb", "code"), [("status", 2), ("check", 3), ("healthcheck", 1)])
def test_bad_usage_has_the_exit_code_of_whoever_asks(capsys, monkeypatch, verb, code) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--nonsense"])
    assert ended.value.code == code
    assert capsys.readouterr().err.startswith("bgtasksd: ")
    monkeypatch.setenv("BGTASKSD_INSTANCE", "a/b")
    assert main([verb, *(["--live"] if verb == "healthcheck" else [])]) == code


def test_healthcheck_wants_to_know_which_probe_it_is(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["healthcheck"])
    assert ended.value.code == 1
    assert "--live" in capsys.readouterr().err


def test_check_prints_one_line_with_performance_data(tmp_path, capsys) -> None:
    odd = {**AWAY, "message": "no | contact\nfor \x1b[31m40 s"}
    with served(tmp_path, {"status": lambda request: {**status_facts(), "state": "degraded", "problems": [odd]}}):
        main(["check", "--max-oldest", "1m", "--runtime-dir", str(tmp_path)])
    text, performance = capsys.readouterr().out.removesuffix("\n").split(" | ")
    assert re.fullmatch(r"BGTASKS WARNING - 2/2 workers, default: no / contact[^\x1b\n]*40 s", text)
    assert PERFORMANCE.fullmatch(performance)
    assert "busy=1;;;0;2 queue_lag=4.2s;60;;0 failed=19;;;0 memory=224395264B" in performance


def test_check_takes_the_thresholds_of_status(tmp_path, capsys) -> None:
    with served(tmp_path, {"status": lambda request: status_facts()}):
        for passed in (["--max-oldest", "3s"], ["--max-failed", "18"], ["--min-workers", "3"]):
            assert main(["check", *passed, "--runtime-dir", str(tmp_path)]) == 1
            assert capsys.readouterr().out.startswith("BGTASKS WARNING - 2/2 workers, ")
        assert main(["check", "-q", "--max-oldest", "5s", "--runtime-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""


def test_healthcheck_prints_nothing_when_fit_and_else_the_reason_on_stderr(tmp_path, capsys) -> None:
    with served(tmp_path, {"status": lambda request: {**status_facts(), "state": "starting"}}):
        main(["healthcheck", "--live", "--runtime-dir", str(tmp_path)])
        assert capsys.readouterr() == ("", "")
        main(["healthcheck", "--ready", "--runtime-dir", str(tmp_path)])
    assert capsys.readouterr() == ("", "bgtasksd: it is starting\n")


def test_both_answer_with_one_object_where_json_is_asked_for(tmp_path, capsys) -> None:
    with served(tmp_path, {"status": lambda request: status_facts()}):
        main(["check", "--json", "--runtime-dir", str(tmp_path)])
        assert json.loads(capsys.readouterr().out)["verdict"] == "OK"
        main(["healthcheck", "--ready", "--json", "--runtime-dir", str(tmp_path)])
        assert json.loads(capsys.readouterr().out) == {"schema_version": 1, "fit": True, "reason": None}


def test_the_probes_import_neither_django_nor_the_project() -> None:
    program = (
        "import sys; from bgtasksd.cli import main; main([*sys.argv[1:], '--runtime-dir', '/nowhere']);"
        "sys.exit('django' in sys.modules)"
    )
    for probe in PROBES[1:]:
        subprocess.run([sys.executable, "-c", program, *probe], check=True, capture_output=True, timeout=60)
