"""Detaching: a real daemon of one line, and what its parent is told."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bgtasksd.daemon import Report

DETACH = """
import os, sys, signal
from bgtasksd.children.fork import fork
from bgtasksd.daemon import Report, context
report = Report()
output = open(sys.argv[1], "a")
def body(mask):
    report.speak()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    with context(output, report):
        {body}
    return 0
fork(body)
code, text = report.listen()
print(code, text)
"""
FACTS = """
        old = os.umask(0); os.umask(old)
        stat = open("/proc/self/stat").read().rpartition(")")[2].split()
        print("umask", oct(old), "cwd", os.getcwd(), "leader", os.getsid(0) not in (os.getpid(), int(sys.argv[2])))
        print("handlers", all(signal.getsignal(s) is signal.SIG_DFL for s in (signal.SIGTERM, signal.SIGTTIN)))
        print("stdin", os.readlink("/proc/self/fd/0"), flush=True)
        report.tell(0, "fine")
        report.tell(70, "too late")
"""


def detached(tmp_path, body: str) -> tuple[str, str]:
    import os

    log = tmp_path / "log"
    told = subprocess.run(
        [sys.executable, "-c", DETACH.format(body=body.strip()), str(log), str(os.getsid(0))],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "PYTHONPATH": str(_repository())},
    )  # fmt: skip
    return told.stdout.strip(), log.read_text()


def _repository():
    from pathlib import Path

    return Path(__file__).parents[2]


def test_every_default_of_python_daemon_is_replaced(tmp_path) -> None:
    told, log = detached(tmp_path, FACTS)
    assert told == "0 fine"
    assert log.splitlines() == [f"umask 0o27 cwd {tmp_path} leader True", "handlers True", "stdin /dev/null"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("report.tell(73, 'already running')", "73 already running"),
        ("os._exit(3)", "70 the daemon ended before it was ready; its log says why"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "70 the daemon ended before it was ready; its log says why"),
    ],
)
def test_the_parent_hears_how_it_went(tmp_path, body, told) -> None:
    assert detached(tmp_path, body)[0] == told


def test_a_parent_that_is_gone_is_none_of_the_daemon_s_trouble():
    report = Report()
    report.speak()  # nobody reads any more
    report.tell(0, "4711")
    assert report.fileno() == -1
