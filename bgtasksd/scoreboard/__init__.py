"""The shared slots: written by workers, read by the supervisor and maintenance, also after SIGKILL."""

from bgtasksd.scoreboard.board import Board, claims_on, open_pages
from bgtasksd.scoreboard.layout import Finished, Reason, Record, WorkState
from bgtasksd.scoreboard.page import Page

__all__ = ["Board", "Finished", "Page", "Reason", "Record", "WorkState", "claims_on", "open_pages"]
