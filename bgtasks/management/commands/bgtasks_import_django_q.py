"""`manage.py bgtasks_import_django_q`: the verb `import-django-q`."""

from __future__ import annotations

from bgtasks.management.fronting import VerbCommand


class Command(VerbCommand):
    verb = "import-django-q"
