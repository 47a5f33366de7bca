"""The coverage table is true, and what the algorithm's edge touches of LEAN is touched by a case."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine.shim.AlgorithmImports as imports
from engine.lean_members import METHODS, PROPERTIES
from tests.conformance.cases import CASES, SAMPLE_CASES
from tests.conformance.harness import ALGORITHMS, HERE

ALL = (*CASES, *SAMPLE_CASES)
ROOT = HERE.parent.parent
EDGE = (ROOT / "main.py", *sorted((ROOT / "helpers").glob("lean_*.py")))
README = (HERE / "README.md").read_text(encoding="utf-8")
_MODULES = (
    "algorithm", "charts", "corporate", "data_api", "data_dictionary", "enums", "holdings", "market_bars",
    "object_store", "option_chain", "option_security", "orders", "portfolio", "schedule", "securities",
    "security_manager", "slice", "slice_bars", "symbols", "tickets", "trading", "transactions", "universe",
)  # fmt: skip
# Names that LEAN's objects have as well, but that the edge uses of our own, of Python, or for its local variables.
_OURS = frozenset(
    {
        "add", "canonical", "enabled", "find", "now", "np", "runtime_statistics", "settings", "start", "tags", "tick",
        "today",
    }
)  # fmt: skip
# Types that stand in annotations only.
_ANNOTATIONS = frozenset({"OptionChain", "QuoteBars", "Split", "TradeBars"})
# Settings choose among these; the cases run all four brokerage models by LEAN's own names.
_SAME_WORD = frozenset({"INTERACTIVE_BROKERS"})


def names_in(path: Path) -> Iterator[str]:
    """Yield every name that a file reads, calls, passes by keyword or defines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.arg
        elif isinstance(node, ast.FunctionDef):
            yield node.name


def lean_names() -> set[str]:
    """Return what LEAN offers: the names of the star import, and the members of what it hands out."""
    found = {name for name in vars(imports) if not name.startswith("_")} | METHODS | PROPERTIES
    for module in _MODULES:
        content = __import__(f"engine.{module}", fromlist=["_"])
        for value in vars(content).values():
            if isinstance(value, type) and value.__module__ == content.__name__:
                bases = [base for base in value.__mro__ if base.__module__.startswith("engine.")]
                found.update(name for base in bases for name in vars(base) if not name.startswith("_"))
    return found


def test_every_member_of_lean_that_the_edge_uses_is_exercised_by_a_case() -> None:
    used = {name for path in EDGE for name in names_in(path)} & lean_names()
    exercised = {name for path in ALGORITHMS.glob("*.py") for name in names_in(path)}
    assert {"combo_limit_order", "option_chains", "get_order_tickets", "split_factor"} <= used
    assert sorted(used - exercised - _OURS - _ANNOTATIONS - _SAME_WORD) == []


def rows() -> list[tuple[str, list[str]]]:
    """Return the rows of the coverage table: what is asked for, and the names in the cell of the cases."""
    table = README.partition("## What is covered")[2].partition("\n## ")[0]
    found = []
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and not set(cells[0]) <= set("- :"):
            found.append((cells[0], re.findall(r"`([\w-]+\*?)`", cells[2])))
    return found[1:]


def named(pattern: str) -> set[str]:
    stem = pattern.removesuffix("*")
    return {case.name for case in ALL if case.name == pattern or (stem != pattern and case.name.startswith(stem))}


@pytest.mark.parametrize(("asked", "cases"), rows(), ids=[asked[:40] for asked, _ in rows()])
def test_every_line_of_the_coverage_table_names_cases_that_exist(asked: str, cases: list[str]) -> None:
    assert cases, asked
    for pattern in cases:
        assert named(pattern), f"{asked}: there is no case {pattern}"


def test_every_case_stands_in_the_coverage_table() -> None:
    listed = {name for _, cases in rows() for pattern in cases for name in named(pattern)}
    assert sorted({case.name for case in ALL} - listed) == []
