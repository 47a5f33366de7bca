"""Worlds of the core's tests."""

from __future__ import annotations

import pytest

from tests.core.desk import Desk


@pytest.fixture
def desk() -> Desk:
    """A ledger that has just begun, as in a backtest."""
    return Desk()
