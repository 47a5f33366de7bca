"""The table of docs/live.md is the program's own."""

from __future__ import annotations

import pytest

from core.ports import OrderType
from core.settings import Brokerage
from tools import cli
from tools.capabilities import capability_rows, capability_table
from tools.paths import ROOT


def test_the_page_shows_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "live.md").read_text(encoding="utf-8")
    shown = page.split("<!-- capabilities -->")[1].split("<!-- /capabilities -->")[0].strip()
    assert cli.main(["live", "capabilities"]) == 0
    assert capsys.readouterr().out.strip() == shown


def test_every_brokerage_that_can_be_set_has_a_row() -> None:
    head, *rows = capability_rows()
    assert [row[1] for row in rows] == [f"`{brokerage.value}`" for brokerage in Brokerage]
    assert all(len(row) == len(head) for row in rows)


def test_a_brokerage_without_a_needed_order_type_is_shown_as_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from helpers import brokerages

    known = brokerages.CAPABILITIES
    poorer = replace(known[Brokerage.SCHWAB], order_types=frozenset({OrderType.LIMIT, OrderType.MARKET}))
    changed = {**known, Brokerage.SCHWAB: poorer}
    monkeypatch.setattr(brokerages, "CAPABILITIES", changed)
    monkeypatch.setattr("tools.capabilities.CAPABILITIES", changed)
    row = next(row for row in capability_rows() if row[1] == "`SCHWAB`")
    assert "refused: no COMBO_LIMIT" in row
    assert "trades" in row  # the ETF book needs no combos
    assert "refused" in capability_table()
