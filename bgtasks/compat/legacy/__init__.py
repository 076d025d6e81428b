"""The rows of django-background-tasks: taken over, and given back."""

from bgtasks.compat.legacy.exporting import Export
from bgtasks.compat.legacy.importing import Import, StillLocked
from bgtasks.compat.legacy.report import Report
from bgtasks.compat.legacy.tables import NoTable

__all__ = ["Export", "Import", "NoTable", "Report", "StillLocked"]
