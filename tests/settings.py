"""Settings of the test project; BGTASKS_TEST_DB chooses the database, BGTASKS_TEST_SUFFIX keeps parallel runs apart."""

from __future__ import annotations

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SUFFIX = os.environ.get("BGTASKS_TEST_SUFFIX", "main")
VENDOR = os.environ.get("BGTASKS_TEST_DB", "sqlite")


def database() -> dict[str, Any]:
    """Return Django's settings of the chosen database."""
    name = os.environ.get("BGTASKS_TEST_DB_NAME", f"bgtasks_{SUFFIX}")
    if VENDOR == "postgres":
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": name,
            "USER": os.environ.get("PGUSER", "postgres"),
            "PASSWORD": os.environ.get("PGPASSWORD", ""),
            "HOST": os.environ.get("PGHOST", "127.0.0.1"),
            "PORT": os.environ.get("PGPORT", "5432"),
        }
    if VENDOR == "mariadb":
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": name,
            "USER": os.environ.get("MYSQL_USER", "root"),
            "PASSWORD": os.environ.get("MYSQL_PWD", ""),
            "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
            "PORT": os.environ.get("MYSQL_PORT", "3306"),
            "OPTIONS": {"charset": "utf8mb4"},
        }
    folder = Path(os.environ.get("BGTASKS_TEST_SQLITE_DIR", tempfile.gettempdir()))
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(folder / f"bgtasks-{name}.sqlite3"),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
        "TEST": {"NAME": str(folder / f"bgtasks-test-{name}-{os.getpid()}.sqlite3")},
    }


SECRET_KEY = "only for tests"
DEBUG = False
USE_TZ = os.environ.get("BGTASKS_TEST_USE_TZ", "1") == "1"
TIME_ZONE = "Europe/Berlin"
DATABASES = {"default": database()}
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "bgtasks",
    "tests.project",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "tests.project.urls"
BGTASKS: dict[str, Any] = {}
if find_spec("django.tasks") or find_spec("django_tasks"):
    INSTALLED_APPS += [] if find_spec("django.tasks") else ["django_tasks"]
    TASKS = {
        "default": {"BACKEND": "bgtasks.DatabaseBackend", "QUEUES": []},
        "once": {"BACKEND": "bgtasks.DatabaseBackend", "QUEUES": ["default", "mail"], "OPTIONS": {"MAX_ATTEMPTS": 1}},
    }
