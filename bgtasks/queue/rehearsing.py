"""A first connection and a first claim of nothing, for a process that forks workers: what it loads they share."""

from __future__ import annotations

import logging

from django.db import connections

from bgtasks import conf
from bgtasks.queue.bounds import bound
from bgtasks.queue.engines import ENGINES
from bgtasks.queue.rows import new_token
from bgtasks.queue.types import Holder

logger = logging.getLogger("bgtasks.queue")

LONGEST_WAIT = 2
"""Seconds for a server that does not answer, or a lock that others hold: the start of the workers waits for this."""


def rehearse() -> None:
    """Connect, claim nothing and disconnect; a database that is away, or not migrated yet, is none of our business.

    A driver keeps up to 2 MB from its first connection. One that pools is left alone: its threads would forbid a fork.
    """
    alias = conf.current().database
    kept = connections[alias]
    if kept.vendor not in ENGINES or kept.settings_dict["OPTIONS"].get("pool"):
        return
    connection = connections.create_connection(alias)
    db = ENGINES[connection.vendor](connection)
    bounds = dict.fromkeys([*db.connect_timeouts, *db.answer_timeouts, *db.lock_timeouts], LONGEST_WAIT)
    options = {**connection.settings_dict["OPTIONS"], **bounds}
    connection.settings_dict = {**connection.settings_dict, "OPTIONS": options}
    connections[alias] = connection
    try:
        with bound, db.transaction() as cursor:
            db.claim(cursor, 1, _holder_of_nothing(), new_token())
    except Exception as error:  # noqa: BLE001 - the workers will meet it, and wait
        logger.debug("database=%s could not be rehearsed: %s", alias, error)
    finally:
        connection.close()
        connections[alias] = kept


def _holder_of_nothing() -> Holder:
    """Return one whose queue cannot be: nobody has seen its name."""
    return Holder("nobody", lease=1.0, queues=(f"rehearsal {new_token()}",))
