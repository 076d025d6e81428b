"""Log lines for people, machines and the journal; folding; tables and colour."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from typing import Any

import pytest

from bgtasks import output
from bgtasks.output import FoldingHandler, Folds, JournalFormatter, JsonFormatter, LineFormatter


def record(message: str = "hello", level: int = logging.INFO, error: BaseException | None = None, **facts: Any) -> Any:
    made = logging.LogRecord("bgtasks.worker", level, "", 0, message, (), error and (type(error), error, None))
    vars(made).update(facts)
    return made


def task(outcome: str = "successful", **facts: Any) -> Any:
    level = logging.ERROR if outcome in ("retry", "failed") else logging.INFO
    told = {
        "event": "task", "task_id": 48213, "task_name": "shop.tasks.ping", "queue": "default", "attempt": 1,
        "max_attempts": 25, "outcome": outcome, "duration": 0.21, "waited": 0.04, "retry_in": None,
        "worker": "host:main:2:ab12",
    }  # fmt: skip
    return record(level=level, **{**told, **facts})


def line(made: Any) -> str:
    return LineFormatter(timestamps=False).format(made)


def test_a_success_is_one_line_with_its_time() -> None:
    assert line(task()).split() == ["w2", "48213", "shop.tasks.ping", "done", "0.21", "s", "(waited", "0.04", "s)"]


def test_a_failure_says_why_and_what_follows_then_its_traceback_then_where_to_read_more() -> None:
    first, *below = line(task("retry", error=KeyError("sku"), retry_in=6.0)).split("\n")
    assert "FAILED  KeyError: 'sku'   attempt 1 of 25, next in 6 s" in first
    assert below[-2].strip() == "KeyError: 'sku'"
    assert below[-1].strip() == "in the admin: bgtasks/task/48213/change/"


def test_a_final_failure_leads_to_the_history() -> None:
    text = line(task("failed", error=ValueError("x"), attempt=25))
    assert "attempt 25 of 25, no further attempt" in text
    assert text.endswith("bgtasks/completedtask/48213/change/")


@pytest.mark.parametrize(
    ("outcome", "word"), [("released", "given back"), ("lost", "claim lost"), ("cancelled", "cancelled")]
)
def test_each_outcome_has_its_word(outcome: str, word: str) -> None:
    assert word in line(task(outcome))


def test_nobody_else_s_text_can_move_the_cursor_or_forge_a_line() -> None:
    text = line(task("retry", task_name="a\x1b[2Jb", error=ValueError("x\n12:00:00  w1 1 forged \x1b[31m"), retry_in=6))
    assert "\x1b" not in text
    assert "forged" in text.split("\n")[0]
    assert "\x1b" not in line(record("evil \x1b]0;title\x07"))


@pytest.mark.parametrize("raised", [ValueError, SystemExit])
def test_an_error_without_a_text_of_its_own_has_its_line_all_the_same(raised: type[BaseException]) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise raised

    assert "MuteError: <exception str() failed>   attempt 1" in line(task("failed", error=MuteError())).split("\n")[0]
    told = json.loads(JsonFormatter().format(task("failed", error=MuteError())))
    assert told["error"] == "MuteError: <exception str() failed>"


def test_an_endless_message_is_cut_in_the_middle() -> None:
    text = line(task("failed", error=ValueError("x" * 1_000_000)))
    assert len(text) < 50_000
    assert "left out" in text


def test_warnings_say_so_in_words() -> None:
    assert line(record("disk full", logging.WARNING)) == "warning  disk full"


def test_colour_adds_nothing_but_colour() -> None:
    made = task("retry", error=KeyError("sku"), retry_in=6.0)
    coloured = LineFormatter(colour=True, timestamps=False).format(made)
    assert coloured.replace("\x1b[31m", "").replace("\x1b[0m", "") == line(made)


def test_json_has_one_object_a_line_with_units_in_its_names() -> None:
    text = JsonFormatter().format(task("retry", error=KeyError("sku"), retry_in=6.0))
    told = json.loads(text)
    assert "\n" not in text
    assert (told["task_id"], told["duration_s"], told["retry_in_s"], told["level"]) == ("48213", 0.21, 6.0, "error")
    assert told["time"].endswith("+00:00")
    assert told["error"] == "KeyError: 'sku'"
    assert "KeyError" in told["traceback"]


def test_json_writes_what_it_cannot_hold_as_text() -> None:
    assert json.loads(JsonFormatter().format(record(thing=object)))["thing"] == str(object)


def test_every_line_in_the_journal_has_its_priority_and_no_time() -> None:
    lines = JournalFormatter().format(task("retry", error=KeyError("sku"), retry_in=6.0)).split("\n")
    assert len(lines) > 1
    assert all(one.startswith("<3>") for one in lines)
    assert JournalFormatter().format(record("up")) == "<6>up"


def test_the_journal_is_known_by_its_own_stream_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with open(reader), open(writer, "w") as stream:  # noqa: PTH123
        at = os.fstat(writer)
        monkeypatch.setenv("JOURNAL_STREAM", f"{at.st_dev}:{at.st_ino}")
        assert isinstance(output.formatter("auto", stream), JournalFormatter)
        assert isinstance(output.formatter("json", stream), JsonFormatter)
        monkeypatch.setenv("JOURNAL_STREAM", "1:2")
        assert isinstance(output.formatter("text", stream), LineFormatter)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def folding(limit: int = 20) -> tuple[Clock, io.StringIO, FoldingHandler]:
    clock, stream = Clock(), io.StringIO()
    handler = FoldingHandler(stream, Folds(limit, clock))
    handler.setFormatter(LineFormatter(timestamps=False))
    return clock, stream, handler


def test_more_than_twenty_successes_a_second_fold_to_one_line_a_name() -> None:
    clock, stream, handler = folding()
    for number in range(1224):
        handler.emit(task(task_name="shop.tasks.ping", duration=0.0004, task_id=number))
    handler.emit(task(task_name="shop.tasks.pong"))
    clock.now = 1.0
    handler.emit_folded()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 22
    assert lines[20].split() == ["w2", "1,204", "×", "shop.tasks.ping", "done", "mean", "0.4", "ms"]
    assert "1 × shop.tasks.pong" in lines[21]


def test_failures_never_fold() -> None:
    _, stream, handler = folding(limit=1)
    for _ in range(50):
        handler.emit(task())
        handler.emit(task("failed"))
    assert stream.getvalue().count("FAILED") == 50


def test_while_they_come_fast_every_second_is_one_line_and_then_single_lines_return() -> None:
    clock, stream, handler = folding(limit=2)
    for second, count in enumerate([5, 5, 1, 2]):
        clock.now = float(second)
        for _ in range(count):
            handler.emit(task())
    handler.close()
    told = [one.split("shop")[0].split()[1:] for one in stream.getvalue().splitlines()]
    assert told == [["48213"], ["48213"], ["3", "×"], ["5", "×"], ["1", "×"], ["48213"], ["48213"]]


def test_silent_loggers_get_a_handler_and_others_are_left_alone() -> None:
    code = (
        "import logging; from bgtasks import output;"
        "logging.getLogger('bgtasksd').addHandler(logging.NullHandler());"
        "attached = output.attach_if_silent(); again = output.attach_if_silent();"
        "logging.getLogger('bgtasks.worker').info('heard'); print(len(attached), len(again))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1", "0"]
    assert ran.stderr.endswith("heard\n")


def test_a_table_is_aligned_and_numbers_stand_to_the_right() -> None:
    text = output.table([["mail", 4812], ["default", 3]], ["queue", "ready"])
    assert text == "queue    ready\nmail     4,812\ndefault      3"
    assert output.table([]) == ""


def test_a_table_is_cut_to_a_width_at_its_longest_cells() -> None:
    rows = [["1", "m" * 190, "shop.tasks.send_the_mail"], ["2", "mail", "shop.tasks.sell"]]
    lines = output.table(rows, ["id", "queue", "name"], width=40).split("\n")
    assert lines == [
        "id  queue              name",
        "1   mmmmmmmmmmmmmmmm…  shop.tasks.send_…",
        "2   mail               shop.tasks.sell",
    ]
    assert output.table(rows, width=10).split("\n")[0] == "1  mmmmmmm…  shop.ta…", "not cut to nothing"
    assert "m" * 190 in output.table(rows)


def test_capped_counts_say_so() -> None:
    assert [output.format_count(n, 10_000) for n in (4812, 10_000, 10_001)] == ["4,812", "10,000", "10,000+"]


@pytest.mark.parametrize(
    ("environment", "is_terminal", "wanted"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colour_is_for_terminals(
    environment: dict[str, str], is_terminal: bool, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    stream.isatty = lambda: is_terminal  # type: ignore[method-assign]
    assert output.wants_colour(stream) is wanted
