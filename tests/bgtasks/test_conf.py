"""`settings.BGTASKS`: defaults, heritage names, and what is wrong with a given key."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from bgtasks import conf
from bgtasks.conf.readers import READERS


def test_every_key_is_optional() -> None:
    with override_settings(BGTASKS={}):
        now = conf.current()
    assert (now.max_attempts, now.max_run_time, now.priority_ordering, now.database) == (25, 3600, "DESC", "default")


def test_every_field_has_a_reader_and_every_reader_a_field() -> None:
    assert {key.lower() for key in READERS} == set(conf.Conf.__dataclass_fields__)


def test_settings_are_read_live() -> None:
    with override_settings(BGTASKS={"MAX_ATTEMPTS": 3, "MAX_RUN_TIME": "5m", "KEEP": {"failed": None}}):
        now = conf.current()
        assert (now.max_attempts, now.max_run_time) == (3, 300)
        assert now.keep == {"successful": 7 * 86400, "failed": None, "cancelled": 7 * 86400}
    assert conf.current().max_attempts == 25


def test_heritage_names_count_when_the_key_is_absent() -> None:
    with override_settings(MAX_ATTEMPTS=1, MAX_RUN_TIME=None, BACKGROUND_TASK_PRIORITY_ORDERING="ASC", BGTASKS={}):
        now = conf.current()
        assert (now.max_attempts, now.max_run_time, now.priority_ordering) == (1, None, "ASC")
    with override_settings(MAX_ATTEMPTS=1, BGTASKS={"MAX_ATTEMPTS": 2}):
        assert conf.current().max_attempts == 2
    with override_settings(BACKGROUND_TASK_PRIORITY_ORDERING="asc", BGTASKS={}):
        assert conf.current().priority_ordering == "DESC"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"MAX_ATEMPTS": 3}, "BGTASKS['MAX_ATTEMPTS'] = 3"),
        ({"max_run_time": 3}, "BGTASKS['MAX_RUN_TIME'] = 3"),
        ({"COLOUR": "blue"}, "'COLOUR'"),
        ({"MAX_ATTEMPTS": -1}, "-1"),
        ({"MAX_ATTEMPTS": "3"}, "'3'"),
        ({"MAX_RUN_TIME": 0}, "None means no limit"),
        ({"MAX_RUN_TIME": "soon"}, "'soon'"),
        ({"PRIORITY_ORDERING": "UP"}, "'UP'"),
        ({"KEEP": {"succeeded": 3}}, "'succeeded'"),
        ({"QUEUES": 3}, "3"),
        ({"QUEUES": ["ma*il"]}, "only at the end"),
        ({"QUEUES": ["mail:2", "*"]}, "no number of workers"),
        ({"QUEUES": "mail,!mail"}, "leaves no queue"),
        ({"QUEUES": ["mail:2000"]}, "BGTASKS['QUEUES']: 2,000 workers on one host are more than 1,024"),
        ({"QUEUES": ""}, "BGTASKS['QUEUES']: '' is not a list of names: write mail,default"),
        ({"QUEUES": [""]}, "BGTASKS['QUEUES']: '' is not a list of names: write mail,default"),
        ({"QUEUES": ["mail", " "]}, "BGTASKS['QUEUES']: ' ' is not a list of names"),
        ({"QUEUES": ["mail:2"], "WORKERS": 5}, "(mail:2) make 2 Leave BGTASKS['WORKERS'] away: the sum counts"),
        ({"WORKERS": 2000}, "BGTASKS['WORKERS']: 2,000 workers on one host are more than 1,024"),
        ({"CONCURRENCY": 0}, "BGTASKS['CONCURRENCY']: 0 tasks side by side: between 1 and 1,000"),
        ({"CONCURRENCY": 5000}, "BGTASKS['CONCURRENCY']: 5,000 tasks side by side: between 1 and 1,000"),
        ({"SLEEP": 0}, "BGTASKS['SLEEP']: the wait between two looks at the queue must be longer than zero"),
        ({"HTTP": "99999"}, "BGTASKS['HTTP']: '99999' is not HOST:PORT"),
        ({"MAX_MEMORY": "300M", "MAX_MEMORY_KILL": "100M"}, "(100 MB) must be above BGTASKS['MAX_MEMORY'] (300 MB)"),
        ({"MAX_MEMORY": "a lot"}, "'a lot'"),
        ({"BACKOFF": []}, "empty"),
        ({"DAEMON": "yes"}, "'yes'"),
        ({"LEASE": 2}, "3 s or more"),
        ({"LEASE": 10}, "KILL_GRACE"),
        ({"LEASE": 30, "ORPHAN_TIMEOUT": 25}, "two thirds"),
        ([("MAX_ATTEMPTS", 3)], "dictionary"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(given: Any, said: str) -> None:
    with override_settings(BGTASKS=given):
        (problem,) = conf.problems()
        assert said in f"{problem.text} {problem.hint}"
        with pytest.raises(ImproperlyConfigured):
            conf.current()


@pytest.mark.parametrize(
    "given",
    [
        {"WORKERS": 1024, "CONCURRENCY": 1000, "SLEEP": 0.1, "HTTP": "[::1]:9808"},
        {"WORKERS": None, "CONCURRENCY": None, "SLEEP": None, "HTTP": None, "QUEUES": None},
        {"QUEUES": [], "HTTP": ""},
        {"QUEUES": ["mail:2", "*:3"], "WORKERS": 5},
        {"MAX_MEMORY": "300M", "MAX_MEMORY_KILL": 0},
        {"MAX_MEMORY": 0, "MAX_MEMORY_KILL": "100M"},
    ],
)
def test_what_can_be_is_left_alone_up_to_the_bounds(given: Any) -> None:
    with override_settings(BGTASKS=given):
        assert conf.problems() == []


def test_a_setting_corrected_later_is_accepted() -> None:
    with override_settings(BGTASKS={"MAX_ATTEMPTS": "x"}), pytest.raises(ImproperlyConfigured):
        conf.current()
    with override_settings(BGTASKS={"MAX_ATTEMPTS": 7}):
        assert conf.current().max_attempts == 7
