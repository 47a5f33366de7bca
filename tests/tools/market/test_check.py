"""Every gap that would silence the algorithm is named; a whole folder has none."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from tools import cli
from tools.errors import BulkheadUsageError
from tools.market import MarketSpec
from tools.market.check import Need, check, needs_of
from tools.market.generator import generate

FIRST, DAY = date(2025, 9, 9), date(2025, 9, 10)
UNIVERSE = "indexoption/usa/universes/spxw/20250909.csv"
CHAIN = "indexoption/usa/minute/spxw/20250910_quote_european.zip"
HOURS = "market-hours/market-hours-database.json"
PROPERTIES = "symbol-properties/symbol-properties-database.csv"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    generate(MarketSpec(start=FIRST, sessions=2), out, jobs=1)
    return out


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    out = tmp_path / "data"
    shutil.copytree(whole, out)
    return out


def rewrite(path: Path, change: Callable[[str, list[str]], list[str] | None]) -> None:
    """Write the zip again; change(name, lines) gives an entry's new lines, None drops it."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name).decode().splitlines() for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, lines in entries.items():
            changed = change(name, lines)
            if changed is not None:
                archive.writestr(name, "\n".join(changed))


def drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def tear(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return damage


def twice_zipped(folder: Path) -> None:
    (folder / CHAIN).rename(folder / (CHAIN + ".zip"))


def late_first_row(folder: Path) -> None:
    rewrite(folder / "index/usa/minute/vix/20250910_trade.zip", lambda _, lines: lines[30:])


def hole(folder: Path) -> None:
    rewrite(folder / "equity/usa/minute/spy/20250910_trade.zip", lambda _, lines: lines[:100] + lines[250:])


def wrong_zone(folder: Path) -> None:
    """SPX in New York time: an hour late, and the last rows outside the session."""

    def shift(_: str, lines: list[str]) -> list[str]:
        return [f"{int(line.split(',')[0]) + 3_600_000},{line.split(',', 1)[1]}" for line in lines]

    rewrite(folder / "index/usa/minute/spx/20250910_trade.zip", shift)


def backwards(folder: Path) -> None:
    rewrite(folder / "index/usa/minute/spx/20250910_trade.zip", lambda _, lines: lines[::-1])


def text_in_numbers(folder: Path) -> None:
    rewrite(folder / "equity/usa/minute/spy/20250910_trade.zip", lambda _, lines: ["time,open", *lines])


def few_contracts(folder: Path) -> None:
    kept = iter(range(10_000))
    rewrite(folder / CHAIN, lambda name, lines: None if name.endswith("_20250910.csv") and next(kept) >= 10 else lines)


def empty_contracts(folder: Path) -> None:
    rewrite(folder / CHAIN, lambda name, lines: [] if name.endswith("_20250910.csv") else lines)


def universe_without_today(folder: Path) -> None:
    lines = (folder / UNIVERSE).read_text().splitlines()
    (folder / UNIVERSE).write_text("\n".join(line for line in lines if not line.startswith("20250910,")))


def universe_without_header(folder: Path) -> None:
    (folder / UNIVERSE).write_text((folder / UNIVERSE).read_text().split("\n", 1)[1])


def wrong_entry_name(folder: Path) -> None:
    path = folder / "index/usa/minute/vix/20250910_trade.zip"
    with zipfile.ZipFile(path) as archive:
        data = archive.read(archive.namelist()[0])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("vix.csv", data)


def no_spxw_hours(folder: Path) -> None:
    table = json.loads((folder / HOURS).read_text())
    for name in ("IndexOption-usa-SPXW", "IndexOption-usa-[*]"):
        del table["entries"][name]
    (folder / HOURS).write_text(json.dumps(table))


def called_holiday(folder: Path) -> None:
    table = json.loads((folder / HOURS).read_text())
    table["entries"]["Equity-usa-[*]"]["holidays"].append("9/10/2025")
    (folder / HOURS).write_text(json.dumps(table))


def no_option_properties(folder: Path) -> None:
    lines = (folder / PROPERTIES).read_text().splitlines()
    (folder / PROPERTIES).write_text("\n".join(line for line in lines if ",indexoption," not in line))


def short_history(folder: Path) -> None:
    rewrite(folder / "equity/usa/daily/spy.zip", lambda _, lines: lines[-10:])


GAPS = [
    (drop(UNIVERSE), UNIVERSE, DAY, "missing"),
    (universe_without_today, UNIVERSE, DAY, "lists 0 contracts that expire on 2025-09-10"),
    (universe_without_header, UNIVERSE, DAY, "header"),
    (drop(CHAIN), CHAIN, DAY, "missing"),
    (twice_zipped, CHAIN, DAY, "does not look for 20250910_quote_european.zip.zip"),
    (tear(CHAIN), CHAIN, DAY, "cannot be read"),
    (few_contracts, CHAIN, DAY, "10 contracts expire that day"),
    (drop("index/usa/minute/vix/20250910_trade.zip"), "index/usa/minute/vix/20250910_trade.zip", DAY, "missing"),
    (late_first_row, "index/usa/minute/vix/20250910_trade.zip", DAY, "30 minutes after the open"),
    (wrong_entry_name, "index/usa/minute/vix/20250910_trade.zip", DAY, "no entry 20250910_vix_minute_trade.csv"),
    (hole, "equity/usa/minute/spy/20250910_trade.zip", DAY, "only 240 of 390 minutes"),
    (text_in_numbers, "equity/usa/minute/spy/20250910_trade.zip", DAY, "row 1"),
    (tear("equity/usa/minute/spy/20250910_trade.zip"), "equity/usa/minute/spy/20250910_trade.zip", DAY, "read"),
    (wrong_zone, "index/usa/minute/spx/20250910_trade.zip", DAY, "60 minutes after the open"),
    (backwards, "index/usa/minute/spx/20250910_trade.zip", DAY, "not later than the row before"),
    (drop(HOURS), HOURS, None, "missing"),
    (no_spxw_hours, HOURS, None, "no entry IndexOption-usa-SPXW"),
    (called_holiday, HOURS, DAY, "calls 2025-09-10 a holiday"),
    (drop(PROPERTIES), PROPERTIES, None, "missing"),
    (no_option_properties, PROPERTIES, None, "indexoption SPXW"),
    (drop("equity/usa/daily/spy.zip"), "equity/usa/daily/spy.zip", FIRST, "missing"),
    (short_history, "equity/usa/daily/spy.zip", FIRST, "13 of the 21 sessions"),
    (drop("index/usa/daily/vix.zip"), "index/usa/daily/vix.zip", FIRST, "missing"),
]


@pytest.mark.parametrize(("damage", "file", "session", "words"), GAPS)
def test_one_gap_is_named_in_one_sentence(
    folder: Path, damage: Callable[[Path], None], file: str, session: date | None, words: str
) -> None:
    assert check(folder) == []
    damage(folder)
    (gap,) = check(folder)
    assert (gap.file, gap.session) == (file, session)
    assert words in gap.problem
    sentence = gap.sentence
    assert sentence.startswith(file)
    assert ", so " in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_contracts_without_quotes_are_named(folder: Path) -> None:
    empty_contracts(folder)
    gaps = check(folder)
    assert gaps
    assert all(gap.file.startswith(CHAIN + "#") and "empty" in gap.problem for gap in gaps)


def test_a_session_between_the_files_is_a_gap_in_all_of_them(folder: Path) -> None:
    for path in folder.rglob("20250909_*"):
        path.unlink()
    gaps = check(folder, start=FIRST)
    assert {gap.session for gap in gaps} == {FIRST}
    assert len(gaps) == 4 + 8  # SPY, SPX, VIX, the chain; bars and quotes of four ETFs


def test_etfs_are_judged_while_their_book_is_enabled(folder: Path) -> None:
    shutil.rmtree(folder / "equity/usa/minute/tqqq")
    assert check(folder, needs=needs_of(friday_0dte=True, etf_rotation=False)) == []
    gaps = check(folder)
    assert gaps == check(folder, needs={Need.ETFS})
    assert len(gaps) == 4
    assert all("tqqq" in gap.file for gap in gaps)


def test_without_the_options_book_a_folder_needs_no_chains(folder: Path) -> None:
    shutil.rmtree(folder / "indexoption")
    assert check(folder, needs=needs_of(friday_0dte=False, etf_rotation=True)) == []
    assert check(folder) != []


@pytest.mark.parametrize(("choice", "code"), [((), 1), (("--set", "etf_rotation.enabled=false"), 0)])
def test_the_command_asks_for_what_the_settings_enable(
    folder: Path, capsys: pytest.CaptureFixture[str], choice: tuple[str, ...], code: int
) -> None:
    shutil.rmtree(folder / "equity/usa/minute/psq")
    assert cli.main(["data", "check", str(folder), *choice]) == code
    assert ("psq" in capsys.readouterr().out) == bool(code)


def test_dates_outside_the_folder_are_gaps_and_not_errors(folder: Path) -> None:
    gaps = check(folder, start=date(2025, 9, 11), end=date(2025, 9, 11), needs={Need.VIX})
    assert [gap.file for gap in gaps] == ["index/usa/minute/vix/20250911_trade.zip"]


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_a_folder_with_nothing_to_judge_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    place = tmp_path / "none"
    make(place)
    with pytest.raises(BulkheadUsageError, match="expected"):
        check(place)
