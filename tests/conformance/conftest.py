"""The lab market, written once for all tests of a worker, and the launcher, where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conformance.harness import SAMPLE
from tests.conformance.lab_market import write_lab_market
from tools.errors import BulkheadUsageError
from tools.lean_launcher import Installation, find_installation


@pytest.fixture(scope="session")
def lab_market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lab_market(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def sample_data() -> Path:
    folder = os.environ.get(SAMPLE)
    if not folder:
        pytest.skip(f"{SAMPLE} is not set: expected the path of LEAN's sample data folder.")
    return Path(folder)


@pytest.fixture(scope="session")
def installation() -> Installation:
    try:
        return find_installation()
    except BulkheadUsageError as error:
        pytest.skip(str(error))
