"""A project that changes its packages: manage.py with the old ones or with ours, on a database of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent.parent
SETTINGS = """
import os
from tests.settings import database
SECRET_KEY, USE_TZ, DEFAULT_AUTO_FIELD = "x", True, "django.db.models.AutoField"
DATABASES = {{"default": {{**database(), "NAME": os.environ["PROJECT_DB"]}}}}
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", {apps}, "shop"]
"""


class Project:
    """One project, in a folder, with the app `shop`."""

    def __init__(self, folder: Path, tasks: str, old_packages: Path, database: str) -> None:
        self.folder, self.old_packages, self.database = folder, old_packages, database
        self.ledger = folder / "ledger"
        (folder / "shop").mkdir()
        (folder / "shop" / "__init__.py").touch()
        (folder / "shop" / "tasks.py").write_text(tasks)

    def settings(self, when: str, apps: str, before: str = "", after: str = "") -> None:
        """Write the settings that are named `before` or `after`."""
        (self.folder / f"{when}.py").write_text(before + SETTINGS.format(apps=apps) + after)

    def manage(self, when: str, *arguments: str, code: int = 0) -> str:
        """Run manage.py, before with the old packages at hand; return what it printed."""
        path = [*([str(self.old_packages)] if when == "before" else []), str(ROOT), str(self.folder)]
        ran = subprocess.run(
            [sys.executable, "-m", "django", *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "DJANGO_SETTINGS_MODULE": when,
                 "PROJECT_DB": self.database, "LEDGER": str(self.ledger), "BGTASKS_TEST_DB_NAME": "unused"},
            cwd=self.folder, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout


@contextmanager
def own_database(name: str, folder: Path) -> Iterator[str]:
    """Make an empty database beside that of the tests, and drop it in the end; yield what settings call it."""
    from django.conf import settings
    from django.db import connection

    if connection.vendor == "sqlite":
        yield f"{folder}/db"
        return
    own = f"{name}_{settings.DATABASES['default']['NAME']}"
    _execute(connection, f"DROP DATABASE IF EXISTS {connection.ops.quote_name(own)}")
    _execute(connection, f"CREATE DATABASE {connection.ops.quote_name(own)}")
    try:
        yield own
    finally:
        _execute(connection, f"DROP DATABASE IF EXISTS {connection.ops.quote_name(own)}")


def _execute(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
