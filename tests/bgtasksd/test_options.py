"""Options: the table, the dataclass and the settings' keys agree; what contradicts is named."""

from __future__ import annotations

import dataclasses

import pytest

from bgtasks.conf import READERS
from bgtasksd.cli.values import reader
from bgtasksd.option_table import KEYS_ALONE, TABLE
from bgtasksd.options import MOST_WORKERS, Options, contradictions


def options(**given: object) -> Options:
    fields = {"settings": "shop.settings", "root": "/srv/shop", "runtime_dir": "/run/x", "workers": 2, **given}
    return Options(**fields)  # type: ignore[arg-type]


def test_every_option_is_a_field() -> None:
    fields = {field.name for field in dataclasses.fields(Options)}
    assert {option.name for option in TABLE} - {"chdir"} <= fields


def test_every_option_is_a_settings_key_but_what_is_needed_before_the_settings() -> None:
    without = {option.name for option in TABLE if not option.is_key}
    assert without == {"settings", "chdir", "instance", "runtime_dir"}
    for option in TABLE:
        assert (option.key in READERS) is option.is_key, option.name
    assert all(name.upper() in READERS for name in KEYS_ALONE)


@pytest.mark.parametrize("option", TABLE, ids=lambda option: option.name)
def test_every_option_is_explained_and_can_be_read(option) -> None:
    assert option.help
    assert callable(reader(option))
    assert option.flag.startswith("--")
    assert option.variable == "BGTASKSD_" + option.key


def test_the_defaults_do_not_contradict_each_other() -> None:
    assert contradictions(options()) == []
    assert contradictions(options(workers=MOST_WORKERS)) == []


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"lease": 2.0}, "LEASE is 2 s"),
        ({"lease": 10.0, "orphan_timeout": 5.0}, "longer than KILL_GRACE"),
        ({"orphan_timeout": 41.0}, "two thirds of LEASE"),
        ({"sleep": 0.0}, "--sleep"),
        ({"max_memory": 2**30, "max_memory_kill": 2**30}, "--max-memory-kill (1024 MB) must be above --max-memory"),
        ({"workers": 1025}, "1,025 workers on one host (--workers) are more than 1,024"),
    ],
)
def test_a_contradiction_is_named(given, named) -> None:
    assert any(named in sentence for sentence in contradictions(options(**given)))
