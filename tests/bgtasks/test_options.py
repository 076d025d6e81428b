"""The options of a worker in the foreground."""

from __future__ import annotations

from argparse import ArgumentParser

import pytest
from django.core.management import CommandError, call_command

from bgtasks.options import add_worker_arguments, duration_of, queues_of, sleep_of


def parse(*arguments):
    parser = ArgumentParser()
    add_worker_arguments(parser)
    return vars(parser.parse_args(arguments))


def test_every_option_has_a_default_and_a_help_text():
    parser = ArgumentParser()
    add_worker_arguments(parser)
    assert all(action.help for action in parser._actions)
    assert parse() == {
        "duration": 0,
        "sleep": 5.0,
        "concurrency": 1,
        "queue": None,
        "log_file": None,
        "log_std": False,
        "log_level": None,
        "dev": False,
    }


def test_options_are_read_as_the_heritage_did():
    given = parse(
        "--duration", "59", "--sleep", "0.5", "--log-level", "DEBUG", "--log-file", "x.log", "--log-std", "--dev"
    )
    assert (given["duration"], given["sleep"], given["log_level"], given["dev"]) == (59, 0.5, "DEBUG", True)


def test_an_unknown_log_level_is_refused(capsys):
    with pytest.raises(SystemExit):
        parse("--log-level", "LOUD")
    assert "DEBUG" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "queues"),
    [(None, None), ([], None), ("", None), ("mail", ("mail",)), (["mail", "reports"], ("mail", "reports"))],
)
def test_queues_come_as_a_string_or_a_list(given, queues):
    assert queues_of({"queue": given}) == queues
    assert queues_of(parse("--queue", "mail", "--queue", "reports")) == ("mail", "reports")
    assert queues_of(parse("--queue", "mail*,!mail-bulk")) == ("mail*", "!mail-bulk")


def test_queues_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="only at the end"):
        queues_of({"queue": ["ma*il"]})
    with pytest.raises(CommandError, match="--queue: '!' names no queue") as refused:
        call_command("process_tasks", queue="!")
    assert refused.value.returncode == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"queue": "mail:2"}, "--queue: 'mail:2' says a number of workers, and this is one: write 'mail', and --conc"),
        ({"queue": ["slow", "mail*,sms: 3"]}, "--queue: 'sms: 3' says .* is written 'sms: 3:1'"),
        ({"queue": "mail:"}, "--queue: 'mail:' says"),
        ({"queue": "mail:0"}, "--queue: 'mail:0' says"),
        ({"queue": ":1"}, "--queue: the name of a queue is empty"),
        ({"concurrency": 0}, "--concurrency: 0 tasks side by side: between 1 and 1,000"),
        ({"concurrency": -1}, "--concurrency: -1 tasks"),
        ({"sleep": -1.0}, "--sleep: -1.0 is not a duration: it must be zero or more"),
        ({"sleep": float("nan")}, "--sleep: nan is not a duration"),
        ({"duration": 10**11}, "--duration: 100000000000 is not a duration: .* at most a hundred years"),
        ({"log_file": "/nowhere/at/all.log"}, "--log-file: /nowhere/at/all.log: there is no directory /nowhere/at"),
        ({"log_file": "/tmp"}, "--log-file: /tmp: it is a directory"),
    ],
)
@pytest.mark.usefixtures("_no_start")
def test_what_cannot_be_is_refused_before_anything_starts(wrong, said):
    with pytest.raises(CommandError, match=f"^{said}") as refused:
        call_command("process_tasks", **wrong)
    assert refused.value.returncode == 2


@pytest.fixture
def _no_start(monkeypatch):
    from bgtasks.management.foreground import starting

    monkeypatch.setattr(starting, "prepare", lambda: pytest.fail("it has started"))


def test_a_queue_may_have_a_colon_in_its_name():
    assert queues_of({"queue": "mail:fast,!tenant:7b"}) == ("mail:fast", "!tenant:7b")
    assert queues_of({"queue": "tenant:7:1,mail*:1"}) == ("tenant:7", "mail*")


def test_no_pause_at_all_is_possible():
    assert sleep_of(parse("--sleep", "0")) == 0.0


@pytest.mark.parametrize(("given", "duration"), [(0, None), (-1, None), (None, None), (59, 59.0)])
def test_zero_and_less_is_for_ever(given, duration):
    assert duration_of({"duration": given}) == duration
