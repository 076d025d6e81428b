"""`manage.py bgtasks_import_celery_beat`: the verb `import-celery-beat`."""

from __future__ import annotations

from bgtasks.management.fronting import VerbCommand


class Command(VerbCommand):
    verb = "import-celery-beat"
