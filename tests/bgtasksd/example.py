"""The example object of `bgtasksd status --json`, as the documentation shows it."""

from __future__ import annotations

import json
from typing import Any

TEXT = """
{"schema_version": 1, "instance": "mysite", "host": "web-1", "pid": 4700, "version": "1.0.0", "settings": "mysite.settings",
 "state": "running", "started_at": "2026-11-21T09:12:04Z", "uptime_s": 10260.4, "workers_target": 2,
 "workers": [
  {"slot": 1, "queues": null, "pid": 4711, "generation": 1, "state": "busy", "task": "shop.tasks.import_orders", "task_id": "48214", "running_for_s": 2.41,
   "progress": {"done": 340, "total": 1000, "message": "writing"},
   "running": 1, "tasks": [{"task": "shop.tasks.import_orders", "task_id": "48214", "running_for_s": 2.41}],
   "memory_bytes": 123731968, "done": 812, "failed": 3, "age_s": 1460.2, "last_exit": "max_age"},
  {"slot": 2, "queues": null, "pid": 4712, "generation": 1, "state": "idle", "task": null, "task_id": null, "running_for_s": null,
   "progress": null, "running": 0, "tasks": [], "memory_bytes": 100663296, "done": 790, "failed": 0, "age_s": 1460.1, "last_exit": null}],
 "queues": [
  {"name": "default", "ready": 96, "scheduled": 2310, "running": 1, "oldest_ready_age_s": 3.1, "workers": 2, "paused": false, "pause": null},
  {"name": "mail", "ready": 32, "scheduled": 0, "running": 0, "oldest_ready_age_s": 4.2, "workers": 2, "paused": false, "pause": null},
  {"name": "reports", "ready": 0, "scheduled": 0, "running": 0, "oldest_ready_age_s": null, "workers": 2, "paused": true,
   "pause": {"by": "ana", "reason": "migration", "since": "2026-11-21T11:51:10Z", "until": null}}],
 "queues_left_out": 0, "figures_age_s": 1.9, "count_cap": 10000,
 "totals": {"done": 81442, "failed": 190, "retried": 66, "cancelled": 2, "released": 1, "reclaimed": 0,
            "recycled": {"age": 2, "memory": 1, "tasks": 0, "reload": 0}, "crashed": 0},
 "last_hour": {"done": 4812, "failed": 19, "retried": 6, "reclaimed": 0},
 "zygote": {"pid": 4701, "state": "ready", "generation": 1},
 "maintenance": {"pid": 4702, "state": "running", "last_turn_s": 0.4, "last_renewal_s": 11.8},
 "database": {"alias": "default", "vendor": "postgresql", "reachable": true, "last_contact_s": 0.8},
 "problems": [{"code": "queue_late", "severity": "warning", "subject": "mail",
               "message": "oldest task has waited 4.2 s, target 2 s",
               "since": "2026-11-21T12:02:40Z", "fix": "bgtasksd scale mail=2"}]}
"""  # noqa: E501 - as it is printed


def status_facts() -> dict[str, Any]:
    """Return a fresh copy of the example."""
    facts: dict[str, Any] = json.loads(TEXT)
    return facts
