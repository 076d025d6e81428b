"""The table of promises with what this machine measures, on each database that answers."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.catalogue import SCENARIOS
from benchmarks.promises import ALL, PROMISES, RUNS, Figures, Promise, Run
from benchmarks.report import number, table, today, write_into
from tests.databases import why_unreachable

TITLES = {"postgres": "PostgreSQL", "mariadb": "MariaDB", "sqlite": "SQLite"}
MISSED = "✗"
Results = dict[tuple[str, str], Figures]
"""Medians by database and run."""
VERSIONS = ("bgtasks", "python", "django", "cores", "server")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--database", nargs="+", choices=ALL, default=list(ALL), help="which (default: all)")
    parser.add_argument("--quick", action="store_true", help="smaller sizes: the shape, not the figures")
    parser.add_argument("--only", nargs="+", choices=list(RUNS), metavar="RUN", help=", ".join(RUNS))
    parser.add_argument("--page", type=Path, help="write the table into this page, where it marks the place")
    parser.add_argument("--rows", type=int, default=300_000, help="of each kind in the backlog (default 300,000)")


def main(options: argparse.Namespace) -> int:
    """Run what the promises need on each database, print the table, and return 1 when a gate is missed."""
    begun = time.monotonic()
    databases = [database for database in options.database if is_there(database)]
    results: Results = {}
    versions: dict[str, dict[str, str]] = {}
    for name, run in RUNS.items():
        for database in databases:
            if database in run.databases and run.scenario in SCENARIOS and name in (options.only or RUNS):
                measured = measured_by(name, run, database, options)
                if measured is not None:
                    results[database, name] = medians(measured)
                    versions[database] = {key: str(measured[key]) for key in VERSIONS}
    shown = report(databases, results)
    print(f"\n{shown}\n\n{time.monotonic() - begun:.0f} s; {MISSED}: the gate is missed", flush=True)
    if options.page:
        write_into(options.page, "targets", f"{caption(versions, options)}\n\n{shown}")
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        kept = {f"{database} {name}": figures for (database, name), figures in results.items()}
        (options.output / "targets.json").write_text(json.dumps(kept, indent=1) + "\n")
    return int(MISSED in shown)


def is_there(database: str) -> bool:
    """Tell whether this database answers; if not, say why it is left out."""
    reason = why_unreachable(database)
    if reason:
        print(f"{database} is left out: {reason}", flush=True)
    return not reason


def measured_by(name: str, run: Run, database: str, options: argparse.Namespace) -> dict[str, Any] | None:
    """Run the scenario in a process of its own, and return its JSON; None when it failed, having said so."""
    given = (run.quick if options.quick else run.full).format(rows=options.rows).split()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks", run.scenario, "--database", database, "--output", folder, *given]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        print(f"{database} {name} {' '.join(given)}: {time.monotonic() - begun:.0f} s", flush=True)
        if ended.returncode:
            print(f"  failed: {ended.stderr.strip()[-1500:]}", flush=True)
            return None
        print("\n".join(f"  {line}" for line in ended.stdout.splitlines()[2:]), flush=True)
        measured: dict[str, Any] = json.loads((Path(folder) / f"{run.scenario}-{database}.json").read_text())
    return measured


def medians(measured: dict[str, Any]) -> Figures:
    """Return the medians by variant and name."""
    return {
        variant: {key: figure["median"] for key, figure in figures.items()}
        for variant, figures in measured["figures"].items()
    }


def caption(versions: dict[str, dict[str, str]], options: argparse.Namespace) -> str:
    """Return what the table was measured with, and when."""
    one = next(iter(versions.values()))
    servers = ", ".join(each["server"] for each in versions.values())
    size = "quick sizes" if options.quick else f"{options.rows:,} rows of each kind in the backlog"
    return (
        f"{today()}, {one['cores']} cores; bgtasks {one['bgtasks']}, Python {one['python']}, Django {one['django']}, "
        f"{servers}; {size}. {MISSED}: the gate is missed."
    )


def report(databases: list[str], results: Results) -> str:
    """Return the table."""
    heads = ["promise", "gate", "aim", *(TITLES[database] for database in databases)]
    rows = [
        [promise.text, promise.gate, promise.aim, *(cell(promise, database, results) for database in databases)]
        for promise in PROMISES
        if any((database, promise.run) in results for database in databases)
    ]
    return table(heads, rows)


def cell(promise: Promise, database: str, results: Results) -> str:
    """Return what was measured, marked when the gate is missed."""
    figures = results.get((database, promise.run))
    if figures is None:
        return ""
    try:
        value = promise.value(figures)
    except KeyError:
        return ""  # this database has no such figure
    shown = number(round(value, 2)) + promise.unit
    return shown if promise.is_met(database, value) else f"{shown} {MISSED}"
