"""Rows of the bug catalogue (etf-rotation.md 9) that are about money, the ledger, the audit and the tests themselves.

Every row is a test somewhere that carries its id; the last test here finds the ids that are missing.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from datetime import date
from functools import cache
from itertools import accumulate, pairwise
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from audit.metrics import Metrics, Summary
from audit.moment import Moment, Snapshot
from audit.state import State
from audit.store import Store, tables
from audit.verdict import judge_lines
from core.eastern import from_utc_text
from core.family import SYMBOLS
from core.family_reconciler import FamilyHoldings, reconcile
from core.vocabulary import FamilyTarget
from tests.audit.chaining import chained
from tests.etf_world import EtfWorld, on
from tools.integrity.broker_count import count_at_broker
from tools.integrity.cells import Cell, Policy
from tools.integrity.run import Ran, run
from tools.integrity.venue import Fault
from tools.ledger_reader import read_ledger
from tools.run_folder import Effort, summarise

TESTS = Path(__file__).parent.parent
TRIPLE = "10:05=0.80"
ROWS = 43
SCENARIOS = 20


@cache
def busy_run() -> Ran:
    """Two blocks with gains and losses, a broker that does everything wrong, and Thanksgiving in the middle."""
    return run(Cell("random", Fault.MIXED, Policy.STRESS, seed=3, blocks=2))


def lines_of(ran: Ran) -> list[bytes]:
    return ran.ledger.splitlines(keepends=True)


def records_of(ran: Ran, *kinds: str) -> list[dict[str, Any]]:
    records = (json.loads(line) for line in ran.ledger.splitlines())
    return [record for record in records if not kinds or record["kind"] in kinds]


def summary_of(lines: list[bytes], blocks: int = 480) -> Summary:
    metrics, kept = Metrics(blocks), Moment(None)
    judge_lines(lines, listeners=[metrics, kept])
    assert kept.state is not None
    return metrics.summary(kept.state)


def chain_anew(records: list[dict[str, Any]]) -> list[bytes]:
    return chained({name: value for name, value in record.items() if name != "hash"} for record in records)


# --------------------------------------------------------------------------------------------------------- F: the close


def test_etf_09_closed_means_zero_and_closes_go_on_in_every_bar_until_then() -> None:
    world = EtfWorld(TRIPLE)
    world.broker.fates = ["reject", "part:100", "part:100", "fill"]
    world.run("15:46")
    assert world.books.open_trades("etf_rotation")[0].state == "EXITING", "sent is not sold"
    world.run("16:10")
    assert [order[::3] for order in world.orders() if order[1] == "CLOSE"] == [
        ("15:45", -352), ("15:46", -352), ("15:47", -252), ("15:48", -152),
    ]  # fmt: skip
    assert world.held() == {}
    assert world.finish().audit() == []


def test_etf_09_two_holdings_are_closed_in_one_bar() -> None:
    both = {"QQQ": 10, "TQQQ": 20}
    plan = reconcile(FamilyTarget.CASH, FamilyHoldings(both, both), (), lambda: pytest.fail("nothing is opened"))
    assert {(order.symbol, order.qty) for order in plan.closes} == {("QQQ", -10), ("TQQQ", -20)}


def test_etf_11_what_the_flatten_sells_comes_back_as_cash() -> None:
    world = EtfWorld(TRIPLE)
    world.market.move("TQQQ", 86.00, on("12:00"))
    world.run("15:44")
    before = world.books.cash_u6
    world.run("16:10")
    sale = world.records("FILL")[-1]
    assert (sale["qty"], sale["price_u6"]) == (-352, 85_990_000)
    assert world.books.cash_u6 == before + 352 * 85_990_000 - sale["fee_u6"]
    assert world.books.cash_u6 == round(world.broker.cash * 1e6)


def test_etf_32_a_half_day_is_one_session_and_its_minutes_are_its_own() -> None:
    sessions = records_of(busy_run(), "SESSION_OPENED")
    assert [record["date"] for record in sessions] == ["2025-11-25", "2025-11-26", "2025-11-28"]
    assert [record["half_day"] for record in sessions] == [False, False, True]
    summary = summary_of(lines_of(busy_run()))
    assert summary.sessions == 3, "990 minutes are three days, not two and a half"
    assert len(summary.blocks) == 3, "and two whole blocks and the beginning of a third"


# ------------------------------------------------------------------------------------------------- I: nothing is undone


def test_etf_17_what_was_filled_stands_and_nothing_is_reversed_off_the_record() -> None:
    ran = busy_run()
    executed, booked = shares_by_order(ran)
    assert booked == executed
    assert {record["kind"] for record in records_of(ran)} & {"REVERSAL", "CORRECTION", "CASH_FLOW"} == set()


def shares_by_order(ran: Ran) -> tuple[dict[str, int], dict[str, int]]:
    """Return shares per order as the venue has executed and as the ledger has booked them."""
    executed: dict[str, int] = {}
    for execution in ran.venue.executions:
        executed[execution.order] = executed.get(execution.order, 0) + execution.qty
    booked: dict[str, int] = {}
    for fill in records_of(ran, "FILL"):
        booked[fill["order"]] = booked.get(fill["order"], 0) + fill["qty"]
    return executed, booked


def test_etf_17_an_opening_that_cash_cannot_pay_is_refused_before_it_is_sent() -> None:
    world = EtfWorld(TRIPLE, settings={"account.type": "CASH"}).run("10:00")
    world.broker.cash, world.broker.unsettled = 9_000.0, 91_000.0
    world.run("10:30")
    assert world.broker.orders == {}
    assert {refusal[1:] for refusal in world.refusals()} == {("sizer", "UNSETTLED_FUNDS")}


# ------------------------------------------------------------------------------------- J: one ledger, one fold, signed


def test_etf_20_a_sale_takes_away_what_a_purchase_has_brought() -> None:
    world = EtfWorld("10:05=0.80 10:19=0.50 11:00=0.80").run("15:59")
    assert [record["pos_after"] for record in world.records("FILL")] == [352, 0, 352, 0]
    assert world.held() == {}
    world.finish()
    state = replayed(world.store.joined(world.assembly.run))
    assert (state.family, state.account) == ({}, {})


def replayed(ledger: bytes) -> State:
    kept = Moment(None)
    judge_lines(ledger.splitlines(keepends=True), listeners=[kept])
    assert kept.state is not None
    return kept.state


def test_etf_22_blocks_only_cut_the_report_and_one_portfolio_runs_through() -> None:
    ran = busy_run()
    assert len(records_of(ran, "RUN_STARTED")) == 1
    closed, opened = records_of(ran, "SESSION_CLOSED"), records_of(ran, "BROKER_STATEMENT")
    cash = [record["cash_u6"] for record in closed]
    assert len(set(cash)) == len(cash) == 3, "no two days are alike, so that a reset would show"
    for record in closed[:-1]:
        following = next(statement for statement in opened if statement["seq"] > record["seq"])
        assert following["cash_u6"] + following["unsettled_u6"] == record["cash_u6"]
    summary = summary_of(lines_of(ran))
    assert summary.end_equity_u6 == summary.blocks[-1].equity_u6 == cash[-1]
    assert summary_of(lines_of(ran), blocks=60).end_equity_u6 == summary.end_equity_u6


def test_etf_26_the_ledger_speaks_utc_and_sessions_follow_the_exchange_over_a_change_of_clocks() -> None:
    ran = run(Cell("constant", blocks=1, last=date(2025, 11, 3)))
    opened = {record["date"]: record["open_time"] for record in records_of(ran, "SESSION_OPENED")}
    assert opened == {"2025-10-31": "2025-10-31T13:30:00.000000Z", "2025-11-03": "2025-11-03T14:30:00.000000Z"}
    for day, clock in opened.items():
        bars = [record["bar_time"] for record in records_of(ran, "SIGNAL") if record["bar_time"][:10] == day]
        assert from_utc_text(bars[0]).strftime("%H:%M") == "09:31"
        assert bars[0] > clock
    fills = [from_utc_text(record["exec_time"]).strftime("%H:%M") for record in records_of(ran, "FILL")]
    assert fills[-1] == "15:45", "flattened by the exchange's clock on both sides of the change"


def test_etf_28_books_auditor_run_folder_and_broker_give_the_same_figures(tmp_path: Path) -> None:
    ran = busy_run()
    summary = summary_of(lines_of(ran))
    (tmp_path / "ledger.jsonl").write_bytes(ran.ledger)
    told = summarise(read_ledger(tmp_path), Effort(0, 1.0, 0.0))
    count = count_at_broker(ran)
    assert told.fills == summary.fills
    assert told.orders == summary.orders == len(ran.venue.sent)
    assert told.trades == summary.trades
    assert round(told.fees * 1e6) == summary.fees_u6 == count.fees_u6
    assert round(told.end_equity * 1e6) == summary.end_equity_u6 == count.end_cash_u6
    closed = records_of(ran, "TRADE_CLOSED")
    assert sum(record["pnl_u6"] for record in closed) == summary.end_equity_u6 - summary.start_equity_u6
    assert sum(record["fees_u6"] for record in closed) == summary.fees_u6


def test_etf_29_profit_by_mark_and_by_cash_flow_are_one_figure_at_every_close_and_while_held() -> None:
    ran = busy_run()
    moments = [record["seq"] for record in records_of(ran, "SESSION_CLOSED")]
    moments += [record["seq"] for record in records_of(ran, "MARK") if record["px"]][5:200:40]
    found = [snapshot_at(ran, seq) for seq in moments]
    assert any(snapshot.positions for snapshot in found)
    for snapshot in found:
        # A mark is the middle of the quote, the last fill one of its sides: half a cent a share.
        room = sum(abs(held.qty) for held in snapshot.positions) * 400_000
        assert abs(snapshot.pnl_by_mark_u6 - snapshot.pnl_by_cash_u6) <= room
        if not snapshot.positions:
            assert snapshot.pnl_by_mark_u6 == snapshot.pnl_by_cash_u6


def snapshot_at(ran: Ran, seq: int) -> Snapshot:
    kept = Moment(seq)
    judge_lines(lines_of(ran), listeners=[kept])
    assert kept.snapshot is not None
    return kept.snapshot


def test_etf_30_the_return_is_that_of_the_whole_run_and_not_of_its_last_block() -> None:
    summary = summary_of(lines_of(busy_run()))
    ends = [summary.start_equity_u6, *(block.equity_u6 for block in summary.blocks if block.equity_u6 is not None)]
    returns = [after / before - 1 for before, after in pairwise(ends)]
    assert len(returns) == 3
    whole = list(accumulate((1 + each for each in returns), lambda product, factor: product * factor))[-1] - 1
    assert summary.total_return == pytest.approx(whole, abs=1e-9)
    assert summary.total_return != pytest.approx(returns[-1], abs=1e-4)


def test_etf_31_more_marks_do_not_change_the_sharpe_ratio() -> None:
    ran = busy_run()
    closes = [100_000_000_000, *(record["equity_u6"] for record in records_of(ran, "SESSION_CLOSED"))]
    returns = [after / before - 1 for before, after in pairwise(closes)]
    expected = fmean(returns) / stdev(returns) * sqrt(252)
    assert summary_of(lines_of(ran)).sharpe == pytest.approx(expected)
    fewer = [record for record in records_of(ran) if record["kind"] != "MARK" or record["seq"] % 10 == 0]
    assert len(fewer) < len(records_of(ran)) - len(records_of(ran, "MARK")) // 2
    assert summary_of(chain_anew(fewer)).sharpe == pytest.approx(expected)


# ---------------------------------------------------------------------------------------------- K: an audit that fails


def test_etf_23_the_audit_is_zero_only_where_it_has_judged_everything() -> None:
    world = EtfWorld(TRIPLE).finish()
    lines = world.store.joined(world.assembly.run).splitlines(keepends=True)
    assert judge_lines(lines).exit_code == 0
    assert judge_lines(lines[:-1]).exit_code == 2, "no end"
    assert judge_lines([]).exit_code != 0, "no ledger"
    assert judge_lines([*lines[:40], b"not a record\n", *lines[40:]]).exit_code == 1, "a line that nobody can read"
    assert judge_lines(lines[:100] + lines[101:]).exit_code == 1, "a line that is gone"


def test_etf_24_every_record_is_judged_once_and_a_longer_ledger_costs_no_more_per_record() -> None:
    short, long = (run(Cell("random", policy=Policy.STRESS, seed=3, blocks=blocks)) for blocks in (1, 3))
    seen: list[int] = []
    judgement = judge_lines(lines_of(long), listeners=[lambda record, state: seen.append(record["seq"])])
    assert seen == list(range(len(lines_of(long))))
    assert next(result.evaluations for result in judgement.results if result.id == "AU-01") == len(seen)
    per_record = [calls_of(lines_of(ran)) / len(lines_of(ran)) for ran in (short, long)]
    assert len(lines_of(long)) > 2 * len(lines_of(short))
    assert per_record[1] <= 1.15 * per_record[0]


def calls_of(lines: list[bytes]) -> int:
    """Return the number of function calls that an audit takes: work, and not time."""
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        judge_lines(lines)
    finally:
        sys.setprofile(before)
    return count


def test_etf_25_the_store_has_a_table_for_every_kind_and_the_run_of_its_own_ledger() -> None:
    ran, store = busy_run(), Store(None)
    store.finish(judge_lines(lines_of(ran), listeners=[store]))
    there = {name for (name,) in store.query("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert there >= set(tables())
    run_id = records_of(ran, "RUN_STARTED")[0]["run"]
    assert [row[0] for row in store.query("SELECT run FROM run")] == [run_id]
    for kind in ("fill", "order_sent", "verdict", "signal"):
        (stored,) = store.query(f"SELECT count(*) FROM {kind}")
        assert stored == (len(records_of(ran, kind.upper())),)
    store.close()


def test_etf_25_a_second_run_in_one_ledger_is_a_violation() -> None:
    records = records_of(busy_run())
    stale = records[0] | {"run": "0badf00d"}
    judgement = judge_lines(chain_anew([*records[:50], stale | {"time": records[50]["time"]}, *records[50:]]))
    assert judgement.exit_code == 1
    assert "AU-04" in {cause.rule for cause in judgement.causes}
    assert "AU-04" not in {cause.rule for cause in judge_lines(chain_anew(records)).causes}


def test_etf_42_a_run_without_a_fill_proves_nothing() -> None:
    world = EtfWorld(settings={"etf_rotation.signal.source": "alternating"}).finish()
    judgement = judge_lines(world.store.joined(world.assembly.run).splitlines(keepends=True))
    assert judgement.exit_code == 2
    assert {cause.rule for cause in judgement.causes} == {"AU-08"}
    assert judgement.only_no_fills


# --------------------------------------------------------------------------------------------- O: tests of the real


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(TESTS.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def test_etf_27_no_test_replaces_a_part_by_a_mock_and_the_books_tests_run_the_public_pipeline() -> None:
    for path, tree in sources():
        words = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        words |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        imported = {
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        }
        assert not imported & {"unittest.mock", "mock", "pytest_mock"}, path
        assert not words & {"MagicMock", "Mock", "create_autospec", "assert_called_once_with"}, path
    world = EtfWorld(TRIPLE)
    assert type(world.assembly.coordinator).__module__ == "core.strategy_coordinator"
    assert type(world.family).__module__ == "core.family_desk"
    assert {instrument.symbol for instrument in world.family.instruments} == set(SYMBOLS)


def collected() -> set[str]:
    """Return the names of all tests, as pytest collects them: functions that begin with test_ in files that do."""
    found: set[str] = set()
    for path, tree in sources():
        if path.name.startswith("test_"):
            found |= {
                node.name
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
            }
    return found


def numbers_in(names: set[str], prefix: str) -> set[int]:
    """Return the ids in names: `etf_17_…` one, `etf_10_and_16_…` two, `…_and_etf_33_…` one."""
    groups = (match for name in names for match in re.findall(rf"{prefix}((?:\d\d_and_)*\d\d)(?=_|$)", name))
    return {int(number) for group in groups for number in group.split("_and_")}


def test_every_row_of_the_bug_catalogue_and_every_scenario_is_the_name_of_a_test() -> None:
    names = collected()
    assert set(range(1, ROWS + 1)) - numbers_in(names, "etf_") == set()
    assert set(range(1, SCENARIOS + 1)) - numbers_in(names, "etf_s") == set()
    assert (
        set(range(1, 12)) - {int(number) for name in names for number in re.findall(r"^test_property_(\d+)_", name)}
        == set()
    )


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("test_etf_17_it_stands", {17}),
        ("test_etf_10_and_16_closes", {10, 16}),
        ("test_property_1_and_etf_33_any", {33}),
        ("test_etf_s07_band", set()),
        ("test_etf_170_no_row", set()),
    ],
)
def test_ids_are_read_from_names(name: str, ids: set[int]) -> None:
    assert numbers_in({name}, "etf_") == ids
