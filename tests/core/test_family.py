"""The family's registry is one: nobody else lists its symbols."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from core.family import HIGHEST, LOWEST, SIGNAL_SYMBOL, SYMBOLS, Side, leverage_of, side_of, target_on
from core.vocabulary import FAMILY, FamilyTarget
from tools.paths import ROOT

SHIPPED = [
    *sorted(path for folder in ("core", "risk", "strategies", "helpers") for path in (ROOT / folder).rglob("*.py")),
    ROOT / "main.py",
]
ONLY_HERE = {"TQQQ", "PSQ", "SQQQ"}


def named_in(path: Path) -> set[str]:
    """Return the family's symbols that a file spells out in its code."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return ONLY_HERE & (texts | names)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_etf_04_no_second_registry(path: Path) -> None:
    expected = ONLY_HERE if path.name == "vocabulary.py" else set()
    assert named_in(path) == expected


def test_etf_04_the_four_symbols_have_side_leverage_and_target() -> None:
    assert SYMBOLS == ("QQQ", "TQQQ", "PSQ", "SQQQ")
    assert SIGNAL_SYMBOL == "QQQ"
    assert (LOWEST, HIGHEST) == (1, 3)
    for side, members in FAMILY.items():
        for symbol, leverage in members.items():
            assert (side_of(symbol), leverage_of(symbol)) == (Side(side), leverage)
            assert target_on(Side(side), leverage) is FamilyTarget(symbol)
    assert side_of("CASH") is None
    assert side_of("SPY") is None
