"""Celery with Redis as its broker and no result backend."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from benchmarks.peers.peer import ARGUMENTS, NAMED, Peer, Setup

URL = os.environ.get("BENCHMARK_REDIS", "redis://127.0.0.1:6379/13")
QUEUE = "bgtasks-benchmark"
WORKER = ("-m", "celery", "--app", "benchmarks.peers.celery:app", "worker", "--concurrency", "4", "--queues", QUEUE)

PEER = Peer(
    package="celery",
    requirements=("celery[redis]", "packaging"),
    prepare=(("-m", "benchmarks.peers.celery"),),
    setups=(
        Setup(
            "prefetch 64",
            "`worker --concurrency 4 --prefetch-multiplier 64`, results ignored (its optimizing guide, short tasks)",
            ((*WORKER, "--prefetch-multiplier", "64"),),
            tasks=20_000,
        ),
        Setup("default", "`worker --concurrency 4`, results ignored", (WORKER,), tasks=10_000),
    ),
    uses_postgres=False,
)


@cache
def _app() -> Any:
    from celery import Celery

    made = Celery("benchmark", broker=URL)
    made.conf.update(task_ignore_result=True, task_default_queue=QUEUE, broker_connection_retry_on_startup=True)
    made.task(nothing, name="nothing")
    return made


def nothing(text: str, number: int, *, flag: bool = False) -> None:
    """Do nothing."""


def __getattr__(name: str) -> Any:
    if name == "app":  # what its command line looks for; this file is read where Celery is not installed, too
        return _app()
    raise AttributeError(name)


def enqueue() -> None:
    """Send one."""
    _app().tasks["nothing"].apply_async(ARGUMENTS, NAMED)


def fill(count: int) -> None:
    """Send that many."""
    for _ in range(count):
        enqueue()


def count_remaining() -> int:
    """Return what waits, and what workers have taken and not acknowledged."""
    redis = _redis()
    return int(redis.llen(QUEUE)) + int(redis.hlen("unacked"))


@cache
def _redis() -> Any:
    from redis import Redis

    return Redis.from_url(URL)


def clear() -> None:
    """Remove what Celery has put into this Redis database."""
    redis = _redis()
    redis.delete(QUEUE, "unacked", "unacked_index", "unacked_mutex", *redis.keys("_kombu.*"))


if __name__ == "__main__":
    clear()
