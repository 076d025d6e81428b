"""What PostgreSQL itself can do: settle a batch and claim the next in plain SQL by pgbench, and a drain beside it."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.daemon import a_daemon, drain
from benchmarks.database import empty, fill
from benchmarks.drain import PATIENCE, rate

SETTLE = """
WITH ended AS (
    DELETE FROM bgtasks_task AS task WHERE locked_by = 'pgbench:' || :client_id AND status = 2
    RETURNING {taken}, task.run_at AS due_at)
INSERT INTO bgtasks_completedtask ({columns}, due_at, outcome, finished_at)
SELECT {columns}, due_at, 10, statement_timestamp() FROM ended
"""
CLAIM = """
UPDATE bgtasks_task SET status = 2, claim = :token, attempts = attempts + 1, locked_by = 'pgbench:' || :client_id,
    locked_at = statement_timestamp(), locked_until = statement_timestamp() + interval '60 seconds'
WHERE id = ANY(ARRAY(
    SELECT id FROM bgtasks_task WHERE status = 1 AND queue = 'default' AND run_at <= statement_timestamp()
    ORDER BY claim_order, run_at, id LIMIT {batch} FOR NO KEY UPDATE SKIP LOCKED))
"""
CLIENTS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--tasks", type=int, default=100_000, help="how many (default 100,000)")
    parser.add_argument("--batch", type=int, default=50, help="tasks of one transaction (default 50)")


def run(options: argparse.Namespace) -> dict[str, float]:
    """Let pgbench drain a queue, then four workers, and compare."""
    from django.db import connection

    if connection.vendor != "postgresql":
        raise SystemExit("pgbench measures PostgreSQL alone: say --database postgres")
    fill(options.tasks)
    by_pgbench(connection.settings_dict, options)
    ceiling = rate()
    empty()
    fill(options.tasks)
    with a_daemon(CLIENTS) as daemon:
        daemon.start(is_awaited=False)
        drain(daemon, PATIENCE)
    reached = rate()
    return {
        "plain_sql_tasks_per_second": round(ceiling, 1),
        "tasks_per_second": round(reached, 1),
        "share": round(reached / ceiling, 3),
    }


def by_pgbench(settings: dict[str, Any], options: argparse.Namespace) -> None:
    """Run the script until every task is over."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script(options.batch))
        file.flush()
        turns = options.tasks // (options.batch * CLIENTS) * 2 + 10  # whoever is slower leaves some to the others
        command = [
            pgbench(),
            f"--client={CLIENTS}",
            f"--transactions={turns}",
            f"--file={file.name}",
            f"--host={settings['HOST']}",
            f"--port={settings['PORT']}",
            f"--username={settings['USER']}",
            *("--no-vacuum", "--jobs=2", settings["NAME"]),
        ]
        environment = {**os.environ, "PGPASSWORD": settings["PASSWORD"]}
        subprocess.run(command, check=True, capture_output=True, env=environment, timeout=PATIENCE)


def script(batch: int) -> str:
    """Return a turn: both statements travel in one message and commit together."""
    from bgtasks.queue.rows import SHARED, names

    columns = names(SHARED)
    settle = SETTLE.format(columns=columns, taken=names(SHARED, "task."))
    # pgbench ends a statement at the line's end only after a semicolon; \; joins two into one message
    joined = [" ".join(text.split()) for text in (settle, CLAIM.format(batch=batch))]
    return f"\\set token random(1, 9000000000000000000)\n{joined[0]} \\; {joined[1]};\n"


def pgbench() -> str:
    """Return its path; Debian keeps it out of PATH. Raises SystemExit when it is not installed."""
    kept = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    found = shutil.which("pgbench") or (str(kept[-1]) if kept else None)
    if found is None:
        raise SystemExit("pgbench is not installed (Debian: postgresql-contrib)")
    return found
