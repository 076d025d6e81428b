"""Who may run a task and until when: the door to the queue. Every change of a status is one of these functions.

All open a transaction of their own but `enqueue…`, `remove_waiting`, `replace_waiting`, `settle` and what people do
to tasks (`verbs`, `cancelling`): these take part in the caller's.
"""

from bgtasks.queue.asking import ask_other_hosts
from bgtasks.queue.attempts import announce, unannounced
from bgtasks.queue.bounds import NoAnswer, be_bounded, bound
from bgtasks.queue.cancelling import Cancelled, cancel, cancel_many, cancel_requests
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
from bgtasks.queue.importing import has_taken_over, take_over, taken_over
from bgtasks.queue.kept import over, return_value
from bgtasks.queue.leases import renew
from bgtasks.queue.many import enqueue_many
from bgtasks.queue.missing_tables import are_missing
from bgtasks.queue.notifying import listener
from bgtasks.queue.own_processes import be_patient, ensure_wal
from bgtasks.queue.progressing import note_progress, progress_of
from bgtasks.queue.pruning import Pruning, forget_silent, prune, prune_orphans, pruning
from bgtasks.queue.rehearsing import rehearse
from bgtasks.queue.releasing import has_expired, reclaim, release, relieve
from bgtasks.queue.settling import settle
from bgtasks.queue.taking import abandoned, count_attempt, date, held, take, take_next
from bgtasks.queue.turning import turn
from bgtasks.queue.upkeep import database_now, give_rows_to_queues, look, next_due, stage
from bgtasks.queue.verbs import change_priority, delete_completed, delete_waiting, retry, run_now
from bgtasks.queue.workers import forget, register, workers_of_this_boot

__all__ = [
    "Cancelled",
    "NoAnswer",
    "Pruning",
    "abandoned",
    "alias",
    "announce",
    "are_missing",
    "as_datetime",
    "ask_other_hosts",
    "atomic",
    "be_bounded",
    "be_patient",
    "bound",
    "cancel",
    "cancel_many",
    "cancel_requests",
    "change_priority",
    "count_attempt",
    "database_now",
    "date",
    "delete_completed",
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
    "has_taken_over",
    "held",
    "keep",
    "listener",
    "look",
    "move_waiting_or_enqueue",
    "next_due",
    "note_progress",
    "over",
    "progress_of",
    "prune",
    "prune_orphans",
    "pruning",
    "reclaim",
    "register",
    "rehearse",
    "release",
    "relieve",
    "remove_waiting",
    "renew",
    "replace_waiting",
    "retry",
    "return_value",
    "run_now",
    "settle",
    "stage",
    "take",
    "take_next",
    "take_over",
    "taken_over",
    "turn",
    "unannounced",
    "whole",
    "workers_of_this_boot",
]
