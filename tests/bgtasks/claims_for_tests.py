"""Claims that no database knows: what execution needs and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from bgtasks.queue.types import Claim


def claim_for(task_name: str, *args: Any, **changes: Any) -> Claim:
    """Return a claim on a call of the task with these arguments."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    facts: dict[str, Any] = {
        "task_id": 17,
        "token": 4711,
        "task_name": task_name,
        "task_params": json.dumps((args, {})),
        "queue": "default",
        "attempts": 1,
        "crashes": 0,
        "max_attempts": None,
        "max_run_time": None,
        "run_at": at,
        "locked_at": at,
        "locked_by": "host:instance:1:nonce",
    }
    facts.update(changes)
    facts.setdefault("row", {"task_name": task_name, "attempts": facts["attempts"], "backend": ""})
    return Claim(**facts)
