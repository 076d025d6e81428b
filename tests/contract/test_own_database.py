"""Tasks in a database of their own, as docs/settings.md describes: there is nothing else in it, users least of all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = """
import django
from django.conf import settings

settings.configure(
    SECRET_KEY="x",
    ROOT_URLCONF="__main__",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                    "django.contrib.messages", "django.contrib.sessions", "bgtasks"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
                "OPTIONS": {"context_processors": ["django.template.context_processors.request",
                                                   "django.contrib.auth.context_processors.auth",
                                                   "django.contrib.messages.context_processors.messages"]}}],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "default.sqlite3"},
               "tasks": {"ENGINE": "django.db.backends.sqlite3", "NAME": "tasks.sqlite3"}},
    DATABASE_ROUTERS=["bgtasks.routers.TasksRouter", "__main__.Apart"],
    BGTASKS={"DATABASE": "tasks"},
    USE_TZ=True,
)


class Apart:
    def allow_migrate(self, db, app_label, **hints):
        return db == "default"


django.setup()
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import path

from bgtasks import background
from bgtasks.models import Task

urlpatterns = [path("admin/", admin.site.urls)]


@background(name="sell")
def sell():
    pass


call_command("migrate", verbosity=0)
call_command("migrate", database="tasks", verbosity=0)
user = User.objects.create_superuser("anna", password="secret")
"""


def in_the_project(tmp_path: Path, code: str) -> str:
    """Run this after the project's setup; return what it prints."""
    (tmp_path / "project.py").write_text(PROJECT + code)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "project.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("call", ["sell.using(creator=user).enqueue()", "sell(creator=user)"])
def test_a_task_knows_its_creator_who_is_in_the_default_database(tmp_path: Path, call: str) -> None:
    code = f"""
task = {call}
assert task.creator is user
assert Task.objects.get().creator == user
assert Task.objects.created_by(user).count() == 1
user.delete()
assert Task.objects.get().creator is None
print("done")
"""
    assert in_the_project(tmp_path, code) == "done\n"


def test_the_admin_shows_a_creator_who_is_in_the_default_database(tmp_path: Path) -> None:
    code = """
sell.using(creator=user).enqueue()
client = Client()
client.force_login(user)
page = client.get(f"/admin/bgtasks/task/{Task.objects.get().pk}/change/")
print(page.status_code, "anna" in page.content.decode().partition("Origin")[2])
"""
    assert in_the_project(tmp_path, code) == "200 True\n"


def test_content_types_are_deleted_without_a_look_at_tables_that_are_not_there(tmp_path: Path) -> None:
    code = """
from django.contrib.contenttypes.models import ContentType
gone = ContentType.objects.create(app_label="shop", model="gone")
task = sell.enqueue()
Task.objects.filter(pk=task.pk).update(creator_content_type=gone.pk, creator_object_id="1")
call_command("remove_stale_contenttypes", include_stale_apps=True, interactive=False, verbosity=0)
print(ContentType.objects.filter(pk=gone.pk).exists(), Task.objects.get().creator)
"""
    assert in_the_project(tmp_path, code) == "False None\n"
