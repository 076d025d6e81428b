"""Each test registers its functions in a registry of its own."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def registered_alone(own_registry: None) -> None:
    """Have no test see what another one registered."""
