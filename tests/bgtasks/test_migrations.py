"""The migrations: complete, silent, reversible, and with the indexes that claims live on."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.core.management import call_command
from django.db import connection

from tests.settings import VENDOR

MANAGE = [sys.executable, "-W", "always", "-m", "django"]


def manage(environment: dict[str, str], *arguments: str, auto_field: str = "") -> subprocess.CompletedProcess[str]:
    """Run a management command in a process of its own, under a settings module with that DEFAULT_AUTO_FIELD."""
    code = (
        "import sys; from django.conf import settings; from django.core.management import execute_from_command_line\n"
        f"settings.DEFAULT_AUTO_FIELD = {auto_field!r}\n"
        "execute_from_command_line(sys.argv)"
    )
    command = [sys.executable, "-W", "always", "-c", code] if auto_field else MANAGE
    return subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("auto_field", ["", "django.db.models.AutoField", "django.db.models.SmallAutoField"])
def test_no_migration_is_missing_whatever_the_default_auto_field(
    auto_field: str, child_environment: dict[str, str]
) -> None:
    done = manage(child_environment, "makemigrations", "bgtasks", "--check", "--dry-run", auto_field=auto_field)
    assert (done.returncode, done.stdout.strip()) == (0, "No changes detected in app 'bgtasks'")
    assert "bgtasks" not in done.stderr


@pytest.mark.django_db
def test_models_and_migrations_pass_the_databases_own_checks() -> None:
    from django.apps import apps
    from django.core import checks

    configs = [apps.get_app_config("bgtasks")]
    found = checks.run_checks(app_configs=configs, databases=["default"], include_deployment_checks=False)
    assert [one for one in found if "bgtasks" in str(one.obj) and "Task" in str(one.obj)] == []


@pytest.mark.usefixtures("queue_tables")
def test_the_tables_go_and_come_back_with_their_indexes() -> None:
    call_command("migrate", "bgtasks", "zero", verbosity=0)
    assert not any(name.startswith("bgtasks_") for name in connection.introspection.table_names())
    call_command("migrate", "bgtasks", verbosity=0)
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "bgtasks_task")
    led = ["status"] if VENDOR == "mariadb" else []
    assert found["bgtasks_task_ready"]["columns"] == [*led, "queue", "claim_order", "run_at", "id"]
    assert found["bgtasks_task_scheduled"]["columns"] == [*led, "run_at"]
    assert found["bgtasks_task_running"]["columns"] == [*led, "locked_by"]
    indexed = {tuple(one["columns"]) for one in found.values() if one["index"] or one["unique"]}
    assert indexed - {("id",)} == {
        ("task_hash",),
        ("unique_key",),
        (*led, "queue", "claim_order", "run_at", "id"),
        (*led, "run_at"),
        (*led, "locked_by"),
    }


@pytest.mark.skipif(VENDOR != "postgres", reason="PostgreSQL's own settings")
@pytest.mark.django_db
def test_postgresql_leaves_room_for_updates_and_vacuums_early() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = 'bgtasks_task'")
        (options,) = cursor.fetchone()
    assert {"fillfactor=85", "autovacuum_vacuum_scale_factor=0.01", "autovacuum_vacuum_threshold=1000"} <= set(options)
