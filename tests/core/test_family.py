"""The family's registry is one: nobody else lists its symbols."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from core.family import (
    HIGHEST,
    LOWEST,
    SIGNAL_SYMBOL,
    SYMBOLS,
    FamilyView,
    Side,
    Trail,
    leverage_of,
    side_of,
    target_on,
)
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


def test_the_sides_are_opposite() -> None:
    assert (Side.LONG.opposite, Side.INVERSE.opposite) == (Side.INVERSE, Side.LONG)


def test_a_trail_counts_bars_in_a_row_and_begins_anew_with_every_change() -> None:
    trail = Trail()
    seen = []
    for side in (Side.LONG, Side.LONG, Side.LONG, Side.INVERSE, None, Side.INVERSE, Side.INVERSE):
        trail = trail.after(side, ready=True)
        seen.append((trail.side, trail.bars, trail.bars_not_ready))
    assert seen == [
        (Side.LONG, 1, 0), (Side.LONG, 2, 0), (Side.LONG, 3, 0), (Side.INVERSE, 1, 0), (None, 0, 0),
        (Side.INVERSE, 1, 0), (Side.INVERSE, 2, 0),
    ]  # fmt: skip


def test_bars_without_an_answer_are_counted_and_end_the_row() -> None:
    trail = Trail().after(Side.LONG, ready=True)
    for count in (1, 2, 3):
        trail = trail.after(None, ready=False)
        assert (trail.side, trail.bars, trail.bars_not_ready) == (None, 0, count)
    assert trail.after(Side.LONG, ready=True) == Trail(Side.LONG, 1, 0)
    assert trail.after(None, ready=True) == Trail()


def test_before_anything_is_known_the_book_is_in_cash_and_has_no_cooldown() -> None:
    view = FamilyView()
    assert view.held is FamilyTarget.CASH
    assert (view.bars_held, view.bars_since_close, view.opens_in_session, view.vix) == (0, None, 0, None)
    assert not view.loss_limit_reached
