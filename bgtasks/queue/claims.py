"""Who may run a task and until when: the door to the queue. Every change of a status is one of these functions.

All open a transaction of their own but `enqueue…`, `remove_waiting`, `replace_waiting`, `settle` and what people do
to tasks (`verbs`): these take part in the caller's.
"""

from bgtasks.queue.attempts import announce, unannounced
from bgtasks.queue.engines import alias, as_datetime, atomic, whole
from bgtasks.queue.enqueueing import (
    enqueue,
    enqueue_unless_waiting,
    fill,
    move_waiting_or_enqueue,
    remove_waiting,
    replace_waiting,
)
from bgtasks.queue.giving_back import give_back, keep
from bgtasks.queue.leases import renew
from bgtasks.queue.many import enqueue_many
from bgtasks.queue.notifying import listener
from bgtasks.queue.own_processes import be_patient, ensure_wal
from bgtasks.queue.pruning import Pruning, forget_silent, prune, prune_orphans, pruning
from bgtasks.queue.releasing import has_expired, reclaim, release, relieve
from bgtasks.queue.settling import settle
from bgtasks.queue.turning import turn
from bgtasks.queue.upkeep import database_now, give_rows_to_queues, look, next_due, stage
from bgtasks.queue.verbs import cancel, change_priority, delete_waiting, retry, run_now
from bgtasks.queue.workers import forget, register, workers_of_this_boot

__all__ = [
    "Pruning",
    "alias",
    "announce",
    "as_datetime",
    "atomic",
    "be_patient",
    "cancel",
    "change_priority",
    "database_now",
    "delete_waiting",
    "enqueue",
    "enqueue_many",
    "enqueue_unless_waiting",
    "ensure_wal",
    "fill",
    "forget",
    "forget_silent",
    "give_back",
    "give_rows_to_queues",
    "has_expired",
    "keep",
    "listener",
    "look",
    "move_waiting_or_enqueue",
    "next_due",
    "prune",
    "prune_orphans",
    "pruning",
    "reclaim",
    "register",
    "release",
    "relieve",
    "remove_waiting",
    "renew",
    "replace_waiting",
    "retry",
    "run_now",
    "settle",
    "stage",
    "turn",
    "unannounced",
    "whole",
    "workers_of_this_boot",
]
