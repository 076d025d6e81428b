"""A project on django-background-tasks 1.2.8, taken over by following docs/migration.md, with the real old package."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.heritage.upstream.fetching import installed
from tests.heritage.upstream.project import Project, own_database

pytestmark = pytest.mark.timeout(600)  # pip, and then a process for each step

TASKS = """
import os
from background_task import background

@background(schedule=0)
def sell(what):
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(f"{what}\\n")
    if what.startswith("bad"):
        raise ValueError(what)
"""
RUN_THERE = """
from background_task.models import Task
from shop.tasks import sell
for n in range(3): sell(f"done-{n}")
sell("bad-once")
last = sell("bad-for-good")
Task.objects.filter(pk=last.pk).update(attempts=1)
"""
LEAVE_THERE = """
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from background_task.models import Task
from shop.tasks import sell
for n in range(5): sell(f"pending-{n}", priority=n, queue="mail" if n % 2 else None)
sell("later", schedule=86400, creator=User.objects.create(username="ana"), verbose_name="Later")
sell("every-hour", repeat=3600)
Task.objects.filter(task_params__contains="bad-once").update(run_at=timezone.now() + timedelta(days=1))
was_locked, is_locked = sell("was-locked"), sell("is-locked")
Task.objects.filter(pk=was_locked.pk).update(locked_by="4711", locked_at=timezone.now() - timedelta(hours=2))
Task.objects.filter(pk=is_locked.pk).update(locked_by="4711", locked_at=timezone.now())
"""
COUNT_THERE = """
from background_task.models import CompletedTask, Task
print(Task.objects.count(), CompletedTask.objects.filter(failed_at=None).count(),
      CompletedTask.objects.exclude(failed_at=None).count())
"""
COUNT_HERE = """
from bgtasks.models import CompletedTask, Task
print(Task.objects.count(), CompletedTask.objects.succeeded().count(), CompletedTask.objects.failed().count())
"""


@pytest.fixture
def project(tmp_path: Path, queue_tables: None) -> Iterator[Project]:
    """Give a project with the old package, which is left for the alias."""
    with own_database("takeover", tmp_path) as database:
        made = Project(tmp_path, TASKS, installed(tmp_path), database)
        more = 'MAX_ATTEMPTS, BGTASKS = 2, {"KEEP": None}\n'
        made.settings("before", '"background_task", "bgtasks"', after=more)
        made.settings("after", '"bgtasks"', "from bgtasks.compat import install\ninstall()\n", more)
        yield made


def counts(project: Project, when: str) -> tuple[int, int, int]:
    """Return how many tasks are live, have succeeded, and have failed."""
    live, succeeded, failed = project.manage(
        when, "shell", "-v", "0", "-c", COUNT_THERE if when == "before" else COUNT_HERE
    ).split()
    return int(live), int(succeeded), int(failed)


def imported(project: Project, *arguments: str, code: int = 0) -> dict:
    """Import what is there, and return what was reported."""
    return json.loads(project.manage("after", "bgtasks_import_legacy", "--completed", "--json", *arguments, code=code))


def test_the_page_leads_from_the_old_package_to_the_new_one(project) -> None:
    project.manage("before", "migrate", "-v", "0")
    project.manage("before", "shell", "-c", RUN_THERE)
    project.manage("before", "process_tasks", "--duration", "1", "--sleep", "0.2")
    project.manage("before", "shell", "-c", LEAVE_THERE)
    assert counts(project, "before") == (10, 3, 1)  # "bad-once" is among the ten, for another attempt
    refuse_while_one_may_be_running(project)
    look(project)
    told = imported(project, "--locked", "requeue")
    assert (told["waiting"], told["completed"]) == (10, 4)
    assert (counts(project, "before"), counts(project, "after")) == ((0, 0, 0), (10, 3, 1))
    assert imported(project)["waiting"] == 0
    project.manage("after", "process_tasks", "--duration", "2", "--sleep", "0.2")
    there = {*(f"done-{n}" for n in range(3)), "bad-once", "bad-for-good"}
    here = {*(f"pending-{n}" for n in range(5)), "every-hour", "was-locked", "is-locked"}
    assert Counter(project.ledger.read_text().split()) == dict.fromkeys(there | here, 1)
    assert counts(project, "after") == (3, 11, 1)  # "bad-once" and "later" wait, and "every-hour" does again


def refuse_while_one_may_be_running(project: Project) -> None:
    told = imported(project, code=1)
    assert told["error"]["code"] == "still_locked"
    assert (counts(project, "before"), counts(project, "after")) == ((10, 3, 1), (0, 0, 0))


def look(project: Project) -> None:
    told = imported(project, "--dry-run", "--locked", "requeue")
    assert (told["waiting"], told["due"], told["repeating"], told["charged"]) == (10, 8, 1, 2)
    assert (told["completed"], told["unknown_names"], told["left"]) == (4, {}, [])
    assert counts(project, "before") == (10, 3, 1)
