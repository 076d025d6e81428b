"""How soon a daemon answers while a thousand clients misbehave at its control socket and at its HTTP port."""

from __future__ import annotations

import argparse
import contextlib
import socket
import time
import urllib.request
from collections.abc import Callable

from benchmarks.daemon import MeasuredDaemon, a_daemon, wait_until_idle
from bgtasksd.connection import Connection, NoAnswer, Refused
from tests.crowd import misbehaving

PAUSE = 0.01
"""Seconds between two questions: it is the crowd that is to keep the loop busy."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--clients", type=int, default=1000, help="how many at each of the two (default 1000)")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long to ask (default 15)")
    parser.add_argument("--workers", type=int, default=16, help="worker processes (default 16)")


def run(options: argparse.Namespace) -> dict[str, float]:
    """Ask in three ways, in the middle of the crowd; whoever is turned away counts as not answered."""
    with a_daemon(options.workers) as daemon, contextlib.ExitStack() as stack:
        port = free_port()
        daemon.start("--http", f"127.0.0.1:{port}")
        wait_until_idle(daemon)
        kept = stack.enter_context(Connection(daemon.runtime))
        kept.ask("ping")
        for where in (daemon.runtime / "control.sock", port):
            stack.enter_context(misbehaving(options.clients, where))
        time.sleep(1.0)
        return asked(options, daemon, kept, port)


def asked(options: argparse.Namespace, daemon: MeasuredDaemon, kept: Connection, port: int) -> dict[str, float]:
    """Return the latencies."""

    def by_kept_connection() -> object:
        kept.be_patient(30)
        return kept.ask("status")

    def by_new_connection() -> object:
        with Connection(daemon.runtime, 30) as connection:
            return connection.ask("status")

    def by_http() -> object:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30).read()

    ways: dict[str, Callable[[], object]] = {"kept": by_kept_connection, "new": by_new_connection, "http": by_http}
    waits: dict[str, list[float]] = {name: [] for name in ways}
    count, until = 0, time.monotonic() + options.seconds
    while time.monotonic() < until:
        count += len(ways)
        for name, ask in ways.items():
            asked_at = time.monotonic()
            with contextlib.suppress(OSError, NoAnswer, Refused):
                ask()
                waits[name].append(time.monotonic() - asked_at)
        time.sleep(PAUSE)
    figures = {f"{name}_{label}": value for name, found in waits.items() for label, value in spread(found).items()}
    return {**figures, "questions": count, "turned_away": count - sum(map(len, waits.values()))}


def spread(waits: list[float]) -> dict[str, float]:
    """Return the middle, the end and the worst in milliseconds."""
    ordered = sorted(waits) or [float("nan")]
    at = {"p50_ms": len(ordered) // 2, "p99_ms": int(len(ordered) * 0.99), "worst_ms": -1}
    return {label: round(ordered[place] * 1000, 1) for label, place in at.items()}


def free_port() -> int:
    """Return a port of this machine at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
