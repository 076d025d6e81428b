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
}


def main() -> int:
    """Run the scenario, print its figures as Markdown, and write them where asked."""
    options = parser().parse_args()
    os.environ["BGTASKS_TEST_DB"] = options.database
    os.environ.setdefault("BGTASKS_TEST_SUFFIX", "benchmark")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    from benchmarks.database import fresh_database  # settings are read on import

    with fresh_database():
        figures = import_module(f"benchmarks.{options.scenario}").run(options.seconds, options.batch)
    print(as_markdown(options.scenario, options.database, figures))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        target = options.output / f"{options.scenario}-{options.database}.json"
        target.write_text(as_json(options.scenario, options.database, figures))
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser; each scenario is named with what it measures."""
    listed = "\n".join(f"  {name:10} {meaning}" for name, meaning in SCENARIOS.items())
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"Measure one scenario on a fresh database.\n\nscenarios:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("scenario", choices=SCENARIOS)
    made.add_argument("--database", choices=["sqlite", "postgres", "mariadb"], default="sqlite")
    made.add_argument("--seconds", type=float, default=5.0, help="how long to measure (default 5)")
    made.add_argument("--batch", type=int, default=1, help="tasks settled and claimed in one turn (default 1)")
    made.add_argument("--output", type=Path, help="folder for the figures as JSON")
    return made


if __name__ == "__main__":
    sys.exit(main())
