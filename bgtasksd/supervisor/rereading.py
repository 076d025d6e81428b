"""What a reload takes of the options that a child has read again: all but what only a restart brings into force."""

from __future__ import annotations

import json
import logging

from bgtasksd.options import Options, options_from

NEED_A_RESTART = (
    *("settings", "root", "instance", "runtime_dir", "log_file", "log_format", "daemon", "wake"),
    *("on_failed", "status_socket", "http"),
)
"""Options whose change a reload does not bring into force."""

logger = logging.getLogger("bgtasksd.supervisor")


class ReloadFailed(Exception):
    """The generation in charge goes on; the message says why."""


def taken(text: str, before: Options, database: str) -> Options:
    """Return the options for the next generation, from what the child has written. Raises ReloadFailed."""
    told = json.loads(text)
    if told["database"] != database:
        raise ReloadFailed(
            f"the tasks are to be in another database, {told['database']}, not in {database}: that needs a restart"
        )
    return _keep_what_needs_a_restart(options_from(told["options"]), before)


def _keep_what_needs_a_restart(new: Options, old: Options) -> Options:
    """Return the new options but for those that only a restart can change, having said which."""
    changed = [name for name in NEED_A_RESTART if getattr(new, name) != getattr(old, name)]
    if changed:
        logger.warning("changed, and in force only after a restart: %s", ", ".join(changed))
    return new.but(**{name: getattr(old, name) for name in NEED_A_RESTART})
