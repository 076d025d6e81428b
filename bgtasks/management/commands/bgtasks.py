"""`manage.py bgtasks VERB`: the verbs of `bgtasksd` that need Django, where only manage.py is at hand."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from bgtasks.management.fronting import add_json, show
from bgtasks.management.verbs import VERBS, module_of


class Command(BaseCommand):
    help = "Look after queues and tasks: see `manage.py bgtasks VERB --help`."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
        for name in VERBS:
            verb = module_of(name)
            examples = verb.EXAMPLES.replace("bgtasksd ", "manage.py bgtasks ")
            below = verbs.add_parser(
                name, help=verb.SUMMARY, description=f"{verb.SUMMARY}\n\n{examples}",
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )  # fmt: skip
            verb.add_arguments(below)
            add_json(below)

    def handle(self, *args: Any, **options: Any) -> None:
        show(self, options["verb"], options)
