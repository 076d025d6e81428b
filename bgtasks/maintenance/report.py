"""What one round of maintenance did, for whoever keeps it going."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bgtasks.queue.types import Release, Renewal


@dataclass
class Report:
    """What one round did."""

    is_database_up: bool = True
    error: str = ""
    are_tables_missing: bool = False
    """The error is that our migrations have not been run."""
    renewal: Renewal | None = None
    """What this host's workers hold by the table; None if the leases were not renewed in this round."""
    accounted: list[str] = field(default_factory=list)
    """Workers whose reported deaths are accounted for."""
    releases: list[Release] = field(default_factory=list)
    """What became of the tasks of workers that died, here or elsewhere."""
    staged: int = 0
    found_ready: bool = False
    """There is something to claim; known if due tasks were looked for in this round."""
    cancel_requested: list[tuple[int, int, str]] = field(default_factory=list)
    """(task id, token, worker) of running tasks that somebody wants to end; known as far as somebody looked."""
    given_back: int = 0
    """Tasks that waited behind a slow one."""
    pruned: int = 0
    queues: list[dict[str, Any]] | None = None
    """Figures of the queues; None if they were not sampled in this round."""

    @property
    def has_made_ready(self) -> bool:
        """Say whether there may be something new to claim."""
        return self.made_ready > 0

    @property
    def made_ready(self) -> int:
        """Return how many tasks there may be to claim that were not there before."""
        return self.staged + self.given_back + sum(len(one.retried) + len(one.given_back) for one in self.releases)
