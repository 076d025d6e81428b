"""What `manage.py check` says about bgtasks. Ids are stable; every hint names the line to write."""

from __future__ import annotations

import inspect
import logging
import re
import traceback
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, register, run_checks
from django.core.checks import Warning as Caution
from django.db import router
from django.db.utils import ConnectionDoesNotExist

from bgtasks import conf, registry
from bgtasks.discovery import autodiscover
from bgtasks.models import Task
from bgtasks.queue.engines import engine
from bgtasks.queue.own_processes import is_wal
from bgtasks.tasks import CALL_NAMES

TAG = "bgtasks"
logger = logging.getLogger("bgtasks.maintenance")
JOURNAL_MODE = re.compile(r"PRAGMA\s+journal_mode\s*=\s*\w+\s*;?\s*", re.IGNORECASE)
SQLITE_PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
WITHOUT_EFFECT = {
    "BACKGROUND_TASK_RUN_ASYNC": "bgtasksd start --workers 4",
    "BACKGROUND_TASK_ASYNC_THREADS": "bgtasksd start --workers 4",
    "BACKOFF_MULTIPLIER": 'BGTASKS["BACKOFF"] = [10, 60, 600]',
    "BACKGROUND_TASK_MAX_ATTEMPTS": 'BGTASKS["MAX_ATTEMPTS"] = 25',
    "BACKGROUND_TASK_MAX_RUN_TIME": 'BGTASKS["MAX_RUN_TIME"] = 3600',
}
"""Heritage setting → what does today what its name says."""


def refusals() -> list[CheckMessage]:
    """Return the errors for which no worker may start."""
    return [message for message in run_checks(tags=[TAG]) if message.is_serious() and not message.is_silenced()]


@register(TAG)
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """E001, E002, E006: settings that cannot be. W002, W004, W008, W010: settings that surprise."""
    found = [_message(Error, problem.text, problem.hint, problem.check) for problem in conf.problems()]
    return [*(found or _database()), *_shadowed(), *_without_effect()]


def _database() -> Iterator[CheckMessage]:
    alias = conf.current().database
    if alias not in settings.DATABASES:
        text = f"BGTASKS['DATABASE'] is {alias!r}, which is not in DATABASES"
        known = ", ".join(settings.DATABASES)
        yield _message(Error, text, f"There are: {known}. Write: BGTASKS['DATABASE'] = 'default'", "E002")
    elif alias != "default":
        text = f"Tasks are in the database {alias!r}: a rollback of 'default' does not take back what was enqueued"
        hint = 'If that is meant, write: SILENCED_SYSTEM_CHECKS = ["bgtasks.W004"]'
        yield _message(Caution, text, hint, "W004")
    yield from strict_isolation()


@register(TAG)
def check_relations(**kwargs: Any) -> list[CheckMessage]:
    """E009: rows that would keep a task from ending. W009: the ORM and the workers look in different places."""
    if conf.problems() or conf.current().database not in settings.DATABASES:
        return []
    return [*_holding_tasks(), *_elsewhere()]


def _holding_tasks() -> Iterator[CheckMessage]:
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.local_fields:
            if getattr(field, "db_constraint", False) and _is_task(field.related_model):
                where = f"{model._meta.label}.{field.name}"
                text = f"{where} refers to Task with a constraint: a task that is over leaves that table, and could not"
                hint = f"Write: {where} with db_constraint=False and on_delete=DO_NOTHING, or keep the id instead"
                yield _message(Error, text, hint, "E009")


def _is_task(model: Any) -> bool:
    return isinstance(model, type) and issubclass(model, Task)


def _elsewhere() -> Iterator[CheckMessage]:
    alias = conf.current().database
    others = {router.db_for_read(Task), router.db_for_write(Task)} - {alias}
    if others:
        other = min(others)
        text = f"The ORM and the admin look for tasks in the database {other!r}, workers in {alias!r}"
        line = f'BGTASKS["DATABASE"] = {other!r}'
        if other == "default":
            line = 'DATABASE_ROUTERS = ["bgtasks.routers.TasksRouter"]'
        yield _message(Caution, text, f"Write: {line}", "W009")


def _shadowed() -> Iterator[CheckMessage]:
    for name, key in conf.HERITAGE_NAMES.items():
        if hasattr(settings, name) and key in conf.given_keys():
            text = f"{name} and BGTASKS[{key!r}] are both set; only the latter counts"
            yield _message(Caution, text, f"Remove the line: {name} = {getattr(settings, name)!r}", "W002")


def _without_effect() -> Iterator[CheckMessage]:
    for name, instead in WITHOUT_EFFECT.items():
        if hasattr(settings, name):
            yield _message(Caution, f"{name} has no effect", f"Remove it; what it says is done by: {instead}", "W008")


@register(TAG)
def check_tasks(**kwargs: Any) -> list[CheckMessage]:
    """E004, E005, E007: tasks that no worker could run. W007: functions that the bare call does not suit."""
    if conf.problems():
        return []
    try:
        autodiscover()
    except Exception as error:  # noqa: BLE001 - whatever a module raises is shown
        text = f"A task module cannot be imported.\n{''.join(traceback.format_exception(error))}"
        advice = getattr(error, "__notes__", ["Correct the error above."])[-1]
        return [_message(Error, text, advice, "E007")]
    return [*_duplicates(), *_unreachable(), *_reserved_names()]


def _duplicates() -> Iterator[CheckMessage]:
    for name, functions in registry.duplicates().items():
        text = f"{len(functions)} functions are tasks under the one name {name!r}: {', '.join(functions)}"
        yield _message(Error, text, f'Name one of them apart: @background(name="{name}_2")', "E004")


def _unreachable() -> Iterator[CheckMessage]:
    for name, function in _functions():
        if getattr(function, "__module__", None) == "__main__":
            text = f"The task {name!r} is defined in the program started, which no worker imports"
            yield _message(Error, text, "Move it into the tasks.py of an app: myapp/tasks.py", "E005")


def _reserved_names() -> Iterator[CheckMessage]:
    for name, function in _functions():
        try:
            taken = [one for one in inspect.signature(function).parameters if one in CALL_NAMES]
        except (TypeError, ValueError):
            continue
        if taken:
            text = f"The task {name!r} has the parameter {taken[0]!r}, which the bare call takes for itself"
            yield _message(Caution, text, f"Pass it so: {name.rpartition('.')[2]}.enqueue({taken[0]}=...)", "W007")


def _functions() -> Iterator[tuple[str, Any]]:
    for name in registry.names():
        task = registry.get(name)
        if task is not None:
            yield name, task.task_function


@register(TAG, deploy=True)
def check_deployment(**kwargs: Any) -> list[CheckMessage]:
    """W001: SQLite as a fresh project has it. W006: history that grows for ever."""
    return [] if conf.problems() else [*slow_sqlite(), *_kept_for_ever()]


def slow_sqlite() -> Iterator[CheckMessage]:
    """Find what SQLite lacks for several processes; the hint holds the whole OPTIONS to write."""
    alias = conf.current().database
    database = settings.DATABASES.get(alias, {})
    if not str(database.get("ENGINE", "")).endswith("sqlite3") or (_has_wal(database) and _is_immediate(database)):
        return
    lacking = " and ".join(["WAL"] * (not _has_wal(database)) + ["IMMEDIATE"] * (not _is_immediate(database)))
    text = (
        f'SQLite ({alias}) runs without {lacking}: beside workers, the writes of other processes can fail as "locked"'
    )
    yield _message(Caution, text, f'Write: DATABASES["{alias}"]["OPTIONS"] = {_sqlite_options(database)!r}', "W001")


def strict_isolation() -> Iterator[CheckMessage]:
    """Find a database that refuses what several workers do at the same time."""
    alias = conf.current().database
    try:
        is_too_strict = engine().is_too_strict
    except (ConnectionDoesNotExist, KeyError):  # no database of ours: others say so
        return
    if is_too_strict:
        text = (
            f"PostgreSQL ({alias}) isolates transactions more strictly than READ COMMITTED: workers that do something"
            " at the same time are refused, and a task with atomic=True that runs longer than a third of LEASE, or"
            " tells its progress, cannot be committed"
        )
        line = f'DATABASES["{alias}"]["OPTIONS"].pop("isolation_level")'
        yield _message(Caution, text, f"Write, at least in the settings of the workers: {line}", "W010")


def mention_database() -> None:
    """Say in the log of a process that runs tasks what is wrong with its database."""
    for message in (*slow_sqlite(), *strict_isolation()):
        if not message.is_silenced():
            logger.warning("%s. %s", message.msg, message.hint)


def _sqlite_options(database: dict[str, Any]) -> dict[str, Any]:
    """Return the project's own options with what is missing in them."""
    options = {"timeout": 20, **database.get("OPTIONS", {}), "transaction_mode": "IMMEDIATE"}
    if not _has_wal(database):
        others = JOURNAL_MODE.sub("", str(options.get("init_command") or "")).strip("; ")
        options["init_command"] = f"{others}; {SQLITE_PRAGMAS}" if others else SQLITE_PRAGMAS
    return options


def _is_immediate(database: dict[str, Any]) -> bool:
    return str(database.get("OPTIONS", {}).get("transaction_mode", "")).upper() == "IMMEDIATE"


def _has_wal(database: dict[str, Any]) -> bool:
    """Say whether the settings ask for WAL or the file is in that mode already."""
    asked = str(database.get("OPTIONS", {}).get("init_command", "")).replace(" ", "").lower()
    if "journal_mode=wal" in asked:
        return True
    return is_wal(str(database.get("NAME", "")))


def _kept_for_ever() -> Iterator[CheckMessage]:
    for_ever = [outcome for outcome, seconds in conf.current().keep.items() if seconds is None]
    if for_ever:
        text = f"The history of {', '.join(for_ever)} tasks is never pruned"
        yield _message(Caution, text, 'Write: BGTASKS["KEEP"] = {"successful": "7d", "failed": "30d"}', "W006")


def _message(kind: type[Error] | type[Caution], text: str, hint: str, check: str) -> CheckMessage:
    return kind(text, hint=hint, id=f"bgtasks.{check}")
