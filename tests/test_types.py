"""The types hold: ours strictly, and what speaks LEAN against the published stubs of LEAN's own classes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools.paths import ROOT

STRICT = ("core", "risk", "strategies", "audit", "engine")


def _mypy(cache: Path, *what: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", f"--cache-dir={cache}", *what]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_algorithm_and_its_edge_fit_leans_stubs_and_the_packages_are_strictly_typed(tmp_path: Path) -> None:
    edge = [str(path) for path in sorted((ROOT / "helpers").glob("lean_*.py"))]
    assert edge
    answer = _mypy(tmp_path, "main.py", *edge, *STRICT)
    assert answer.returncode == 0, answer.stdout
    # Proof that the stubs were really read: a member that LEAN lacks is an error here.
    planted = tmp_path / "planted.py"
    source = "from AlgorithmImports import *\n\nQCAlgorithm().combo_limit_ordr([], 1, 1.0)\n"
    planted.write_text(source, encoding="utf-8")
    answer = _mypy(tmp_path, str(planted))
    assert answer.returncode == 1
    assert "combo_limit_ordr" in answer.stdout
