"""Worlds for the engine's data tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.lean_folder import LeanFolder


@pytest.fixture
def folder(tmp_path: Path) -> LeanFolder:
    """A data folder that knows hours and symbol properties, and holds no bar yet."""
    return LeanFolder(tmp_path)
