"""Who may import whom: the contracts of pyproject.toml, and LEAN at the edge alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tools.paths import ROOT

LEAN_MODULES = {"AlgorithmImports", "QuantConnect", "System", "clr"}
PACKAGES = ("core", "risk", "strategies", "helpers", "tools")


def imported_roots(source: str) -> set[str]:
    """Return the top-level names that a source file imports, wherever in it."""
    roots: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            roots.add(node.module.split(".")[0])
    return roots


def test_the_contracts_between_packages_hold() -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_lean_is_imported_by_the_edge_alone(package: str) -> None:
    files = [path for path in sorted((ROOT / package).rglob("*.py")) if not _is_edge(path)]
    assert files
    offenders = [path.name for path in files if imported_roots(path.read_text(encoding="utf-8")) & LEAN_MODULES]
    assert offenders == []


def _is_edge(path: Path) -> bool:
    """helpers/lean_*.py, and the algorithms that run inside of LEAN to be measured."""
    return (path.parent.name == "helpers" and path.name.startswith("lean_")) or path.parent.name == "measured"
