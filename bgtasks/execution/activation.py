"""The active language and time zone of the thread: a task that activates others does so for itself alone."""

from __future__ import annotations

from contextvars import Context, copy_context

from asgiref.local import Local
from django.utils import timezone, translation


class Activation:
    """What is active where this is made."""

    def __init__(self) -> None:
        self.language = translation.get_language()
        self.zone = timezone.get_current_timezone()
        self.context = copy_context()
        self.leaves_traces = copy_context().run(_leaves_traces)

    def restore(self) -> None:
        """Activate it again. Nothing is activated unless a task did: that would load catalogs.

        To ask Django costs 9 µs; that no context variable of this thread has changed says the same for 0.1 µs.
        """
        if self.leaves_traces and _are_equal(copy_context(), self.context):
            return
        if translation.get_language() != self.language:
            translation.deactivate_all() if self.language is None else translation.activate(self.language)
        if timezone.get_current_timezone() is not self.zone:
            timezone.activate(self.zone)
        self.context = copy_context()


def _leaves_traces() -> bool:
    """Say whether a Local, in which Django keeps both, changes the context whenever it is changed (asgiref > 3.8)."""
    local = Local()
    local.value = 1
    before = copy_context()
    local.value = 2
    return not _are_equal(copy_context(), before)


def _are_equal(one: Context, other: Context) -> bool:
    try:
        return one == other
    except Exception:  # noqa: BLE001 - somebody's variable holds what cannot be compared, so it was changed
        return False
