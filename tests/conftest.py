"""What every test shares: Hypothesis profiles, a cache of its own, no tests on terminal colours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A property may be slow on a loaded machine: time is never what fails it.  The quick suite draws the same examples in
# every run, so that a red one means a change; `--full` draws anew and finds what nobody thought of.
_SLOW = [HealthCheck.too_slow]
settings.register_profile("quick", deadline=None, max_examples=50, suppress_health_check=_SLOW, derandomize=True)
settings.register_profile("anew", deadline=None, max_examples=50, suppress_health_check=_SLOW)
settings.register_profile("full", deadline=None, max_examples=1_000, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("BULKHEAD_HYPOTHESIS", "quick"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep generated markets of tests out of the user's cache, shared by the tests of one worker."""
    monkeypatch.setenv("BULKHEAD_CACHE", str(Path(tmp_path_factory.getbasetemp()) / "cache"))
