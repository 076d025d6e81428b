"""System checks: each id, what it finds, and the line its hint ends in."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.db import connection, models
from django.test import override_settings
from django.test.utils import isolate_apps

from bgtasks import background, checks
from bgtasks.models import Task

pytestmark = pytest.mark.usefixtures("own_registry")


def found(*, deploy: bool = False, **settings: Any) -> dict[str, CheckMessage]:
    with override_settings(**settings):
        messages = run_checks(tags=["bgtasks"], include_deployment_checks=deploy)
    return {str(message.id): message for message in messages}


def hint_of(message: CheckMessage) -> str:
    return str(message.hint)


def test_a_fresh_project_is_silent() -> None:
    assert found() == {}
    assert checks.refusals() == []


def test_e001_an_unknown_key_with_the_near_one_to_paste() -> None:
    message = found(BGTASKS={"MAX_ATEMPTS": 3})["bgtasks.E001"]
    assert hint_of(message).endswith("BGTASKS['MAX_ATTEMPTS'] = 3")


def test_e001_a_value_that_cannot_be_with_the_default_to_paste() -> None:
    message = found(BGTASKS={"MAX_ATTEMPTS": "many"})["bgtasks.E001"]
    assert "'many'" in message.msg
    assert hint_of(message).endswith("BGTASKS['MAX_ATTEMPTS'] = 25")


@pytest.mark.parametrize(
    "given", [{"WORKERS": 2000}, {"SLEEP": 0}, {"QUEUES": ["mail:2"], "WORKERS": 5}, {"QUEUES": [""]}], ids=str
)
def test_e001_what_no_daemon_could_start_with(given: Any) -> None:
    assert list(found(BGTASKS=given)) == ["bgtasks.E001"]


def test_e002_an_unknown_database() -> None:
    message = found(BGTASKS={"DATABASE": "queue"})["bgtasks.E002"]
    assert hint_of(message).endswith("BGTASKS['DATABASE'] = 'default'")


def test_e004_two_functions_with_one_name_refuse_the_start() -> None:
    def one() -> None: ...
    def two() -> None: ...

    background(name="same")(one)
    background(name="same")(two)
    message = found()["bgtasks.E004"]
    assert "one" in message.msg
    assert hint_of(message).endswith('@background(name="same_2")')
    assert [refusal.id for refusal in checks.refusals()] == ["bgtasks.E004"]


def test_e005_a_function_of_the_program_itself() -> None:
    def work() -> None: ...

    work.__module__ = "__main__"
    background(work)
    assert "__main__.work" in found()["bgtasks.E005"].msg


def test_w004_tasks_in_another_database_than_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.settings, "DATABASES", {"default": {}, "queue": {}})
    assert hint_of(found(BGTASKS={"DATABASE": "queue"})["bgtasks.W004"]).endswith(
        'SILENCED_SYSTEM_CHECKS = ["bgtasks.W004"]'
    )


def test_w009_the_orm_looks_elsewhere_until_the_router_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.settings, "DATABASES", {"default": {}, "queue": {}})
    message = found(BGTASKS={"DATABASE": "queue"})["bgtasks.W009"]
    line = 'DATABASE_ROUTERS = ["bgtasks.routers.TasksRouter"]'
    assert hint_of(message).endswith(line)
    assert "bgtasks.W009" not in found(BGTASKS={"DATABASE": "queue"}, DATABASE_ROUTERS=[line.split('"')[1]])


class ElsewhereRouter:
    """Some project's own."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "queue"

    db_for_write = db_for_read


def test_w009_a_router_that_the_workers_do_not_know_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.settings, "DATABASES", {"default": {}, "queue": {}})
    message = found(DATABASE_ROUTERS=[f"{__name__}.ElsewhereRouter"])["bgtasks.W009"]
    assert hint_of(message).endswith("""BGTASKS["DATABASE"] = 'queue'""")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="it alone refuses what comes too late")
@pytest.mark.parametrize(("level", "is_found"), [("READ_COMMITTED", 0), ("REPEATABLE_READ", 1), ("SERIALIZABLE", 1)])
def test_w010_a_postgresql_that_refuses_what_workers_do_at_once(
    monkeypatch: pytest.MonkeyPatch, level: str, is_found: bool
) -> None:
    from django.db.backends.postgresql.psycopg_any import IsolationLevel

    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {"isolation_level": getattr(IsolationLevel, level)})
    found_here = found()
    assert ("bgtasks.W010" in found_here) == is_found
    if is_found:
        line = 'DATABASES["default"]["OPTIONS"].pop("isolation_level")'
        assert hint_of(found_here["bgtasks.W010"]).endswith(line)


@pytest.mark.parametrize("is_constrained", [True, False])
def test_e009_a_foreign_key_that_would_keep_a_task_from_ending(
    monkeypatch: pytest.MonkeyPatch, is_constrained: bool
) -> None:
    with isolate_apps("bgtasks") as apps:

        class Job(models.Model):  # noqa: DJ008 - never shown
            task = models.ForeignKey(Task, models.DO_NOTHING, related_name="+", db_constraint=is_constrained)

            class Meta:
                app_label = "bgtasks"

        class Batch(models.Model):  # noqa: DJ008 - never shown
            tasks = models.ManyToManyField(Task, related_name="+", db_constraint=is_constrained)

            class Meta:
                app_label = "bgtasks"

    monkeypatch.setattr(checks, "apps", apps)
    holding = [message for message in run_checks(tags=["bgtasks"]) if message.id == "bgtasks.E009"]
    assert len(holding) == (2 if is_constrained else 0)
    if is_constrained:
        assert [message.id for message in checks.refusals()] == ["bgtasks.E009"] * 2
        assert "bgtasks.Job.task with db_constraint=False and on_delete=DO_NOTHING" in hint_of(holding[0])


@pytest.mark.parametrize("given", [{"LEASE": 2}, {"LEASE": 10, "KILL_GRACE": 10}, {"LEASE": 30, "ORPHAN_TIMEOUT": 25}])
def test_e006_times_that_contradict_one_another(given: Any) -> None:
    assert "BGTASKS[" in hint_of(found(BGTASKS=given)["bgtasks.E006"])


def test_w002_a_heritage_setting_shadowed() -> None:
    messages = found(MAX_ATTEMPTS=3, BGTASKS={"MAX_ATTEMPTS": 4})
    assert hint_of(messages["bgtasks.W002"]).endswith("MAX_ATTEMPTS = 3")
    assert found(MAX_ATTEMPTS=3, BGTASKS={}) == {}


@pytest.mark.parametrize("name", list(checks.WITHOUT_EFFECT))
def test_w008_a_heritage_setting_without_effect(name: str) -> None:
    assert name in found(**{name: 4})["bgtasks.W008"].msg


def test_w007_a_function_with_a_parameter_the_bare_call_takes() -> None:
    @background
    def send(queue: str) -> None: ...

    message = found()["bgtasks.W007"]
    assert message.level < 40
    assert hint_of(message).endswith("send.enqueue(queue=...)")


def test_w006_history_kept_for_ever_is_a_deployment_s_business() -> None:
    given = {"KEEP": {"failed": None}}
    assert "failed" in found(deploy=True, BGTASKS=given)["bgtasks.W006"].msg
    assert found(BGTASKS=given) == {}


@pytest.fixture
def sqlite(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "db.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": path}


def slow_sqlite(database: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> CheckMessage | None:
    monkeypatch.setattr(checks.settings, "DATABASES", {"default": database})
    return found(deploy=True).get("bgtasks.W001")


def test_w001_sqlite_as_a_fresh_project_has_it(sqlite: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    message = slow_sqlite(sqlite, monkeypatch)
    assert message is not None
    _, _, pasted = hint_of(message).partition(" = ")
    sqlite["OPTIONS"] = eval(pasted)
    assert slow_sqlite(sqlite, monkeypatch) is None


def test_w001_knows_a_file_that_is_in_wal_mode_already(sqlite: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite["OPTIONS"] = {"transaction_mode": "IMMEDIATE"}
    assert slow_sqlite(sqlite, monkeypatch) is not None
    connection = sqlite3.connect(sqlite["NAME"])
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    assert slow_sqlite(sqlite, monkeypatch) is None


def test_every_hint_can_be_acted_upon_and_every_id_is_known() -> None:
    text = Path(checks.__file__).read_text() + Path(checks.conf.__file__).read_text()
    errors, warnings = ("E001", "E002", "E004", "E005", "E006", "E007", "E009"), ("W001", "W002", "W004", "W006")
    for check in (*errors, *warnings, "W007", "W008", "W009", "W010"):
        assert check in text


def test_w001_keeps_the_options_of_the_project(sqlite: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite["OPTIONS"] = {"timeout": 60, "init_command": "PRAGMA cache_size=100; pragma journal_mode = delete;"}
    message = slow_sqlite(sqlite, monkeypatch)
    assert message is not None
    assert "without WAL and IMMEDIATE" in message.msg
    assert eval(hint_of(message).partition(" = ")[2]) == {
        "timeout": 60,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA cache_size=100; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
