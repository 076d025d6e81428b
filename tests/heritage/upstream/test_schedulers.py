"""A project on django-celery-beat and django-q2, with the real packages: each run is due when it was there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.heritage.upstream.fetching import installed_with_all_they_need
from tests.heritage.upstream.old_schedules import UNEVEN
from tests.heritage.upstream.project import Project, own_database

pytestmark = pytest.mark.timeout(600)  # pip, and then a process for each step

RELEASES = ("celery==5.5.3", "django-celery-beat==2.8.1", "django-q2==1.8.0", "croniter==6.0.0")
TASKS = """
try:
    from bgtasks import background
except ImportError:
    background = lambda function: function

@background
def add(*args, **kwargs): pass
"""
LAYOUTS = {
    "django_celery_beat": ("0001", "0006_periodictask_priority", "0009", "0011", "0019"),
    "django_q": ("0001", "0006", "0011", "0017"),
}
"""Migrations after which releases had the tables of schedules like this."""
VERBS = {"django_celery_beat": "bgtasks_import_celery_beat", "django_q": "bgtasks_import_django_q"}
STAY = {
    *(f"{line} {zone}{missed}" for line, zone in UNEVEN for missed in ("", ", missed")),
    *("solar", "M", "Q", "Y", "0 9 * * 1-5"),
}


@pytest.fixture(scope="module")
def old_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which both packages can be imported."""
    return installed_with_all_they_need(tmp_path_factory.mktemp("old"), *RELEASES)


@pytest.fixture
def project(tmp_path: Path, old_packages: Path, queue_tables: None) -> Iterator[Project]:
    """Give a project with both packages, which uninstalls them."""
    with own_database("schedulers", tmp_path) as database:
        made = Project(tmp_path, TASKS, old_packages, database)
        steady = 'TIME_ZONE = "Asia/Tokyo"\n'
        made.settings("before", '"django_celery_beat", "django_q"', after=steady)
        made.settings("after", '"bgtasks"', after=steady)
        made.manage("after", "migrate", "-v", "0")
        yield made


def there(project: Project, what: str) -> Any:
    """Do something by the old packages; return what it told."""
    code = f"from tests.heritage.upstream import old_schedules; old_schedules.{what}()"
    told = project.manage("before", "shell", "-v", "0", "-c", code)
    return json.loads(told) if told else None


def imported(project: Project, app: str, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Import from one of the packages; return what was reported."""
    return json.loads(project.manage("after", VERBS[app], "--json", *arguments, code=code))


@pytest.mark.parametrize("app", LAYOUTS)
def test_the_tables_of_every_version_are_read(project, app) -> None:
    first, *later = LAYOUTS[app]
    project.manage("before", "migrate", app, first, "-v", "0")
    there(project, f"fill_first_{app}")
    for layout in (first, *later):
        project.manage("before", "migrate", app, layout, "-v", "0")
        facts = imported(project, app)
        assert (facts["repeating"] + facts["once"], facts["left"]) == (2, []), layout


def test_each_run_is_due_when_it_was_there_and_only_one_side_fires_it(project) -> None:
    project.manage("before", "migrate", "-v", "0")
    there(project, "fill")
    firing_before, changed_before = there(project, "tell_what_fires")
    due_there = there(project, "tell_when_due")
    reports = [imported(project, app, "--commit", "--disable-source", code=1) for app in VERBS]

    taken = {each["name"]: each for report in reports for each in report["taken"]}
    assert {each["name"] for report in reports for each in report["left"]} == STAY
    assert taken.keys() == set(firing_before) - STAY
    assert [each for name, each in taken.items() if not is_same(each, due_there[name])] == []

    firing, changed = there(project, "tell_what_fires")
    assert set(firing) == STAY
    assert changed > changed_before
    again = [imported(project, app, "--commit", code=1) for app in VERBS]
    assert [report["known"] for report in again] == [len(report["taken"]) for report in reports]


def is_same(taken: dict[str, Any], due_there: str | None) -> bool:
    """Tell whether a run is due here when it was there (None: at once), or in phase with it if that has passed."""
    at = datetime.fromisoformat(taken["run_at"])
    has_passed = at <= datetime.now(at.tzinfo)
    if due_there is None:
        return has_passed
    later = (at - datetime.fromisoformat(due_there)).total_seconds()
    if has_passed and later > 1:
        later %= taken["repeat_s"]
        later = min(later, taken["repeat_s"] - later)
    return abs(later) < 1.5
