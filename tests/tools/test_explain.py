"""`explain`: everything that it says is in the ledger, and every minute of a session has its line."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from core.reasons import Reason
from tests.etf_world import EtfWorld
from tests.tools.ledgers import TRADE, one_session
from tools.cli import bulkhead
from tools.errors import BulkheadUsageError
from tools.explain import QUIET, Story, overview, session_story, trade_story
from tools.ledger_reader import read_ledger
from tools.reason_texts import known_reasons

DAY = date(2025, 11, 28)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return one_session().write(tmp_path / "run")


def _minutes(story: Story) -> set[str]:
    return {f"{line.first + timedelta(minutes=n):%H:%M}" for line in story.lines for n in range(line.minutes)}


def test_every_minute_of_the_session_is_told(run: Path) -> None:
    story = session_story(read_ledger(run), DAY)
    hours = {f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(9 * 60 + 31, 16 * 60 + 1)}
    assert hours <= _minutes(story)


def test_a_refusal_names_gate_reason_and_numbers(run: Path) -> None:
    story = session_story(read_ledger(run), DAY)
    line = next(line for line in story.lines if f"{line.first:%H:%M}" == "10:33")
    assert line.text == (
        "friday_0dte stayed out at gate data: a quote is too old (symbol SPXW 251128 5900P, age 94 s, limit 60 s)"
    )


def test_equal_refusals_of_consecutive_minutes_share_one_line(run: Path) -> None:
    story = session_story(read_ledger(run), DAY)
    line = next(line for line in story.lines if "VIX is outside" in line.text)
    assert (f"{line.first:%H:%M}", f"{line.last:%H:%M}", len(line.seqs)) == ("10:31", "10:32", 2)
    assert "vix 23.41, high 22.00" in line.text


def test_a_quiet_minute_says_whether_something_was_held(run: Path) -> None:
    quiet = [line for line in session_story(read_ledger(run), DAY).lines if line.kind == "QUIET"]
    held = [line for line in quiet if TRADE in line.text]
    assert [(f"{line.first:%H:%M}", f"{line.last:%H:%M}") for line in held] == [("10:46", "11:29")]
    assert [line.text for line in quiet if "no data came" in line.text and f"{line.first:%H:%M}" == "10:34"]
    assert "no data" not in quiet[0].text + quiet[-1].text
    assert (f"{quiet[0].first:%H:%M}", f"{quiet[-1].last:%H:%M}") == ("09:31", "16:00")


def test_a_trade_carried_into_the_session_is_known_to_be_held(tmp_path: Path) -> None:
    builder = one_session()
    # given a trade that stays open over night
    builder.at("15:50").add(
        "TRADE_STATE", "lt112", trade="lt112-1", **{"from": "ENTERING", "trigger": "FILLED", "to": "OPEN"}
    )
    builder.day = date(2025, 12, 1)
    builder.open_session().end()
    quiet = [
        line for line in session_story(read_ledger(builder.write(tmp_path)), builder.day).lines if line.kind == "QUIET"
    ]
    assert all("holding lt112-1" in line.text for line in quiet)


def test_the_story_of_a_trade_runs_from_intent_to_result(run: Path) -> None:
    story = trade_story(read_ledger(run), TRADE)
    kinds = [line.kind for line in story.lines]
    assert kinds[0] == "INTENT"
    assert kinds[-1] == "TRADE_CLOSED"
    assert kinds.count("FILL") == 4
    assert "cash so far: +106.00 USD, fees included" in story.facts
    assert any("its profit target is reached" in fact for fact in story.facts)


def test_the_overview_counts_refusals_and_results_per_session(run: Path) -> None:
    (row,) = overview(read_ledger(run))
    assert row.session == DAY
    assert row.trades_opened == (TRADE,)
    assert row.trades_closed == ((TRADE, 106_000_000),)
    assert dict(row.refusals) == {"VIX_WINDOW": 2, "QUOTE_STALE": 1}


def test_a_session_that_the_run_has_not_is_wrong_usage(run: Path) -> None:
    with pytest.raises(BulkheadUsageError, match=r"--session = 2025-12-24.*1 sessions from 2025-11-28 to 2025-11-28"):
        session_story(read_ledger(run), date(2025, 12, 24))


def test_a_trade_that_the_run_has_not_is_wrong_usage(run: Path) -> None:
    with pytest.raises(BulkheadUsageError, match=rf"--trade = nope.*{TRADE}"):
        trade_story(read_ledger(run), "nope")


@pytest.mark.parametrize("options", [[], ["--session", "2025-11-28"], ["--trade", TRADE]])
def test_the_command_prints_text_and_json(run: Path, options: list[str]) -> None:
    text = CliRunner().invoke(bulkhead, ["explain", str(run), *options])
    assert text.exit_code == 0
    assert "friday_0dte" in text.output
    machine = CliRunner().invoke(bulkhead, ["explain", str(run), *options, "--json"])
    assert json.loads(machine.output)


def test_every_reason_of_the_algorithm_has_words() -> None:
    assert {reason.value for reason in Reason} <= known_reasons()


@pytest.mark.parametrize("content", [b"not json\n", b"[1]\n", b'{"kind":"MARK"}\n'])
def test_a_damaged_ledger_is_named_with_its_line(tmp_path: Path, content: bytes) -> None:
    path = one_session().write(tmp_path) / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + content)
    with pytest.raises(BulkheadUsageError, match="line 2"):
        read_ledger(tmp_path)


@pytest.fixture
def rotation_day(tmp_path: Path) -> Path:
    world = EtfWorld("10:05=0.80 10:19=0.68 11:00=0.50").finish()
    (tmp_path / "ledger.jsonl").write_bytes(world.store.joined(world.assembly.run))
    return tmp_path


def test_a_rotation_day_says_in_runs_of_minutes_what_the_signal_led_to(rotation_day: Path) -> None:
    story = session_story(read_ledger(rotation_day), date(2025, 10, 28))
    told = [(f"{line.first:%H:%M}", line.minutes, line.text) for line in story.lines if line.kind == "SIGNAL"]
    assert told[:6] == [
        (
            "09:31",
            34,
            "etf_rotation has no signal and stays in CASH: the signal has seen too few minutes of this session",
        ),
        ("10:05", 1, "etf_rotation stays in CASH, p 0.80: the signal has not been on one side for long enough"),
        ("10:06", 1, "etf_rotation wants TQQQ, p 0.80"),
        ("10:07", 12, "etf_rotation keeps TQQQ, p 0.80"),
        ("10:19", 1, "etf_rotation wants QQQ instead of TQQQ, p 0.68"),
        ("10:20", 1, "etf_rotation wants QQQ, p 0.68"),
    ]
    assert told[-1][2].startswith("etf_rotation stays in CASH")
    assert sum(minutes for _at, minutes, _text in told) == 390
    assert not [line for line in story.lines if line.kind == QUIET]


def test_in_its_minute_the_signal_stands_before_what_followed_from_it(rotation_day: Path) -> None:
    story = session_story(read_ledger(rotation_day), date(2025, 10, 28))
    kinds = [line.kind for line in story.lines if f"{line.first:%H:%M}" == "10:06"]
    assert kinds.index("SIGNAL") < kinds.index("INTENT") < kinds.index("ORDER_INTENT")


def test_many_trades_of_a_book_are_summed_and_few_are_told_one_by_one(tmp_path: Path) -> None:
    signal = {"etf_rotation.signal.source": "alternating", "etf_rotation.confirm_bars": "1",
              "etf_rotation.min_hold_bars": "0", "etf_rotation.cooldown_bars": "0"}  # fmt: skip
    world = EtfWorld(settings=signal).finish()
    (tmp_path / "ledger.jsonl").write_bytes(world.store.joined(world.assembly.run))
    facts = session_story(read_ledger(tmp_path), date(2025, 10, 28)).facts
    assert facts[0].startswith("trades with a fill: etf_rotation-20251028-1 to -")
    assert len([fact for fact in facts if " is over: " in fact]) == 0
    summed = next(fact for fact in facts if " trades over (" in fact)
    cash = next(int(r["cash_u6"]) for r in read_ledger(tmp_path).of_kind("SESSION_CLOSED")) / 1e6
    assert f"-${100_000 - cash:,.2f} after" in summed
