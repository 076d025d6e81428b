"""Each test registers its functions in a registry of its own."""

from __future__ import annotations

import pytest

from bgtasks import registry


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_tasks", {})
    monkeypatch.setattr(registry, "_sources", {})
