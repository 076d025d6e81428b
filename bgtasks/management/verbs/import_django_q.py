"""`import-django-q`: take over the schedules of Django Q and django-q2."""

from __future__ import annotations

from argparse import Namespace

from bgtasks.management.verbs import Answer
from bgtasks.management.verbs.old_schedules import RULES, add_arguments, take_over

SUMMARY = "Take over the schedules of Django Q."
EXAMPLES = f"""examples:
  bgtasksd import-django-q                              what would become of each schedule
  bgtasksd import-django-q --map proj.add=shop.tasks.add
  bgtasksd import-django-q --commit --disable-source    take over what can be, and switch it off there
{RULES}"""

__all__ = ["EXAMPLES", "SUMMARY", "add_arguments", "run"]


def run(given: Namespace) -> Answer:
    """Take the schedules over, or look, and report. Raises NotDone."""
    from bgtasks.compat.schedules import DjangoQ  # imports models

    return take_over(given, DjangoQ)
