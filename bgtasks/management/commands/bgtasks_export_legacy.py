"""`manage.py bgtasks_export_legacy`: the verb `export-legacy`."""

from __future__ import annotations

from bgtasks.management.fronting import VerbCommand


class Command(VerbCommand):
    verb = "export-legacy"
