"""This project, by the same driver and in an environment of its own like every other."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.peers.peer import ARGUMENTS, NAMED, Peer, Setup

WORKER = (
    "-m",
    "bgtasksd",
    "start",
    "--workers",
    "4",
    "--settings",
    "benchmarks.peers.settings",
    "--runtime-dir",
    "run",
)
EACH = "BENCHMARK_SETTLE_EACH"

PEER = Peer(
    package="django-bgtasks",
    requirements=("psycopg[binary]",),
    settings={
        "INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes", "bgtasks", "benchmarks"],
    },
    setups=(
        Setup("default", "`bgtasksd start --workers 4`", (WORKER,), tasks=100_000),
        Setup("settle each", '`BGTASKS = {"SETTLE": "each"}`', (WORKER,), tasks=30_000, variables={EACH: "1"}),
    ),
    remaining="SELECT count(*) FROM bgtasks_task",
)


def more_settings() -> dict[str, Any]:
    """Return the product's settings: its defaults but for what the set-up names."""
    return {"BGTASKS": {"SETTLE": "each"} if EACH in os.environ else {}}


def enqueue() -> None:
    """Store one, in a transaction of its own."""
    from benchmarks.tasks import nothing

    nothing.enqueue(*ARGUMENTS, **NAMED)


def fill(count: int) -> None:
    """Store that many by `enqueue_many`."""
    from benchmarks.tasks import nothing

    nothing.enqueue_many((ARGUMENTS, NAMED) for _ in range(count))
