"""Waking whoever waits for tasks, after the commit. It only shortens a wait: polling alone is correct."""

from bgtasks.waking.committing import NOTIFIERS, due_in, ready, scheduled
from bgtasks.waking.notices import READY, SCHEDULED, Notice, parse
from bgtasks.waking.receiving import OwnSocket
from bgtasks.waking.sending import look_in

__all__ = ["NOTIFIERS", "READY", "SCHEDULED", "Notice", "OwnSocket", "due_in", "look_in", "parse", "ready", "scheduled"]
