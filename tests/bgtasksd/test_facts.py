"""The object behind `status --json`: its shape and its problems."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bgtasksd.facts import Facts, Problem, WorkerFacts, as_json, state_of
from bgtasksd.problems import problems


def make_facts(**changes):
    given = {
        "instance": "default",
        "host": "web-1",
        "pid": 4700,
        "version": "1.0.0",
        "settings": "mysite.settings",
        "is_stopping": False,
        "ready_for_s": 95.0,
        "is_failed": False,
        "started_at": "2026-11-21T09:12:04Z",
        "uptime_s": 100.0,
        "workers_target": 2,
        "ready": 2,
        "short_for_s": None,
        "workers": tuple(
            WorkerFacts(slot=slot, pid=4710 + slot, generation=1, state="idle", age_s=90.0) for slot in (1, 2)
        ),
        "zygote": {"pid": 4701, "state": "ready", "generation": 1},
        "maintenance": {"pid": 4702, "state": "running", "last_turn_s": 0.4, "last_renewal_s": 11.8},
        "database": {"alias": "default", "vendor": "sqlite", "reachable": True, "last_contact_s": 0.8},
        "totals": {
            **dict.fromkeys(("done", "failed", "retried", "cancelled", "released", "reclaimed", "crashed"), 0),
            "recycled": dict.fromkeys(("age", "memory", "tasks", "reload"), 0),
        },
        "last_hour": dict.fromkeys(("done", "failed", "retried", "reclaimed"), 0),
    }
    return Facts(**{**given, **changes})


def queue(**changes):
    told = {"name": "mail", "ready": 1, "scheduled": 0, "running": 0, "oldest_ready_age_s": 61.0, "workers": 1}
    return ({**told, "paused": False, "pause": None, **changes},)


def pause(since, until=None):
    return {"paused": True, "pause": {"by": "ana", "reason": None, "since": since, "until": until}}


def codes(**changes):
    return [problem.code for problem in problems(make_facts(**changes))]


def test_a_healthy_daemon_has_no_problem_and_is_running():
    facts = make_facts()
    assert problems(facts) == []
    assert state_of(facts, []) == "running"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"short_for_s": 31.0, "ready": 1}, "workers_below_target"),
        ({"workers": (WorkerFacts(slot=1, last_exit="signal"),)}, "slot_in_backoff"),
        ({"is_failed": True}, "breaker_open"),
        ({"unkillable": ((1, 4711),)}, "worker_unkillable"),
        ({"queues": queue(workers=0)}, "queue_without_worker"),
        ({"queues": queue(**pause("2026-11-20T09:12:04Z"))}, "queue_paused_long"),
        ({"maintenance": {"pid": None, "last_renewal_s": 1.0}}, "maintenance_down"),
        ({"maintenance": {"pid": 1, "last_renewal_s": 41.0}}, "renewal_late"),
        ({"maintenance": {"pid": 1, "last_renewal_s": None}}, "renewal_late"),
        ({"database_down_s": 31.0}, "database_unreachable"),
        ({"is_migrated": False}, "migrations_missing"),
        ({"is_directory_lost": True}, "runtime_dir_lost"),
        ({"zygote": {"pid": None, "generation": 1}}, "zygote_down"),
        ({"reload_failure": "no such module"}, "reload_failed"),
        ({"zygote": {"pid": 1, "generation": 2}}, "generations_mixed"),
        ({"figures_age_s": 61.0}, "figures_stale"),
    ],
)
def test_each_problem_has_its_code(changes, code):
    assert codes(**changes) == [code]


def test_of_a_failed_reload_the_line_is_told_that_names_the_error():
    (problem,) = problems(make_facts(reload_failure="KeyError: 'sku'\nTraceback …\n\tHINT: none"))
    assert problem.message == "the last reload failed, the code before it goes on: KeyError: 'sku'"


def test_a_renewal_is_late_only_when_there_may_be_claims_so_old_and_those_came_after_ready():
    never = {"pid": 1, "last_renewal_s": None}
    assert codes(maintenance=never, uptime_s=100.0, ready_for_s=39.0) == []
    assert codes(maintenance=never, uptime_s=100.0, ready_for_s=41.0) == ["renewal_late"]


def test_figures_of_queues_that_are_older_than_every_worker_do_not_say_that_nobody_serves_them():
    def found(*ages: float, figures: float) -> list[str]:
        workers = tuple(
            WorkerFacts(slot=slot, pid=4710 + slot, state="idle", age_s=age) for slot, age in enumerate(ages)
        )
        return codes(queues=queue(workers=0), workers=workers, figures_age_s=figures)

    assert found(0.5, 0.4, figures=0.1) == found(6.0, 6.0, figures=5.5) == []
    assert found(0.5, 70.0, figures=0.1) == found(12.0, 12.0, figures=0.5) == found(figures=0.5)
    assert found(figures=0.5) == ["queue_without_worker"]


def test_errors_stand_before_warnings_and_make_it_degraded():
    facts = make_facts(zygote={"pid": None, "generation": 1}, database_down_s=31.0)
    found = problems(facts)
    assert [problem.severity for problem in found] == ["error", "warning"]
    assert state_of(facts, found) == "degraded"


def test_what_is_starting_or_stopping_is_not_short_of_workers():
    short = {"short_for_s": 60.0, "zygote": {"pid": None, "generation": 1}, "maintenance": {"pid": None}}
    assert codes(ready_for_s=None, **short) == []
    assert codes(is_stopping=True, **short) == []
    assert state_of(make_facts(is_stopping=True), []) == "stopping"
    assert state_of(make_facts(ready_for_s=None), []) == "starting"
    assert state_of(make_facts(is_failed=True), []) == "failed"


def test_the_object_follows_the_published_schema():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(Path("docs/status.schema.json").read_text())
    facts = make_facts(database_down_s=31.0)
    found = problems(facts)
    since: dict[Problem, str] = dict.fromkeys(found, "2026-11-21T12:02:40Z")
    jsonschema.validate(as_json(facts, found, since), schema)


@pytest.mark.parametrize(
    "told",
    [
        queue(),
        queue(workers=0, oldest_ready_age_s=59.0),
        queue(workers=None, oldest_ready_age_s=None),
        queue(workers=0, **pause("2026-11-21T09:12:04Z")),
        queue(**pause("2026-11-19T09:12:04Z", "2026-11-29T09:12:04Z")),
    ],
)
def test_a_queue_that_is_served_or_paused_for_a_while_is_no_problem(told):
    assert codes(queues=told) == []


def test_the_fix_of_a_queues_problem_can_be_pasted():
    (found,) = problems(make_facts(queues=queue(name="a b", workers=0)))
    assert (found.severity, found.subject, found.fix) == ("warning", "a b", "bgtasksd start --queue 'a b'")
