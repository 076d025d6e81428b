"""Options: the table, the dataclass, the settings' keys and their bounds agree; what contradicts is named."""

from __future__ import annotations

import dataclasses

import pytest

from bgtasks import option_bounds
from bgtasks.conf import READERS, Conf
from bgtasksd.cli.contradictions import contradictions
from bgtasksd.cli.values import reader
from bgtasksd.option_table import KEYS_ALONE, TABLE
from bgtasksd.options import MOST_WORKERS, Options, address_parts

SOURCES = {option.name: option.flag for option in TABLE}


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
    assert contradictions(options(), SOURCES) == []
    assert contradictions(options(workers=MOST_WORKERS, http=""), SOURCES) == []


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"sleep": 0.0}, "--sleep: the wait between two looks at the queue must be longer than zero"),
        ({"concurrency": 0}, "--concurrency: 0 tasks side by side: between 1 and 1,000 are possible"),
        ({"http": "1:99999"}, "--http: '1:99999' is not HOST:PORT"),
        ({"max_memory": 2**30, "max_memory_kill": 2**29}, "--max-memory-kill (512 MB) must be above --max-memory (1.0"),
        ({"workers": 1025}, "--workers: 1,025 workers on one host are more than 1,024"),
    ],
)
def test_a_contradiction_is_named_with_its_source(given, named) -> None:
    (sentence,) = contradictions(options(**given), SOURCES)
    assert sentence.startswith(named)


def test_the_time_limit_has_one_default() -> None:
    assert options().max_run_time == Conf().max_run_time


def test_what_the_supervisor_states_anew_is_what_the_settings_are_held_to() -> None:
    assert MOST_WORKERS == option_bounds.MOST_WORKERS


@pytest.mark.parametrize(
    "address", ["80", "a:80", ":80", "[::1]:80", "65535", "65536", "::1", "a", "a:", "", "1:-1", "a:b:80", "[a:80", "٣"]
)
def test_the_server_understands_the_addresses_that_are_possible_and_no_others(address) -> None:
    assert is_refused(address_parts, address) == is_refused(option_bounds.possible_address, address)


def is_refused(read, text) -> bool:
    try:
        read(text)
    except ValueError:
        return True
    return False
