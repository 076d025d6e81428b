"""`import-celery-beat`: take over the schedules that django-celery-beat keeps in the database."""

from __future__ import annotations

from argparse import Namespace

from bgtasks.management.verbs import Answer
from bgtasks.management.verbs.old_schedules import RULES, add_arguments, take_over

SUMMARY = "Take over the schedules of Celery beat."
EXAMPLES = f"""examples:
  bgtasksd import-celery-beat                              what would become of each schedule
  bgtasksd import-celery-beat --map proj.add=shop.tasks.add
  bgtasksd import-celery-beat --commit --disable-source    take over what can be, and switch it off there
Stop beat first: when it last fired each schedule it writes down every three minutes, and at its end.
{RULES}"""

__all__ = ["EXAMPLES", "SUMMARY", "add_arguments", "run"]


def run(given: Namespace) -> Answer:
    """Take the schedules over, or look, and report. Raises NotDone."""
    from bgtasks.compat.schedules import CeleryBeat  # imports models

    return take_over(given, CeleryBeat)
