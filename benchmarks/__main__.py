"""The command line of the benchmarks: which scenario, on which database, for how long."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.report import as_json, as_markdown

SCENARIOS = {
    "enqueue": "store tasks one by one, each in a transaction of its own",
    "turn": "settle one success and claim one task, turn by turn",
    "drain": "a real bgtasksd works through a full queue, undisturbed or while its workers are killed",
}


def main() -> int:
    """Run the scenario, print its figures as Markdown, and write them where asked."""
    options = parser().parse_args()
    os.environ["BGTASKS_TEST_DB"] = options.database
    os.environ.setdefault("BGTASKS_TEST_SUFFIX", "benchmark")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    from benchmarks.database import fresh_database  # settings are read on import

    with fresh_database():
        figures = import_module(f"benchmarks.{options.scenario}").run(options)
    print(as_markdown(options.scenario, options.database, figures))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        target = options.output / f"{options.scenario}-{options.database}.json"
        target.write_text(as_json(options.scenario, options.database, figures))
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser; each scenario is named with what it measures, and says itself what it takes."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure one scenario on a fresh database.")
    scenarios = made.add_subparsers(dest="scenario", required=True, metavar="SCENARIO")
    for name, meaning in SCENARIOS.items():
        scenario = scenarios.add_parser(name, help=meaning, description=meaning)
        scenario.add_argument("--database", choices=["sqlite", "postgres", "mariadb"], default="sqlite")
        scenario.add_argument("--output", type=Path, help="folder for the figures as JSON")
        import_module(f"benchmarks.{name}").add_arguments(scenario)
    return made


if __name__ == "__main__":
    sys.exit(main())
