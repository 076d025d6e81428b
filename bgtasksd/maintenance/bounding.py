"""Which queues' figures are told where there are more than one message holds."""

from __future__ import annotations

import json
from itertools import accumulate
from typing import Any

from bgtasksd.children.channel import LARGEST

MOST_QUEUES = 500
MOST_BYTES = LARGEST * 3 // 4
"""A name may have 190 characters, each of which is up to twelve bytes in JSON; so may who paused a queue, and why."""


def bounded(queues: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what one message takes, by name, and how many queues were left out: those that need attention least."""
    urgent = sorted(queues, key=_urgency)[:MOST_QUEUES]
    sizes = accumulate(len(json.dumps(queue)) + 2 for queue in urgent)
    told = [queue for queue, size in zip(urgent, sizes, strict=True) if size <= MOST_BYTES]
    return {"queues": sorted(told, key=lambda queue: str(queue["name"])), "left_out": len(queues) - len(told)}


def _urgency(queue: dict[str, Any]) -> tuple[Any, ...]:
    """Put the longest wait first, then what is at work or paused, then what has tasks for later."""
    idle = (not queue["ready"], not queue["running"], not queue["paused"], not queue["scheduled"])
    return -(queue["oldest_ready_age_s"] or 0.0), *idle, queue["name"]
