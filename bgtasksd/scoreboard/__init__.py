"""The shared slots: written by workers, read by the supervisor and maintenance, also after SIGKILL."""

from bgtasksd.scoreboard.board import Board, Pages, are_all_busy, claims_on, open_pages, progress_on
from bgtasksd.scoreboard.layout import Finished, Reason, Record, Told, WorkState
from bgtasksd.scoreboard.page import Page
from bgtasksd.scoreboard.places import Places, pages_of

__all__ = [
    "Board",
    "Finished",
    "Page",
    "Pages",
    "Places",
    "Reason",
    "Record",
    "Told",
    "WorkState",
    "are_all_busy",
    "claims_on",
    "open_pages",
    "pages_of",
    "progress_on",
]
