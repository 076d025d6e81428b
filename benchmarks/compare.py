"""The same work by other queues: each installed into an environment of its own, on the same PostgreSQL (Celery: Redis).

Of each: single enqueues a second, and a drain by four workers, watched from outside in the same way.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from benchmarks.peers import NAMES
from benchmarks.peers.environment import Environment
from benchmarks.peers.peer import Peer, Setup
from benchmarks.repeats import Figure, spread
from benchmarks.report import shown, table, today, write_into

RAMP = 0.03
"""Part of the tasks at the beginning that is not measured: workers that begin one after the other."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--peers", nargs="+", choices=NAMES, default=list(NAMES), metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--repeats", type=int, default=1, metavar="N", help="medians over N runs (default 1)")
    parser.add_argument("--scale", type=float, default=1.0, metavar="F", help="share of each one's tasks (default 1)")
    parser.add_argument("--seconds", type=float, default=30.0, metavar="S", help="longest look at a drain (default 30)")
    parser.add_argument("--enqueue-seconds", type=float, default=3.0, metavar="S", help="enqueue that long (default 3)")
    parser.add_argument("--page", type=Path, help="write the table into this page, where it marks the place")
    parser.add_argument("--python", help="for the environments; several peers need 3.12 (default: the newest here)")


def main(options: argparse.Namespace) -> int:
    """Measure all of them in turn, as often as asked for, and print the table."""
    environments = {name: Environment(name, options.python) for name in options.peers}
    for environment in environments.values():
        environment.install()
    seen: dict[tuple[str, str], list[dict[str, float]]] = {}
    for _ in range(options.repeats):
        for name, environment in environments.items():
            for setup in environment.peer.setups:
                try:
                    figures = measured(environment, setup, options)
                except Exception as error:  # noqa: BLE001 - one that fails is named, the others go on
                    print(f"{name}, {setup.name}: {type(error).__name__}: {error}", flush=True)
                    continue
                print(f"{name}, {setup.name}: {figures}", flush=True)
                seen.setdefault((name, setup.name), []).append(figures)
    table_shown = report(environments, seen)
    print(table_shown)
    if options.page:
        write_into(options.page, "compare", f"{today()}, {os.cpu_count()} cores.\n\n{table_shown}")
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "compare.json").write_text(as_json(environments, seen))
    return 0


def measured(environment: Environment, setup: Setup, options: argparse.Namespace) -> dict[str, float]:
    """Measure one set-up on a fresh database."""
    tasks = max(100, int(setup.tasks * options.scale))
    with environment.fresh_database(setup):
        done, seconds = environment.inside("enqueue", options.enqueue_seconds)
        environment.inside("fill", tasks)
        looks = environment.watched_drain(setup, options.seconds)
    return {"enqueues_per_second": round(done / seconds, 1), "tasks_per_second": round(rate(looks), 1)}


def rate(looks: list[tuple[float, int]]) -> float:
    """Return tasks a second from where the work is in full swing to its end, or to the last look."""
    most = looks[0][1]
    begun = next((look for look in looks if look[1] <= most * (1 - RAMP)), looks[0])
    over = next((look for look in looks if look[1] == 0), looks[-1])
    return (begun[1] - over[1]) / (over[0] - begun[0]) if over[0] > begun[0] else 0.0


def report(environments: dict[str, Environment], seen: dict[tuple[str, str], list[dict[str, float]]]) -> str:
    """Return the table, best first, with the way each one was set up."""
    rows = []
    for (name, setup_name), runs in seen.items():
        peer: Peer = environments[name].peer
        setup = next(each for each in peer.setups if each.name == setup_name)
        figures = {key: spread([run[key] for run in runs]) for key in runs[0]}
        rows.append((figures, [f"{peer.package} {environments[name].versions[peer.package]}, {setup_name}", setup.how]))
    rows.sort(key=lambda row: -row[0]["tasks_per_second"].median)
    heads = ["queue", "tasks/s", "single enqueues/s", "set-up"]
    return table(heads, ([row[0], *_figures(figures), row[1]] for figures, row in rows))


def _figures(figures: dict[str, Figure]) -> list[str]:
    return [shown(figures["tasks_per_second"]), shown(figures["enqueues_per_second"])]


def as_json(environments: dict[str, Environment], seen: dict[tuple[str, str], list[dict[str, float]]]) -> str:
    """Return every single figure, with the versions."""
    runs = [{"queue": name, "setup": setup, "runs": found} for (name, setup), found in seen.items()]
    versions = {name: environment.versions for name, environment in environments.items()}
    return (
        json.dumps({"date": today(), "cores": os.cpu_count(), "versions": versions, "measured": runs}, indent=1) + "\n"
    )
