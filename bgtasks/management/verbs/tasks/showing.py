"""`tasks show ID`: everything about one task, each failed attempt with its traceback."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from typing import Any

from bgtasks.management.verbs import Answer, NotDone, reading
from bgtasks.management.verbs.tasks.ids import read_id
from bgtasks.management.verbs.tasks.telling import facts_of, utc
from bgtasks.output import harmless, one_line, table
from bgtasks.progress import progress_in

SUMMARY = "Show one task, with every failed attempt and its traceback."
EXAMPLES = """examples:
  bgtasksd tasks show 48213
  bgtasksd tasks show 48213 --json

Arguments are shown where BGTASKS["LOG_ARGS"] allows it; without that key, where DEBUG is on.

exit codes: 0 shown, 1 there is no such task, or no database; 2 usage"""
MOST_ATTEMPTS = 100
"""The latest."""
MORE = ("verbose_name", "max_attempts", "max_run_time", "repeat")


def described(action: str) -> tuple[str, str, Callable[[ArgumentParser], None]]:
    """Return what the action is, examples, and what adds its arguments."""
    return SUMMARY, EXAMPLES, add_arguments


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the action takes."""
    parser.add_argument("id", type=reading(read_id), metavar="ID", help="as listed; t48213 is understood, too")


def run(given: Namespace) -> Answer:
    """Read it. Raises NotDone."""
    from bgtasks.models import CompletedTask, Task, TaskAttempt  # models exist only once Django is set up
    from bgtasks.queue import claims

    using = claims.alias()
    # Over first: a task that ends between the two is found in the history.
    task: Any = Task.objects.using(using).filter(pk=given.id).first()
    task = task or CompletedTask.objects.using(using).filter(pk=given.id).first()
    if task is None:
        fix = 'the history is pruned: BGTASKS["KEEP"]'
        raise NotDone(f"there is no task {given.id}", code="not_found", fix=fix)
    attempts = list(TaskAttempt.objects.using(using).filter(task_id=given.id).order_by("-id")[:MOST_ATTEMPTS])
    facts = _facts(task, attempts[::-1])
    return Answer("\n".join(_sections(facts)), facts)


def _facts(task: Any, attempts: list[Any]) -> dict[str, Any]:
    row = {name: value for name, value in vars(task).items() if not name.startswith("_")}
    args, kwargs = _arguments(task)
    return {
        **facts_of({**row, "last_error_end": task.last_error}),
        **{name: row[name] for name in MORE},
        "arguments_shown": args is not None,
        "args": args,
        "kwargs": kwargs,
        "headers": _read(task.headers),
        "progress": _read(task.progress),
        "result": _read(row.get("result")),
        "due_at": utc(task.due_at),
        "attempts_failed": [_attempt(each) for each in attempts],
    }


def _arguments(task: Any) -> tuple[Any, Any]:
    from django.conf import settings  # only after the front end has set Django up

    from bgtasks import conf

    allowed = conf.current().log_args
    try:
        return task.params() if (settings.DEBUG if allowed is None else allowed) else (None, None)
    except ValueError:  # what stands there was not written by us
        return None, None


def _attempt(attempt: Any) -> dict[str, Any]:
    return {
        "attempt": attempt.attempt,
        "worker": attempt.worker or None,
        "host": attempt.worker.split(":")[0] or None,
        "started_at": utc(attempt.started_at),
        "finished_at": utc(attempt.finished_at),
        "exception": attempt.exception,
        "crashed": attempt.crashed,
        "traceback": attempt.error,
    }


def _read(text: str | None) -> Any:
    """Return what JSON text holds; text that is none, as it is."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def _sections(facts: dict[str, Any]) -> Iterator[str]:
    left_out = ("schema_version", "args", "kwargs", "attempts_failed", "arguments_shown")
    shown = {name: value for name, value in facts.items() if name not in left_out and value not in (None, "")}
    if facts["arguments_shown"]:
        shown |= {name: json.dumps(facts[name], ensure_ascii=False) for name in ("args", "kwargs") if facts[name]}
    else:
        shown["arguments"] = 'not shown: BGTASKS["LOG_ARGS"]'
    if told := progress_in(json.dumps(facts["progress"])):
        shown["progress"] = told.in_words()
    yield table([[name, _cell(value)] for name, value in shown.items()])
    for each in facts["attempts_failed"]:
        crashed = ", its worker died" if each["crashed"] else ""
        yield f"\nattempt {each['attempt']}, {each['started_at']} to {each['finished_at']}{crashed}"
        yield f"  {one_line(each['exception'])} on {one_line(each['worker'] or 'nobody')}"
        yield from (f"    {line}" for line in harmless(each["traceback"]).rstrip().splitlines())


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
