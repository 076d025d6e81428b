"""The active language and time zone of the thread: a task that activates others does so for itself alone."""

from __future__ import annotations

from django.utils import timezone, translation


class Activation:
    """What is active where this is made."""

    def __init__(self) -> None:
        self.language = translation.get_language()
        self.zone = timezone.get_current_timezone()

    def restore(self) -> None:
        """Activate it again. Nothing is activated unless a task did: that would load catalogs."""
        if translation.get_language() != self.language:
            translation.deactivate_all() if self.language is None else translation.activate(self.language)
        if timezone.get_current_timezone() is not self.zone:
            timezone.activate(self.zone)
