"""Which task modules are imported, and what a broken one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["django.contrib.contenttypes", "bgtasks", "plain", "configured.apps.Configured", "without", "broken"]
BGTASKS = {bgtasks}
"""
CONFIG = """
from django.apps import AppConfig
class Configured(AppConfig):
    name = 'configured'
    label = 'other'
"""
TASK = "from bgtasks import background\n@background\ndef work(): ...\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "plain/tasks.py": TASK,
        "configured/apps.py": CONFIG,
        "configured/tasks/__init__.py": TASK,
        "without/models.py": "",
        "broken/tasks.py": "import no_such_module_here\n",
        "extra_tasks.py": TASK,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if path.parent != tmp_path:
            (path.parent / "__init__.py").touch()
    return tmp_path


def run(project: Path, bgtasks: dict[str, object], code: str) -> subprocess.CompletedProcess[str]:
    (project / "own_settings.py").write_text(SETTINGS.format(bgtasks=bgtasks))
    path = os.pathsep.join([str(project), str(Path(__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "own_settings"}
    program = f"import django; django.setup()\n{code}"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=project, check=False)


FIND = "from bgtasks import discovery, registry; print(discovery.autodiscover()); print(registry.names())"


def test_tasks_of_every_app_config_and_of_the_modules_named_are_found(project: Path) -> None:
    ran = run(project, {"TASK_APPS_EXCLUDED": ["broken"], "TASK_MODULES": ["extra_tasks"]}, FIND)
    modules, names = ran.stdout.splitlines()
    assert modules == "['plain.tasks', 'configured.tasks', 'extra_tasks']"
    assert names == "['configured.tasks.work', 'extra_tasks.work', 'plain.tasks.work']"


def test_a_module_that_fails_to_import_stops_with_its_traceback_and_the_way_around_it(project: Path) -> None:
    ran = run(project, {}, FIND)
    assert ran.returncode != 0
    assert "No module named 'no_such_module_here'" in ran.stderr
    assert "broken/tasks.py" in ran.stderr
    assert "BGTASKS['TASK_APPS_EXCLUDED'] = ['broken']" in ran.stderr


def test_a_named_module_that_is_not_there_is_an_error(project: Path) -> None:
    ran = run(project, {"TASK_APPS_EXCLUDED": ["broken"], "TASK_MODULES": ["extra_task"]}, FIND)
    assert ran.returncode != 0
    assert "remove 'extra_task' from BGTASKS['TASK_MODULES']" in ran.stderr


def test_nothing_is_imported_at_web_start(project: Path) -> None:
    ran = run(project, {}, "import sys; print(sorted(sys.modules))")
    assert ran.returncode == 0
    assert "'plain.tasks'" not in ran.stdout


def test_the_checks_show_a_broken_module_with_its_traceback(project: Path) -> None:
    ran = run(project, {}, "from django.core.management import call_command; call_command('check')")
    assert ran.returncode != 0
    for shown in ("bgtasks.E007", "No module named 'no_such_module_here'", "TASK_APPS_EXCLUDED"):
        assert shown in ran.stderr
