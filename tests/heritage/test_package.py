"""COMPATIBILITY 1.1 and 1.7: where the names live, and migrations that are complete in every project."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from django.db import connection

from tests import settings

HOMES = {
    "bgtasks": "background __version__",
    "bgtasks.models": "Task CompletedTask TaskManager TaskQuerySet CompletedTaskQuerySet",
    "bgtasks.tasks": "TaskSchedule TaskProxy DBTaskRunner",
    "bgtasks.signals": "task_created task_started task_error task_rescheduled task_failed task_successful",
    "bgtasks.exceptions": "BackgroundTaskError InvalidTaskError",
    "bgtasks.admin": "TaskAdmin CompletedTaskAdmin inc_priority dec_priority",
}


@pytest.mark.parametrize("module", HOMES)
def test_the_heritage_s_names_are_where_the_guide_says(module: str) -> None:
    for name in HOMES[module].split():
        assert hasattr(import_module(module), name), f"{module}.{name}"


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = import_module("bgtasks").nothing


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("field", ["AutoField", "BigAutoField"])
def test_no_migration_is_missing_whatever_the_project_s_default_field(field: str, tmp_path: Path) -> None:
    (tmp_path / "own_settings.py").write_text(
        f"from tests.settings import *\nDEFAULT_AUTO_FIELD = 'django.db.models.{field}'\n"
    )
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "own_settings"}
    environment |= {"BGTASKS_TEST_SQLITE_DIR": str(tmp_path)}
    if settings.VENDOR != "sqlite":
        environment["BGTASKS_TEST_DB_NAME"] = str(connection.settings_dict["NAME"])
    command = [sys.executable, "-W", "error", "-m", "django", "makemigrations", "--check", "--dry-run"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "No changes detected" in ran.stdout
