"""The supervisor's log never blocks: real pipes that nobody reads, readers that died, sockets, files that are moved."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bgtasksd.log_streams import LONGEST_LINE, pieces

HEAD = """
import logging, sys, os, time
from bgtasks.output import formatter, FoldingHandler
from bgtasksd import journal
def configure(kind="text", log_file=None, **more):
    journal.configure(formatter(kind, sys.stderr), log_file, handler_in_child=FoldingHandler, **more)
log = logging.getLogger("bgtasksd")
"""
FLOOD = """
configure("{kind}")
for turn in range(3000):
    log.info("turn %d %s", turn, "x" * 60)
print("through", flush=True)
sys.stdin.readline()
log.info("and again")
"""


def program(text: str, *arguments: str) -> list[str]:
    return [sys.executable, "-uc", HEAD + text, *arguments]


def stall(kind: str) -> tuple[bytes, bytes]:
    """Let a flood run into a pipe that nobody reads, then read; return what stood in it and what came after."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(program(FLOOD.format(kind=kind)), **pipes) as writer:
        assert writer.stdout.readline() == b"through\n"
        os.set_blocking(writer.stderr.fileno(), False)
        first = writer.stderr.read()
        os.set_blocking(writer.stderr.fileno(), True)
        writer.stdin.write(b"\n")
        writer.stdin.flush()
        return first, writer.stderr.read()


def test_a_stalled_reader_blocks_nothing_and_hears_how_much_was_dropped() -> None:
    first, rest = stall("text")
    kept = first.count(b"turn ")
    assert 0 < kept < 3000
    assert all(line.endswith(b"x") for line in first.splitlines()), "no line is cut"
    assert f"{3000 - kept:,} log records were dropped" in rest.decode()
    assert b"and again" in rest


def test_what_was_dropped_is_said_in_the_form_of_the_log() -> None:
    _, rest = stall("json")
    lines = [json.loads(line) for line in rest.splitlines()]
    assert "dropped" in lines[-2]["message"]
    assert lines[-1]["message"] == "and again"


def test_a_dead_reader_ends_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    text = 'configure()\nfor turn in range(100): log.info("x")\nprint("alive")'
    ended = subprocess.run(program(text), stderr=writer, stdout=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stdout) == (0, b"alive\n")


def test_a_socket_for_stderr_is_written_without_waiting() -> None:
    ours, theirs = socket.socketpair()
    text = 'configure()\nfor turn in range(20000): log.info("turn %d", turn)\nprint("through")'
    with ours, theirs:
        ended = subprocess.run(program(text), stderr=theirs, stdout=subprocess.PIPE, timeout=60, check=False)
        assert ended.stdout == b"through\n"
        assert b"turn 0" in ours.recv(65536)


def test_the_shared_stderr_stays_blocking_for_the_workers() -> None:
    text = "configure()\nprint(os.get_blocking(2))"
    ended = subprocess.run(program(text), capture_output=True, timeout=60, check=True)
    assert ended.stdout == b"True\n"


def test_lines_to_a_file_are_appended_by_all_processes(tmp_path) -> None:
    text = 'configure()\nlog.info("parent")\njournal.continue_in_child()\nlog.info("child")\n'
    text += 'configure()\nlog.info("again")'
    with (tmp_path / "log").open("w") as file:
        subprocess.run(program(text), stderr=file, timeout=60, check=True)
    told = (tmp_path / "log").read_text().splitlines()
    assert [line.split()[-1] for line in told] == ["parent", "child", "again"]


def test_a_log_file_that_was_moved_away_is_begun_anew(tmp_path) -> None:
    text = """
configure(log_file=sys.argv[1])
log.info("one"); os.rename(sys.argv[1], sys.argv[1] + ".1"); log.info("two")
journal.continue_in_child()
os.rename(sys.argv[1], sys.argv[1] + ".2"); log.info("three")
"""
    path = tmp_path / "log"
    subprocess.run(program(text, str(path)), timeout=60, check=True)
    for name, word in (("log.1", "one"), ("log.2", "two"), ("log", "three")):
        assert (tmp_path / name).read_text().split()[-1] == word


def test_a_child_logs_what_a_settings_module_would_have_silenced() -> None:
    text = """
configure(); logging.getLogger("bgtasks.worker"); journal.continue_in_child()
import logging.config
logging.config.dictConfig({"version": 1})  # disables every logger there is
log.info("lost"); journal.continue_in_child(); logging.getLogger("bgtasks.worker").info("heard")
"""
    ended = subprocess.run(program(text), stderr=subprocess.PIPE, timeout=60, check=True)
    assert b"heard" in ended.stderr
    assert b"lost" not in ended.stderr


@pytest.mark.parametrize(("explicit", "form"), [("False", b"THEIRS heard\n"), ("True", b"heard\n")])
def test_a_settings_module_may_choose_the_form_unless_the_command_line_did(explicit, form) -> None:
    text = f"""
configure(is_explicit={explicit}); journal.continue_in_child()
import logging.config
logging.config.dictConfig({{"version": 1, "disable_existing_loggers": False,
  "formatters": {{"f": {{"format": "THEIRS %(message)s"}}}},
  "handlers": {{"h": {{"class": "logging.StreamHandler", "formatter": "f"}}}},
  "root": {{"handlers": ["h"], "level": "INFO"}}}})
journal.continue_in_child(); log.info("heard")
"""
    ended = subprocess.run(program(text), stderr=subprocess.PIPE, timeout=60, check=True)
    assert ended.stderr.endswith(form)
    assert ended.stderr.count(b"heard") == 1


def test_f44_what_a_full_file_did_not_take_is_counted_and_the_lines_after_it_are_whole(tmp_path) -> None:
    text = """
import resource
configure("json", sys.argv[1])
log.info("first")
resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
for turn in range(5): log.info("turn %d", turn)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.info("last")
"""
    path = tmp_path / "log"
    subprocess.run(program(text, str(path)), timeout=60, check=True)
    first, *others, told, last = path.read_text().splitlines()
    assert json.loads(first)["message"] == "first"
    lost = 5 - sum(line.endswith("}") for line in others)
    assert json.loads(told)["message"] == f"{lost} log records were dropped: the file could not be written"
    assert json.loads(last)["message"] == "last"


def test_a_full_disk_costs_records_and_no_process() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    text = 'configure()\nlog.info("x")\njournal.continue_in_child()\nlog.info("y")\nprint("alive")'
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(program(text), stderr=full, stdout=subprocess.PIPE, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, b"alive\n")


def test_pieces_are_whole_lines_below_the_atomic_size() -> None:
    text = "\n".join(f"line {number} " + "x" * 100 for number in range(200))
    found = pieces(text)
    assert b"".join(found).decode() == text + "\n"
    assert all(len(piece) <= LONGEST_LINE and piece.endswith(b"\n") for piece in found)


def test_an_endless_line_is_cut_but_json_is_not() -> None:
    (cut,) = pieces("ü" * 10000)
    assert len(cut) <= LONGEST_LINE
    cut.decode()
    line = json.dumps({"text": "x" * 10000})
    assert b"".join(pieces(line)) == line.encode() + b"\n"


def test_the_banner_is_a_record_like_any_other(caplog) -> None:
    from bgtasksd.journal import announce

    with caplog.at_level(logging.INFO, "bgtasksd"):
        announce("tasks", "2 found")
    assert caplog.records[-1].getMessage() == "tasks       2 found"
    assert (caplog.records[-1].event, caplog.records[-1].label) == ("banner", "tasks")
