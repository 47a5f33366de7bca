"""The integrity test: hostile signals and a faulty broker, and two counts of what came of it.

Every test here runs the whole core, from quotes to ledger.  The short ones are days with something about them: a half
day, the Monday after each change of clocks.  `./bulkhead integrity` prints the long one as a table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from audit.commands import audit
from tools.commands.integrity import command
from tools.integrity.cells import SIGNALS, Account, Cell, Policy, Season, grid
from tools.integrity.job import choose
from tools.integrity.result import run_cell
from tools.integrity.run import run
from tools.integrity.tape import CLOCK
from tools.integrity.venue import Fault

HALF_DAY = date(2025, 11, 28)
CLOCKS_CHANGED = (date(2025, 11, 3), date(2025, 3, 10))


def quick() -> Iterator[Cell]:
    """Yield two blocks of every signal, and with them every fault, policy, account and kind of day."""
    days, faults = (HALF_DAY, *CLOCKS_CHANGED), list(Fault)
    for number, signal in enumerate(SIGNALS):
        policy = Policy.STRESS if number % 2 or signal == "alternating" else Policy.DEFAULT
        account = Account.CASH if number % 4 == 1 else Account.MARGIN
        yield Cell(
            signal, faults[number % len(faults)], policy, account, seed=number + 1, blocks=2,
            last=days[number % len(days)],
        )  # fmt: skip


def test_the_short_cells_meet_everything_at_least_once() -> None:
    cells = list(quick())
    assert {cell.signal for cell in cells} == set(SIGNALS)
    assert {cell.fault for cell in cells} == set(Fault)
    assert {cell.policy for cell in cells} == set(Policy)
    assert {cell.account for cell in cells} == set(Account)
    assert {cell.last for cell in cells} == {HALF_DAY, *CLOCKS_CHANGED}


@pytest.mark.parametrize("cell", list(quick()), ids=lambda cell: f"{cell.signal}-{cell.fault}")
def test_two_blocks_of_every_signal_and_every_fault(cell: Cell) -> None:
    result, _ledger = run_cell(cell)
    assert result.failures == ()
    assert result.venue.fills > 0
    if cell.fault is not Fault.NONE and cell.fault is not Fault.HALT:
        assert result.faults, "the fault has happened"


@pytest.mark.long
@pytest.mark.parametrize("cell", list(grid(seed=1)), ids=lambda cell: cell.name)
def test_twenty_blocks_of_every_signal_and_every_fault(cell: Cell) -> None:
    result, _ledger = run_cell(cell)
    assert result.failures == ()
    assert len(result.venue.blocks) == 20


def test_a_round_has_every_pair_and_eight_rounds_are_the_whole_grid() -> None:
    assert len({(cell.signal, cell.fault) for cell in grid(seed=1)}) == len(list(grid(seed=1))) == 108
    whole = {(cell.signal, cell.fault, cell.policy, cell.account, cell.season) for cell in grid(seed=1, rounds=8)}
    assert len(whole) == 12 * 9 * 8


@pytest.mark.parametrize("season", Season)
def test_twenty_blocks_hold_a_change_of_clocks_and_in_autumn_a_half_day(season: Season) -> None:
    days = Cell("sigor", season=season).days()
    assert len(days) in (25, 26)
    assert any(day in days for day in CLOCKS_CHANGED)
    sessions = [CLOCK.session(day) for day in days]
    assert any(session is not None and session.half_day for session in sessions) is (season is Season.AUTUMN)
    minutes = sum((s.close - s.open).total_seconds() // 60 for s in sessions if s is not None)
    assert 9_600 <= minutes < 9_600 + 390


def test_the_same_seed_gives_the_same_ledger_and_another_seed_another_one() -> None:
    cell = Cell("random", Fault.MIXED, Policy.STRESS, blocks=1)
    assert run(cell).ledger == run(cell).ledger
    assert run(cell).ledger != run(replace(cell, seed=2)).ledger


def test_the_more_a_signal_knows_the_more_it_earns_before_fees() -> None:
    """Otherwise the book would not follow its signal, and safety would be cheap."""
    earned = [
        run_cell(Cell(f"look_ahead {accuracy}", blocks=2))[0].gross_return for accuracy in ("0.40", "0.75", "1.00")
    ]
    assert earned == sorted(earned)
    assert earned[-1] - earned[0] > 0.02


@pytest.mark.long
def test_over_twenty_blocks_the_gross_return_rises_with_every_step_of_accuracy() -> None:
    signals = [signal for signal in SIGNALS if signal.startswith("look_ahead")]
    earned = [
        sum(run_cell(Cell(signal, season=season, seed=seed))[0].gross_return for season in Season for seed in (1, 2))
        for signal in signals
    ]
    assert earned == sorted(earned)


# --------------------------------------------------------------------------------------------------------- the command


def test_the_command_prints_both_counts_beside_the_predecessors_and_writes_them_down(tmp_path: Path) -> None:
    line = ["--blocks", "1", "--signal", "random", "--fault", "partial", "--jobs", "1", "--keep-ledgers"]
    answer = CliRunner().invoke(command, [*line, "--out", str(tmp_path)], standalone_mode=False)
    assert answer.return_value == 0, answer.output
    assert [word for word in ("59", "11", "294.4", "-1,480,000") if word not in answer.output] == []
    written = (tmp_path / "integrity.txt").read_text()
    assert "1 of 1 cells hold" in written
    found = json.loads((tmp_path / "integrity.json").read_text())
    cell = found["results"][0]
    assert found["failed"] == []
    assert cell["venue"] == cell["auditor"]

    ledger = tmp_path / cell["name"] / "ledger.jsonl"
    judged = CliRunner().invoke(audit, ["integrity", str(ledger), "--quiet"], standalone_mode=False)
    assert judged.return_value == 0
    told = CliRunner().invoke(audit, ["summary", str(ledger), "--blocks", "480", "--json"], standalone_mode=False)
    summary = json.loads(told.output)
    assert (summary["fills"], summary["fees_u6"]) == (cell["venue"]["fills"], cell["venue"]["fees_u6"])


def test_a_signal_or_a_fault_that_nobody_knows_is_refused_with_the_known_ones() -> None:
    from tools.errors import BulkheadUsageError

    with pytest.raises(BulkheadUsageError, match=r"--signal = radnom: expected one of sigor, .*look_ahead 1.00"):
        choose(seed=1, rounds=1, blocks=1, signals=["radnom"])
    with pytest.raises(BulkheadUsageError, match=r"--fault = fire: expected one of none, .*mixed"):
        choose(seed=1, rounds=1, blocks=1, faults=["fire"])
    with pytest.raises(BulkheadUsageError, match=r"--blocks = 0: expected 1 to 40"):
        choose(seed=1, rounds=1, blocks=0)
    assert {cell.signal for cell in choose(seed=1, rounds=1, blocks=1, signals=["look_ahead"])} == {
        signal for signal in SIGNALS if signal.startswith("look_ahead")
    }


def test_a_cell_that_does_not_hold_is_exit_code_1_a_sentence_and_its_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.integrity.result.HARD_ORDERS", 3)
    line = ["--blocks", "1", "--signal", "random", "--fault", "none", "--jobs", "1", "--json", "--out", str(tmp_path)]
    answer = CliRunner().invoke(command, line, standalone_mode=False)
    assert answer.return_value == 1
    assert "orders with a fill in one block, at most 3 allowed" in answer.stderr
    found = json.loads(answer.stdout)
    assert found["failed"] == [found["results"][0]["name"]]
    assert (tmp_path / found["failed"][0] / "ledger.jsonl").stat().st_size > 0
    assert "0 of 1 cells hold" in (tmp_path / "integrity.txt").read_text()
