"""The active language and time zone of the thread: a task that activates others does so for itself alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.utils import timezone, translation


@contextmanager
def kept_active() -> Iterator[None]:
    """Activate again what was active before. Nothing is activated unless a task did: that would load catalogs."""
    language, zone = translation.get_language(), timezone.get_current_timezone()
    try:
        yield
    finally:
        if translation.get_language() != language:
            translation.deactivate_all() if language is None else translation.activate(language)
        if timezone.get_current_timezone() is not zone:
            timezone.activate(zone)
