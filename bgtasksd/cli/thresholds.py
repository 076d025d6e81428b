"""What the caller of `status` or `check` finds too much or too little: the options, and the problems they make."""

from __future__ import annotations

import argparse
from typing import Any

from bgtasksd.cli.arguments import add_value
from bgtasksd.status import UP


def add_thresholds(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_value(parser, "--max-oldest", "duration", "degraded when a ready task has waited longer")
    add_value(parser, "--max-failed", "count", "degraded when more attempts failed in the last hour")
    add_value(parser, "--min-workers", "count", "degraded when fewer workers are up")


def add_problems(facts: dict[str, Any], typed: argparse.Namespace) -> None:
    """Put what passes the caller's thresholds before the daemon's own problems."""
    found = passed_thresholds(facts, typed.max_oldest, typed.max_failed, typed.min_workers)
    facts["problems"][:0] = found
    if found and facts["state"] == "running":
        facts["state"] = "degraded"


def passed_thresholds(
    facts: dict[str, Any],
    max_oldest: float | None = None,
    max_failed: int | None = None,
    min_workers: int | None = None,
) -> list[dict[str, Any]]:
    """Return a problem for each of the caller's thresholds that the figures pass."""
    found = []
    for queue in facts["queues"]:
        age = queue["oldest_ready_age_s"]
        if max_oldest is not None and age is not None and age > max_oldest and not queue["paused"]:
            found.append(
                _problem(
                    "oldest_exceeded", queue["name"], f"oldest task has waited {age:.1f} s, allowed {max_oldest:g} s"
                )
            )
    failed = facts["last_hour"]["failed"]
    if max_failed is not None and failed > max_failed:
        text = f"{failed} {'attempt' if failed == 1 else 'attempts'} failed in the last hour, allowed {max_failed}"
        found.append(_problem("failed_exceeded", None, text))
    up = sum(worker["state"] in UP for worker in facts["workers"])
    if min_workers is not None and up < min_workers:
        found.append(_problem("workers_too_few", None, f"{up} workers are up, wanted {min_workers}"))
    return found


def _problem(code: str, subject: str | None, message: str) -> dict[str, Any]:
    return {"code": code, "severity": "error", "subject": subject, "message": message, "since": None, "fix": None}
