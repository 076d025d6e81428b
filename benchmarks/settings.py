"""The project that is measured: no more apps than Django and the queue need, on the database of the tests."""

from __future__ import annotations

from typing import Any

from tests.settings import DATABASES, SECRET_KEY, TIME_ZONE, USE_TZ

INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "bgtasks", "benchmarks"]
BGTASKS: dict[str, Any] = {}

__all__ = ["BGTASKS", "DATABASES", "INSTALLED_APPS", "SECRET_KEY", "TIME_ZONE", "USE_TZ"]
