"""Worlds of the core's tests."""

from __future__ import annotations

import pytest

from tests.core.desk import Desk
from tests.core.family_ledger import FamilyLedger


@pytest.fixture
def desk() -> Desk:
    """A ledger that has just begun, as in a backtest."""
    return Desk()


@pytest.fixture
def ledger() -> FamilyLedger:
    """Records of the ETF book in a session that has just opened."""
    made = FamilyLedger()
    made.open_session()
    return made
