"""What a host with nothing to do costs: queries a second as the server counts them, and CPU of all our processes."""

from __future__ import annotations

import argparse
import time

from benchmarks.daemon import a_daemon, wait_until_idle
from benchmarks.processes import cpu_seconds, wakeups

START_IS_BOOKED = 25.0
"""Seconds: PostgreSQL counts what a session did when it has been idle for ten."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to look (default 30)")
    parser.add_argument("--workers", type=int, default=4, help="worker processes (default 4)")


def run(options: argparse.Namespace) -> dict[str, float]:
    """Start, let it settle, and look at the counters twice."""
    with a_daemon(options.workers) as daemon:
        daemon.start()
        wait_until_idle(daemon)
        time.sleep(START_IS_BOOKED)
        pids = daemon.family()
        queries, cpu, switches, begun = queries_seen(), cpu_seconds(pids), wakeups(pids), time.monotonic()
        time.sleep(options.seconds)
        elapsed = time.monotonic() - begun
        figures = {
            "cpu_percent": round((cpu_seconds(pids) - cpu) / elapsed * 100, 2),
            "wakeups_per_second": round((wakeups(pids) - switches) / elapsed, 1),
        }
        seen = queries_seen()
        if queries is not None and seen is not None:
            figures["queries_per_second"] = round((seen - queries) / elapsed, 2)
        return figures


def queries_seen() -> float | None:
    """Return how many statements the server has answered in this database; None where it has no such counter.

    PostgreSQL counts transactions: ours are of one statement each while idle. MariaDB counts for the whole server.
    """
    from django.db import connection

    if connection.vendor == "sqlite":
        return None
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
            return float(cursor.fetchone()[1])
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")
        return float(cursor.fetchone()[0])
