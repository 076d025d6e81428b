"""The columns that a request to run a function fills, as one tuple."""

from __future__ import annotations

from operator import attrgetter

REQUEST = (
    "task_name",
    "task_params",
    "task_hash",
    "verbose_name",
    "priority",
    "priority_sign",
    "repeat",
    "repeat_until",
    "queue",
    "max_attempts",
    "max_run_time",
    "creator_content_type_id",
    "creator_object_id",
    "headers",
    "backend",
    "legacy_id",
    "unique_key",
    "limit_key",
)
request_of = attrgetter(*REQUEST)
