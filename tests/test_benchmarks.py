"""The benchmarks as a command: every scenario says what it takes, and the promises ask for what there is."""

from __future__ import annotations

from importlib import import_module

import pytest

from benchmarks.__main__ import parser
from benchmarks.catalogue import ACROSS_DATABASES, SCENARIOS
from benchmarks.peers import NAMES
from benchmarks.promises import PROMISES, RUNS, Run
from benchmarks.storm import Kill, counted


@pytest.mark.parametrize("scenario", [*SCENARIOS, *ACROSS_DATABASES])
def test_every_scenario_has_help_and_something_to_run(scenario: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args([scenario, "--help"])
    assert not ended.value.code
    assert capsys.readouterr().out
    module = import_module(f"benchmarks.{scenario}")
    assert callable(module.main if scenario in ACROSS_DATABASES else module.run)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_the_promises_ask_for_options_that_there_are(run: Run) -> None:
    for given in (run.full.format(rows=1000), run.quick):
        assert parser().parse_args([run.scenario, *given.split()]).scenario in SCENARIOS


def test_every_promise_is_shown_by_a_run() -> None:
    assert {promise.run for promise in PROMISES} == set(RUNS)


@pytest.mark.parametrize("name", NAMES)
def test_every_peer_can_be_read_without_being_installed(name: str) -> None:
    module = import_module(f"benchmarks.peers.{name}")
    assert module.PEER.setups
    assert module.PEER.remaining or callable(module.count_remaining)


def test_the_storm_counts_what_went_wrong() -> None:
    history = {0: [10.0], 1: [10.0], 2: [10.0], 3: [10.0, 11.0]}
    ledger = {0: [9.0], 1: [8.0, 9.0], 2: [9.0, 12.0], 3: [9.0]}
    figures = counted(ledger, history, [Kill("worker", 8.5), Kill("supervisor", 10.5)], 5)
    assert figures["lost"] == 1  # number 4 was never seen
    assert figures["completed_twice"] == 1
    assert figures["run_after_completion"] == 1
    assert figures["bodies_run_twice"] == 2
    assert figures["twice_without_supervisor_kill"] == 1
