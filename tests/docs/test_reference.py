"""The reference: what exists is documented, what is documented exists."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import pytest
from django.core.management import load_command_class

from tests.docs.pages import ROOT, code_in, column, section

IN_DAEMON_MD = (
    *("status", "stop", "scale", "drain", "retire", "kill", "reload", "upgrade", "top", "events", "stacks", "metrics"),
    *("log-level", "reopen", "check", "healthcheck", "completion", "install-systemd"),
)
"""Verbs whose options stand in a table of that page, in a section of their own."""
ELSEWHERE = {
    "pause resume": ("queues.md", "Pausing a queue"),
    "prune": ("history.md", "By hand"),
    "tasks": ("inspecting.md", "Filters", "Changing tasks"),
    "import-celery-beat import-django-q": ("schedulers.md", "Taking schedules over"),
    "import-legacy": ("migration.md", "The way over, in ten minutes"),
}
OF_EVERY_VERB = {"-h", "--help", "--instance", "--runtime-dir", "--json", "--no-color"}


def test_every_option_of_start_is_documented_and_every_documented_one_exists() -> None:
    from bgtasksd.option_table import TABLE

    documented = code_in(column(section("daemon.md", "Options of `start`")))
    existing = {flag for option in TABLE for flag in (option.flag, option.other_flag) if flag}
    assert {word for word in documented if word.startswith("--")} == existing | {"--check-config"}


def test_the_options_are_documented_with_their_keys() -> None:
    from bgtasksd.option_table import TABLE

    text = section("daemon.md", "Options of `start`")
    flags = [cell.strip("`").split()[0] for cell in column(text)[1:]]
    documented = dict(zip(flags, [cell.strip("`") for cell in column(text, 2)[1:]], strict=True))
    for option in TABLE:
        assert documented[option.flag] == (option.key if option.is_key else "–")


@pytest.mark.parametrize(
    ("verbs", "page", "headings"),
    [
        *((verb, "daemon.md", [f"`{verb}`"]) for verb in IN_DAEMON_MD),
        *((verbs, page, headings) for verbs, (page, *headings) in ELSEWHERE.items()),
    ],
)
def test_every_option_of_the_other_verbs_is_documented_and_every_documented_one_exists(verbs, page, headings) -> None:
    from bgtasksd.cli.parser import build

    _, parsers = build()
    meant = [parser for name, parser in parsers.items() if name in verbs.split() or name.startswith(f"{verbs} ")]
    existing = {flag for parser in meant for action in parser._actions for flag in action.option_strings}
    documented = {word for heading in headings for word in code_in(column(section(page, heading)))}
    assert {word for word in documented if word.startswith("-")} == existing - OF_EVERY_VERB


def test_every_settings_key_is_documented_and_every_documented_one_exists() -> None:
    from bgtasks.conf import READERS

    documented = [cell.strip("`") for name in ("Tasks", "The daemon") for cell in column(section("settings.md", name))]
    assert sorted(set(documented) - {"key"}) == sorted(READERS)
    assert len(documented) - documented.count("key") == len(READERS), "a key stands there twice"


def test_every_check_is_documented_and_every_documented_one_exists() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "bgtasks").rglob("*.py"))
    documented = {cell.strip("`") for cell in column(section("settings.md", "System checks"))} - {"id"}
    assert documented == {f"bgtasks.{number}" for number in re.findall(r"\b([EW]0\d\d)\b", sources)}


def test_every_option_of_using_and_of_the_decorator_is_documented() -> None:
    from bgtasks.task_options import DecoratorOptions, UsingOptions

    table = section("tasks.md", "Options")
    names = [cell.strip("`") for cell in column(table)[1:]]
    for option, at in ((DecoratorOptions, 1), (UsingOptions, 2)):
        positional = {"name", "schedule", "queue", "remove_existing_tasks", "takes_context"} if at == 1 else set()
        documented = {name for name, cell in zip(names, column(table, at)[1:], strict=True) if cell == "yes"}
        assert documented == set(option.__annotations__) | positional


def test_every_signal_is_documented_and_every_documented_one_exists() -> None:
    from django.dispatch import Signal

    from bgtasks import signals

    existing = {name for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert {cell.strip("`") for cell in column(section("tasks.md", "Signals"))} - {"signal"} == existing


def test_every_option_of_process_tasks_is_documented_and_every_documented_one_exists() -> None:
    parser = load_command_class("bgtasks", "process_tasks").create_parser("manage.py", "process_tasks")
    of_django = load_command_class("django.core", "check").create_parser("manage.py", "check")
    common = {flag for action in of_django._actions for flag in action.option_strings}
    existing = {flag for action in parser._actions for flag in action.option_strings} - common
    documented = code_in(column(section("tasks.md", "One worker without the daemon")))
    assert {flag for flag in documented if flag.startswith("--")} == existing


def test_every_exit_code_is_documented_and_every_documented_one_is_used() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "bgtasksd").rglob("*.py"))
    used = {"0", *(code for code in ("1", "2", "3", "4", "70", "73", "78") if re.search(rf"\b{code}\b", sources))}
    table = section("daemon.md", "Exit codes")
    head = next(line for line in table.splitlines() if line.startswith("| command"))
    assert {cell.strip() for cell in head.strip("|").split("|")} - {"command"} == used


@pytest.fixture
def schema() -> dict:
    path = ROOT / "docs/status.schema.json"
    return json.loads(path.read_text())


def test_every_key_of_status_is_documented(schema: dict) -> None:
    documented = {word.rpartition("[].")[2] for word in code_in(section("daemon.md", "Keys of `status --json`"))}
    documented = {word.removesuffix("[]") for word in documented}
    assert keys(schema, schema) <= documented


def test_every_documented_key_of_status_exists(schema: dict) -> None:
    table = section("daemon.md", "Keys of `status --json`")
    words = {word.removesuffix("[]") for cell in column(table)[1:] for word in code_in(cell)}
    assert {word.rpartition("[].")[2] for word in words} <= keys(schema, schema)


def test_every_problem_that_status_reports_is_documented_and_every_documented_one_exists() -> None:
    sources = "".join((ROOT / "bgtasksd" / name).read_text() for name in ("problems.py", "cli/thresholds.py"))
    reported = set(re.findall(r"\b_?[Pp]roblem\(\s*\"(\w+)\"", sources))
    assert code_in(column(section("daemon.md", "Problems"))) == reported


def keys(schema: dict, part: object) -> set[str]:
    """Return the names of all properties in a JSON schema, its definitions included."""
    found: set[str] = set()
    if isinstance(part, dict):
        found |= set(part.get("properties", {}))
        for value in part.values():
            found |= keys(schema, value)
    elif isinstance(part, list):
        for value in part:
            found |= keys(schema, value)
    return found


def test_every_field_of_the_settings_has_a_key() -> None:
    from bgtasks.conf import READERS, Conf

    assert {field.name.upper() for field in fields(Conf)} == set(READERS)
