"""Record what LEAN does: `python -m tests.conformance.record [CASE ...]`, all cases without a name.

To be run when a case is added or changed, or when LEAN has changed; what then differs in the engine, the tests say.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.conformance.cases import CASES, SAMPLE_CASES
from tests.conformance.harness import SAMPLE, market_for, run_on_lean
from tests.conformance.lab_market import write_lab_market
from tools.lean_launcher import find_installation


def main(names: list[str]) -> None:
    installation = find_installation()
    with tempfile.TemporaryDirectory(prefix="bulkhead-lab-") as folder:
        data = write_lab_market(Path(folder) / "data")
        for case in (*CASES, *SAMPLE_CASES):
            if names and case.name not in names:
                continue
            work = Path(folder) / case.name
            if case not in SAMPLE_CASES:
                source = market_for(case, data, work / "data")
            elif SAMPLE in os.environ:
                source = Path(os.environ[SAMPLE])
            else:
                print(f"{case.name}: left out, {SAMPLE} is not set")
                continue
            outcome = run_on_lean(case, source, work, installation)
            case.recording.parent.mkdir(exist_ok=True)
            case.recording.write_text(outcome.as_json(), encoding="utf-8")
            print(f"{case.name}: {outcome.status}, {len(outcome.notes)} notes", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
