"""pgqueuer: asyncio and asyncpg without Django; batches of 100 are its fastest documented set-up."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.peers.peer import Peer, Setup

PAYLOAD = b'[["' + b"x" * 115 + b'", 12345], {"flag": true}]'
RUN = ("-m", "benchmarks.peers.pgqueuer")

PEER = Peer(
    package="pgqueuer",
    requirements=("pgqueuer[asyncpg]", "psycopg[binary]"),
    prepare=(("-m", "pgqueuer", "install"), ("-m", "pgqueuer", "autovac")),
    setups=(
        Setup(
            "batches of 100",
            "4 × `pgqueuer.run(…, batch_size=100)`, `pgq autovac` (its guides to programmatic runs and tuning)",
            ((*RUN, "100"),) * 4,
            tasks=100_000,
        ),
        Setup("default", "4 × `pgqueuer.run(…)`, `pgq autovac`", ((*RUN, "10"),) * 4, tasks=50_000),
    ),
    remaining="SELECT count(*) FROM pgqueuer WHERE status IN ('queued', 'picked')",
)


@asynccontextmanager
async def consumer() -> AsyncIterator[Any]:
    """Return a manager with one entry point that does nothing."""
    import asyncpg
    from pgqueuer import PgQueuer
    from pgqueuer.db import AsyncpgDriver

    connection = await asyncpg.connect()
    manager = PgQueuer(AsyncpgDriver(connection))

    @manager.entrypoint("nothing")
    async def nothing(job: Any) -> None:
        """Do nothing."""

    try:
        yield manager
    finally:
        await connection.close()


class Producer:
    """One loop and one connection for all that is stored; it is made on first use."""

    def __init__(self) -> None:
        import asyncio

        import uvloop

        self.loop = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.queries = self.loop.run(self.connect())

    async def connect(self) -> Any:
        """Return its queries."""
        import asyncpg
        from pgqueuer.db import AsyncpgDriver
        from pgqueuer.queries import Queries

        return Queries(AsyncpgDriver(await asyncpg.connect()))


_producers: list[Producer] = []


def _producer() -> Producer:
    if not _producers:
        _producers.append(Producer())
    return _producers[0]


def enqueue() -> None:
    """Store one."""
    producer = _producer()
    producer.loop.run(producer.queries.enqueue("nothing", PAYLOAD, 0))


def fill(count: int) -> None:
    """Store that many, a thousand in a call."""
    producer = _producer()
    for first in range(0, count, 1000):
        size = min(1000, count - first)
        producer.loop.run(producer.queries.enqueue(["nothing"] * size, [PAYLOAD] * size, [0] * size))


def work(batch_size: int) -> None:
    """Run a worker, as `pgq run` does: that command fails in 1.6.0 with a current typer."""
    import pgqueuer
    import uvloop

    uvloop.run(pgqueuer.run(consumer, batch_size=batch_size))


if __name__ == "__main__":
    work(int(sys.argv[1]))
