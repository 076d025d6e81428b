"""The schedules of Celery beat and of Django Q: those that a fixed number of seconds can express become tasks."""

from bgtasks.compat.schedules.celery_beat import CeleryBeat
from bgtasks.compat.schedules.django_q import DjangoQ
from bgtasks.compat.schedules.importing import Import
from bgtasks.compat.schedules.report import Report

__all__ = ["CeleryBeat", "DjangoQ", "Import", "Report"]
