"""`bgtasks.compat.install()`: the old import names, in a process of their own, for they stay once they are there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SETTINGS = """
from bgtasks.compat import install
install()
install()
SECRET_KEY = "x"
INSTALLED_APPS = ["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "bgtasks"]
"""


def run(folder: Path, program: str, settings: str = SETTINGS) -> subprocess.CompletedProcess[str]:
    """Run a program with these settings."""
    (folder / "old_settings.py").write_text(settings)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "old_settings", "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"},
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_every_old_name_leads_to_the_very_module_and_each_model_exists_once(tmp_path) -> None:
    program = """
import django; django.setup()
import background_task, background_task.tasks, bgtasks.tasks
from unittest import mock
from importlib.util import find_spec
from background_task import background, __version__
from background_task.models import Task, CompletedTask, TaskManager, TaskQuerySet, CompletedTaskQuerySet
from background_task.models_completed import CompletedTask as Same
from background_task.tasks import tasks, autodiscover, TaskSchedule, TaskProxy, DBTaskRunner
from background_task.settings import app_settings
from background_task.signals import task_created, task_failed
from background_task.exceptions import BackgroundTaskError, InvalidTaskError
from background_task.admin import TaskAdmin, CompletedTaskAdmin, inc_priority, dec_priority
import bgtasks.models, bgtasks.signals
assert background is bgtasks.tasks.background and tasks.background is background
assert Task is bgtasks.models.Task and Same is CompletedTask and task_created is bgtasks.signals.task_created
assert bgtasks.models.__spec__.name == "bgtasks.models" and find_spec("background_task.nonsense") is None
assert (app_settings.MAX_ATTEMPTS, app_settings.BACKGROUND_TASK_PRIORITY_ORDERING) == (25, "-")
with mock.patch("background_task.models.Task.has_error", lambda task: "patched"):
    assert Task().has_error() == "patched"
assert callable(Task.lock) and callable(Task.reschedule)
print("good")
"""
    ran = run(tmp_path, program)
    assert ran.stdout == "good\n", ran.stderr


def test_decorating_by_the_old_name_touches_no_model(tmp_path) -> None:
    program = """
from django.conf import settings; settings.DEBUG
from background_task import background
@background(schedule=60)
def notify(user_id): pass
import sys
print("bgtasks.models" in sys.modules, notify.name)
"""
    assert run(tmp_path, program).stdout == "False __main__.notify\n"


def test_without_the_alias_the_models_have_no_writing_methods(tmp_path) -> None:
    program = "import django; django.setup(); from bgtasks.models import Task; print(hasattr(Task, 'lock'))"
    assert run(tmp_path, program, SETTINGS.replace("install()\n", "")).stdout == "False\n"


def test_beside_the_real_package_it_refuses_and_says_what_to_uninstall(tmp_path) -> None:
    (tmp_path / "background_task").mkdir()
    (tmp_path / "background_task" / "__init__.py").touch()
    ran = run(tmp_path, "import django; django.setup()")
    assert ran.returncode == 1
    assert "the real background_task is there. Uninstall it first: remove the folder background_task" in ran.stderr


def test_the_old_app_in_installed_apps_is_told_what_to_write(tmp_path) -> None:
    ran = run(tmp_path, "import django; django.setup()", SETTINGS.replace('"bgtasks"]', '"background_task"]'))
    assert "INSTALLED_APPS names 'background_task', which is an alias here: write 'bgtasks'" in ran.stderr


@pytest.mark.parametrize("name", ["background_task.utils", "background_task.nonsense"])
def test_what_is_gone_cannot_be_imported(tmp_path, name: str) -> None:
    ran = run(tmp_path, f"import django; django.setup(); import {name}")
    assert f"No module named '{name}'" in ran.stderr
