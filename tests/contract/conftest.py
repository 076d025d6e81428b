"""Every contract test works on empty tables with real transactions."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _real_transactions(queue_tables: None) -> None:
    """Nothing is rolled back between tests: what is asserted was committed."""
