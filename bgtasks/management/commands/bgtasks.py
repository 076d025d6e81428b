"""`manage.py bgtasks VERB`: the verbs of `bgtasksd` that need Django, where only manage.py is at hand."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bgtasks.management.verbs import VERBS, NotDone, answer, module_of


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
            below.add_argument("--json", action="store_true", help="answer with JSON on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            answered = answer(options["verb"], argparse.Namespace(**options))
        except NotDone as error:
            if options["json"]:
                told = {"code": error.code, "message": str(error), "fix": error.fix}
                self.stdout.write(json.dumps({"schema_version": 1, "error": told}, ensure_ascii=False))
            fix = f"\n{error.fix}" if error.fix else ""
            raise CommandError(f"{error}{fix}", returncode=error.exit_code) from error
        text = json.dumps(answered.facts, ensure_ascii=False) if options["json"] else answered.text
        if text:
            self.stdout.write(text)
