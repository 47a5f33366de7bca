"""The page of a run: every figure is a fold of the ledger, and the file needs nothing but itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.tools.ledgers import TRADE, LedgerBuilder, one_session
from tools.errors import BulkheadUsageError
from tools.ledger_reader import read_ledger
from tools.report import build
from tools.report.charts import figures
from tools.report.model import View, fold


def view_of(builder: LedgerBuilder, folder: Path) -> View:
    return fold(read_ledger(builder.write(folder)))


def page_of(builder: LedgerBuilder, folder: Path) -> str:
    return build(builder.write(folder)).read_text(encoding="utf-8")


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r"const figures = (\{.*?\});\nfor", page, re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    page = page_of(one_session(), tmp_path)
    outside_the_library = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert not re.search(r"""(src|href)\s*=\s*["']""", outside_the_library)
    assert "@import" not in outside_the_library
    assert "Plotly" in page


def test_equity_and_drawdown_follow_the_marks(tmp_path: Path) -> None:
    view = view_of(one_session(), tmp_path)
    assert view.equity.y == [100_000.0, 100_000.0, 100_053.0, 100_106.0, 100_106.0]
    assert view.drawdown.y == [0.0] * 5
    falling = LedgerBuilder().start().open_session().mark("10:00", 110_000_000_000).mark("11:00", 99_000_000_000)
    assert view_of(falling, tmp_path / "falling").drawdown.y[-1] == -10.0


def test_a_trade_is_shown_with_its_result_its_legs_and_its_whole_story(tmp_path: Path) -> None:
    trade = view_of(one_session(), tmp_path).trades[TRADE]
    assert trade.pnl_usd == 106.0
    assert trade.fees_usd == 4.0
    assert trade.credit_points == pytest.approx(1.5)
    assert (trade.opened[11:16], trade.state, trade.reason) == ("10:45", "CLOSED", "EXIT_TARGET")
    kinds = [kind for _at, kind, _text in trade.story]
    assert kinds.index("ORDER_INTENT") < kinds.index("FILL") < kinds.index("TRADE_CLOSED")


def test_refusals_are_counted_by_strategy_gate_and_reason_with_their_sessions(tmp_path: Path) -> None:
    rows = view_of(one_session(), tmp_path).funnel
    assert [(row.gate, row.reason, row.count, row.sessions) for row in rows] == [
        ("vix", "VIX_WINDOW", 2, 1),
        ("data", "QUOTE_STALE", 1, 1),
    ]


def test_the_funnel_chart_leaves_out_minutes_outside_the_window(tmp_path: Path) -> None:
    builder = one_session()
    builder.add(
        "FUNNEL", "friday_0dte", strategy="friday_0dte", date="2025-11-28", counts={"OUTSIDE_WINDOW": 359, "OPENED": 1}
    )
    bars = data_of(page_of(builder, tmp_path))["funnel"]["data"][0]
    assert bars["y"] == ["OPENED"]
    assert bars["x"] == [1]


def test_wins_and_losses_are_told_apart_by_colour_and_number(tmp_path: Path) -> None:
    lost = LedgerBuilder().start().open_session().trade(buy_back_u6=3_000_000).end()
    assert (view_of(one_session(), tmp_path / "won").wins, view_of(lost, tmp_path / "lost").losses) == (1, 1)
    colours = [
        figures(view_of(builder, tmp_path / str(index)))["pnl"]["data"][0]["marker"]["color"]
        for index, builder in enumerate((one_session(), lost))
    ]
    assert colours[0] != colours[1]


def test_a_difference_between_books_and_broker_is_the_first_thing_one_sees(tmp_path: Path) -> None:
    builder = one_session()
    builder.add("BREAK", symbol="SPY", book_qty=0, broker_qty=5, status="OPEN", locked=["SPY"])
    assert "1 differences" in page_of(builder, tmp_path)


def test_a_run_that_was_cut_short_says_so(tmp_path: Path) -> None:
    page = page_of(LedgerBuilder().start().open_session().mark("10:00", 100_000_000_000), tmp_path)
    assert "no RUN_ENDED" in page
    assert "ended with ERROR" in page_of(one_session_ended("ERROR"), tmp_path / "error")


def one_session_ended(reason: str) -> LedgerBuilder:
    return LedgerBuilder().start().open_session().end(reason=reason)


def test_text_from_the_ledger_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    builder = one_session()
    builder.add("ALERT", severity="WARNING", code="X", text="</script><script>alert(1)</script>")
    page = page_of(builder, tmp_path)
    assert "<script>alert(1)" not in page


def test_an_empty_run_has_a_page_and_a_missing_ledger_has_a_sentence(tmp_path: Path) -> None:
    assert "Nothing to draw" in page_of(LedgerBuilder().start(), tmp_path / "empty")
    with pytest.raises(BulkheadUsageError, match="expected a run folder"):
        build(tmp_path)
