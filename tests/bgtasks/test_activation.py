"""Language and time zone of a thread are put back after each task that changed them, and asked for after no other."""

from __future__ import annotations

import contextvars
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone, translation

from bgtasks.execution import Activation

OWN = contextvars.ContextVar("OWN")
LANGUAGES = ("de", "fr", None)


@pytest.fixture(autouse=True, params=["nothing", "something"])
def _active_before(request):
    """Let something be active already, or nothing."""
    if request.param == "something":
        translation.activate("es")
        timezone.activate("Asia/Tokyo")
    yield
    translation.deactivate()
    timezone.deactivate()


@pytest.mark.parametrize("leaves_traces", [True, False])
def test_each_change_is_undone_also_of_what_was_changed_before(leaves_traces):
    activation = Activation()
    activation.leaves_traces &= leaves_traces
    before = translation.get_language(), timezone.get_current_timezone()
    for number in range(3):
        activation.restore()
        for language in LANGUAGES:
            translation.deactivate_all() if language is None else translation.activate(language)
            activation.restore()
            assert (translation.get_language(), timezone.get_current_timezone()) == before
        timezone.activate(ZoneInfo(f"Etc/GMT+{number + 1}"))
        activation.restore()
        assert (translation.get_language(), timezone.get_current_timezone()) == before


def test_a_variable_that_cannot_be_compared_counts_as_changed():
    class Incomparable:
        def __eq__(self, other):
            raise TypeError("no")

        __hash__ = None

    activation = Activation()
    before = translation.get_language()
    for _ in range(2):
        OWN.set(Incomparable())
        translation.activate("de")
        activation.restore()
        assert translation.get_language() == before


def test_without_a_change_django_is_not_asked(monkeypatch):
    activation = Activation()
    if not activation.leaves_traces:
        pytest.skip("this asgiref changes its values in place")
    monkeypatch.setattr(translation, "get_language", None)
    activation.restore()
