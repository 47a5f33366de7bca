"""The rotation book on the page: minutes, holdings and principles are folds of the ledger and of nothing else."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.etf_world import EtfWorld, on
from tests.tools.ledgers import one_session
from tools.ledger_reader import read_ledger
from tools.report import build
from tools.report.rotation import PrincipleRow, Rotation, occurrences, rotation_of

UP = "10:05=0.80"
CHANGED = "the signal has changed"
BACK = "10:05=0.80 10:19=0.68 11:00=0.50"


def write(world: EtfWorld, folder: Path) -> Path:
    world.finish()
    (folder / "ledger.jsonl").write_bytes(world.store.joined(world.assembly.run))
    return folder


def rotation(world: EtfWorld, folder: Path) -> Rotation:
    found = rotation_of(read_ledger(write(world, folder)))
    assert found is not None
    return found


def principles(found: Rotation, audit: dict[str, int] | None = None) -> dict[str, PrincipleRow]:
    return {row.name: row for row in found.principles(audit)}


def packed(page: str) -> dict[str, Any]:
    match = re.search(r"^const rotation = (\{.*\});$", page, re.M)
    assert match is not None
    data: dict[str, Any] = json.loads(match[1])
    return data


def test_every_minute_has_its_probability_and_holding(tmp_path: Path) -> None:
    day = rotation(EtfWorld(BACK), tmp_path).days[0]
    at = {f"{9 + (30 + minute) // 60:02d}:{(30 + minute) % 60:02d}": minute - 1 for minute in range(1, 391)}
    assert len(day.probability) == len(day.held) == 390
    assert (day.probability[at["10:05"]], day.probability[at["10:30"]]) == (0.80, 0.68)
    assert [day.held[at[clock]] for clock in ("10:06", "10:07", "10:20", "10:21", "11:01")] == [0, 2, 0, 1, 0]
    assert [(one.symbol, one.opened, one.closed, one.qty, one.why) for one in day.rounds] == [
        ("TQQQ", "10:07", "10:19", 352, CHANGED), ("QQQ", "10:21", "11:00", 59, CHANGED),
    ]  # fmt: skip
    assert day.pnl_usd == pytest.approx(sum(one.got_usd - one.paid_usd for one in day.rounds) - day.fees_usd)
    assert day.opens == 2


def test_principles_that_hold_show_their_worst_value(tmp_path: Path) -> None:
    rows = principles(rotation(EtfWorld(BACK), tmp_path), {"AU-40": 0})
    assert [row.name for row in rows.values() if not row.holds] == []
    assert rows["P1"].worst == "lowest $70,043.04"
    assert rows["P2"].worst == "one side"
    assert rows["P3"].worst == "1 in the busiest bar"
    assert rows["P4"].worst == "lowest quantity 0"
    assert rows["P5"].worst == "0 shares, 1 of 1 closes flat"
    assert rows["P6"].worst.startswith("lowest 9")


def test_shares_that_stay_over_night_are_shown_with_the_breach(tmp_path: Path) -> None:
    world = EtfWorld(UP, settings={"account.brokerage": "TASTYTRADE"}, end=date(2025, 10, 30))
    world.market.silence("TQQQ", on("15:41"), on("16:00"))
    world.broker.fates = ["never"] * 20
    found = rotation(world.run("16:15"), tmp_path)
    row = principles(found)["P5"]
    assert (row.worst, row.breaches, row.audited, row.holds) == ("352 shares, 0 of 1 closes flat", 1, None, False)
    assert found.flat_days == 0


def test_the_auditors_count_stands_beside_the_monitors(tmp_path: Path) -> None:
    found = (("AU-41", 2, 0), ("AU-42", 0, 3), ("AU-43", 0, 0))
    audit = {"rules": [{"id": rule, "occurrences": count, "warnings": mild} for rule, count, mild in found]}
    row = principles(rotation(EtfWorld(UP), tmp_path), occurrences(audit))["P2"]
    assert (row.breaches, row.audited, row.holds) == (0, 5, False)


def test_idle_minutes_of_a_wanted_target_count_against_the_sixth_principle(tmp_path: Path) -> None:
    world = EtfWorld(UP)
    world.broker.limit_fates = ["none"] * 300  # every opening is cancelled after its minute
    found = rotation(world, tmp_path)
    assert found.days[0].utilisation == pytest.approx(0.0)
    assert principles(found)["P6"].worst == "lowest 0%"
    assert principles(found)["P6"].breaches == 1


def test_the_page_carries_the_book_and_says_why_it_stayed_out(tmp_path: Path) -> None:
    page = build(write(EtfWorld(BACK), tmp_path)).read_text(encoding="utf-8")
    assert 'id="rotation-book"' in page
    data = packed(page)
    assert data["settings"]["enter_3x_prob"] == 0.75
    (day,) = data["days"]
    assert (day["date"], day["open"], len(day["p"]), len(day["held"])) == ("2025-10-28", 570, 390, 390)
    first, second = day["held"].strip(".").split(".")
    assert (set(first), set(second)) == ({"T"}, {"Q"})
    assert [row[0] for row in day["rounds"]] == ["TQQQ", "QQQ"]
    assert "the signal is between its zones" in {text for text, _minutes in day["why"]}


def test_half_days_are_short(tmp_path: Path) -> None:
    day = rotation(EtfWorld(UP, day=date(2025, 11, 28)).run("13:10"), tmp_path).days[0]
    assert (day.minutes, day.half_day, day.is_flat) == (210, True, True)


def test_a_run_without_the_book_has_no_section(tmp_path: Path) -> None:
    page = build(one_session().write(tmp_path)).read_text(encoding="utf-8")
    assert 'id="rotation-book"' not in page
    assert "const rotation = null;" in page
