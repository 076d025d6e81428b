"""The command line of the benchmarks: which scenario, on which database, how often."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from benchmarks.catalogue import ACROSS_DATABASES, SCENARIOS
from benchmarks.repeats import Measured, Variant, interleaved

VENDORS = ("sqlite", "postgres", "mariadb")


def main() -> int:
    """Run the scenario, print its figures as Markdown, and write them as JSON where asked."""
    options = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whoever ends us leaves no database and no daemon behind
    module = import_module(f"benchmarks.{options.scenario}")
    if options.scenario in ACROSS_DATABASES:
        return int(module.main(options))
    os.environ["BGTASKS_TEST_DB"] = options.database
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    os.environ.setdefault("BGTASKS_TEST_SUFFIX", f"benchmark_{os.getpid()}")
    from benchmarks.database import fresh_database  # settings are read on import

    with fresh_database():
        report(options, measured(module, options))
    return 0


def measured(module: ModuleType, options: argparse.Namespace) -> Measured:
    """Measure each of the scenario's variants, interleaved; a scenario without any is one variant without a name."""
    from benchmarks.database import empty

    variants = module.variants(options) if hasattr(module, "variants") else [Variant("", {})]
    return interleaved(module.run, variants, options, empty)


def report(options: argparse.Namespace, figures: Measured) -> None:
    """Print the table, and write the JSON to the folder or file that was named."""
    from benchmarks.report import as_json, as_markdown

    print(as_markdown(options.scenario, options.database, figures), flush=True)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        target = options.output / f"{options.scenario}-{options.database}.json"
        target.write_text(as_json(options.scenario, options.database, figures) + "\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser; each scenario is named with what it measures, and says itself what it takes."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure one scenario on a fresh database.")
    scenarios = made.add_subparsers(dest="scenario", required=True, metavar="SCENARIO")
    for name, meaning in {**SCENARIOS, **ACROSS_DATABASES}.items():
        scenario = scenarios.add_parser(name, help=meaning, description=meaning)
        scenario.add_argument("--output", type=Path, help="folder for the figures as JSON")
        if name in SCENARIOS:
            scenario.add_argument("--database", choices=VENDORS, default="sqlite")
            scenario.add_argument("--repeats", type=int, default=1, metavar="N", help="medians over N runs (default 1)")
        import_module(f"benchmarks.{name}").add_arguments(scenario)
    return made


if __name__ == "__main__":
    sys.exit(main())
