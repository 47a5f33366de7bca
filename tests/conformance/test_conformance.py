"""The embedded engine does what LEAN did, and LEAN still does it.

`recorded/` holds what LEAN noted; so the engine is held to it on machines without a launcher, too.  Where there is one,
LEAN runs again and must repeat the recording.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.cases import CASES, QUICK, SAMPLE_CASES
from tests.conformance.harness import Case, Outcome, differences, market_for, run_on_engine, run_on_lean
from tools.lean_launcher import Installation

_NAMES = [case.name for case in CASES]
_SAMPLES = [case.name for case in SAMPLE_CASES]
_ON_LEAN = [pytest.param(case, id=case.name, marks=() if case.name in QUICK else pytest.mark.long) for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=_NAMES)
def test_the_engine_does_what_lean_did(case: Case, lab_market: Path, tmp_path: Path) -> None:
    found = run_on_engine(case, market_for(case, lab_market, tmp_path))
    assert not differences(Outcome.from_json(case.recording.read_text(encoding="utf-8")), found)


@pytest.mark.parametrize("case", SAMPLE_CASES, ids=_SAMPLES)
def test_the_engine_does_on_real_minutes_what_lean_did(case: Case, sample_data: Path) -> None:
    found = run_on_engine(case, sample_data)
    assert not differences(Outcome.from_json(case.recording.read_text(encoding="utf-8")), found)


@pytest.mark.lean
@pytest.mark.long
@pytest.mark.parametrize("case", SAMPLE_CASES, ids=_SAMPLES)
def test_lean_does_on_real_minutes_what_was_recorded(
    case: Case, sample_data: Path, installation: Installation, tmp_path: Path
) -> None:
    found = run_on_lean(case, sample_data, tmp_path, installation)
    assert not differences(Outcome.from_json(case.recording.read_text(encoding="utf-8")), found)


@pytest.mark.lean
@pytest.mark.parametrize("case", _ON_LEAN)
def test_lean_does_what_was_recorded(case: Case, lab_market: Path, installation: Installation, tmp_path: Path) -> None:
    found = run_on_lean(case, market_for(case, lab_market, tmp_path / "data"), tmp_path, installation)
    assert not differences(Outcome.from_json(case.recording.read_text(encoding="utf-8")), found)


def test_every_recording_belongs_to_a_case_and_says_something() -> None:
    folder = CASES[0].recording.parent
    assert sorted(path.stem for path in folder.glob("*.json")) == sorted([*_NAMES, *_SAMPLES])
    for case in (*CASES, *SAMPLE_CASES):
        outcome = Outcome.from_json(case.recording.read_text(encoding="utf-8"))
        assert outcome.notes
        assert outcome.status == ("Completed" if case.parameters.get("fails", "quit") == "quit" else "RuntimeError")
