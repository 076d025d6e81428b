"""`manage.py bgtasks_import_legacy`: the verb `import-legacy`."""

from __future__ import annotations

from bgtasks.management.fronting import VerbCommand


class Command(VerbCommand):
    verb = "import-legacy"
