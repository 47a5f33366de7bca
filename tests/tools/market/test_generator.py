"""Whole folders: complete, the same bytes for the same spec, and never over somebody's files."""

from __future__ import annotations

import hashlib
import json
import zipfile
from datetime import date
from pathlib import Path

import pytest

from tools.errors import BulkheadUsageError
from tools.market import MarketManifest, MarketSpec, cache_key, cached_market, generator
from tools.market.check import DEFAULT_NEEDS, Need, check
from tools.market.etfs import TICKERS
from tools.market.generator import generate

FIRST, LAST = date(2025, 11, 25), date(2025, 12, 1)  # holds a holiday and a half day


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows(path: Path) -> list[list[str]]:
    with zipfile.ZipFile(path) as archive:
        (name,) = archive.namelist()
        return [line.split(",") for line in archive.read(name).decode().splitlines()]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("market")
    generate(MarketSpec(start=FIRST, end=LAST), out, jobs=1)
    return out


def test_the_folder_holds_what_lean_reads(market: Path) -> None:
    names = set(digests(market))
    days = ("20251125", "20251126", "20251128", "20251201")
    expected = {f"index/usa/minute/{ticker}/{day}_trade.zip" for ticker in ("spx", "vix") for day in days}
    expected |= {
        f"equity/usa/minute/{ticker}/{day}_{kind}.zip"
        for ticker in TICKERS
        for day in days
        for kind in ("trade", "quote")
    }
    expected |= {f"indexoption/usa/minute/spxw/{day}_quote_european.zip" for day in ("20251124", *days)}
    expected |= {f"indexoption/usa/universes/spxw/{day}.csv" for day in ("20251121", "20251124", *days)}
    expected |= {f"equity/usa/{kind}/{ticker}.csv" for kind in ("map_files", "factor_files") for ticker in TICKERS}
    expected |= {f"equity/usa/daily/{ticker}.zip" for ticker in TICKERS}
    expected |= {"index/usa/daily/spx.zip", "index/usa/daily/vix.zip", "equity/usa/hour/spy.zip"}
    expected |= {
        "market-hours/market-hours-database.json",
        "symbol-properties/symbol-properties-database.csv",
        "alternative/interest-rate/usa/interest-rate.csv",
        "bulkhead-market.json",
    }
    assert names == expected


def test_our_own_check_finds_no_gap(market: Path) -> None:
    assert check(market) == []
    assert set(DEFAULT_NEEDS) == set(Need)


def test_index_minutes_are_unscaled_chicago_time_and_stand_still_after_the_close(market: Path) -> None:
    full = rows(market / "index/usa/minute/spx/20251126_trade.zip")
    assert (full[0][0], full[-1][0], len(full)) == ("30600000", "54840000", 405)
    assert {tuple(row[1:5]) for row in full[390:]} == {(full[389][4],) * 4}
    assert 1_000 < float(full[0][1]) < 20_000
    half = rows(market / "index/usa/minute/vix/20251128_trade.zip")
    assert (half[0][0], half[-1][0], len(half)) == ("30600000", "43140000", 210)


def test_same_day_contracts_end_at_16_and_others_at_16_15(market: Path) -> None:
    with zipfile.ZipFile(market / "indexoption/usa/minute/spxw/20251126_quote_european.zip") as archive:
        for name in archive.namelist()[::40]:
            lines = archive.read(name).decode().splitlines()
            fields = [line.split(",") for line in lines]
            assert all(len(row) == 11 for row in fields)
            assert fields[0][0] == "34200000"
            assert fields[-1][0] == ("57540000" if name.endswith("_20251126.csv") else "58440000")


def test_daily_bars_are_the_minutes_of_their_day_and_go_back_a_year(market: Path) -> None:
    for ticker in TICKERS:
        daily = rows(market / f"equity/usa/daily/{ticker}.zip")
        assert len([row for row in daily if row[0] < "20251125"]) >= 252
        bar = next(row for row in daily if row[0].startswith("20251126"))
        minutes = [
            [int(field) for field in row] for row in rows(market / f"equity/usa/minute/{ticker}/20251126_trade.zip")
        ]
        assert [int(field) for field in bar[1:]] == [
            minutes[0][1],
            max(row[2] for row in minutes),
            min(row[3] for row in minutes),
            minutes[-1][4],
            sum(row[5] for row in minutes),
        ]
    vix = rows(market / "index/usa/daily/vix.zip")
    assert (
        next(row for row in vix if row[0].startswith("20251126"))[4]
        == (rows(market / "index/usa/minute/vix/20251126_trade.zip")[-1][4])
    )


def test_hours_close_the_holidays_and_the_half_days(market: Path) -> None:
    entries = json.loads((market / "market-hours/market-hours-database.json").read_text())["entries"]
    assert "11/27/2025" in entries["Equity-usa-[*]"]["holidays"]
    assert entries["Equity-usa-[*]"]["earlyCloses"]["11/28/2025"] == "13:00:00"
    assert entries["Index-usa-[*]"]["earlyCloses"]["11/28/2025"] == "12:00:00"
    assert entries["IndexOption-usa-SPXW"]["friday"] == [{"start": "08:30:00", "end": "15:15:00", "state": "market"}]


def test_a_date_has_the_same_bytes_in_every_market_that_holds_it(market: Path, tmp_path: Path) -> None:
    generate(MarketSpec(start=date(2025, 11, 26), sessions=5), tmp_path, jobs=1)
    whole, other = digests(market), digests(tmp_path)
    shared = {name for name in whole.keys() & other.keys() if "2025" in name}
    assert len(shared) >= 3 * 13
    assert {name: whole[name] for name in shared} == {name: other[name] for name in shared}


def test_processes_make_the_same_bytes_and_report_every_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator, "SESSIONS_PER_JOB", 1)
    spec = MarketSpec(start=date(2025, 10, 1), sessions=2)
    seen: list[tuple[int, int]] = []
    one = generate(spec, tmp_path / "one", lambda done, total: seen.append((done, total)), jobs=1)
    two = generate(spec, tmp_path / "two", jobs=2)
    assert one == two
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))


def test_the_manifest_says_what_was_written(market: Path) -> None:
    manifest = MarketManifest.load(market)
    assert manifest is not None
    files = [path for path in market.rglob("*") if path.is_file() and path.name != "bulkhead-market.json"]
    assert manifest.files == len(files)
    assert manifest.bytes == sum(path.stat().st_size for path in files)
    assert (manifest.first, manifest.last, manifest.sessions, manifest.seed) == (FIRST, LAST, 4, 7)


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BulkheadUsageError, match="expected a new folder"):
        generate(MarketSpec(sessions=1), tmp_path)
    with pytest.raises(BulkheadUsageError, match="this is a file"):
        generate(MarketSpec(sessions=1), tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_cached_market_is_made_once(tmp_path: Path) -> None:
    spec = MarketSpec(sessions=1)
    calls: list[int] = []
    place = cached_market(spec, tmp_path, lambda done, total: calls.append(done), jobs=1)
    again = cached_market(spec, tmp_path, lambda done, total: calls.append(done), jobs=1)
    assert place == again == tmp_path / cache_key(spec)
    assert calls == list(range(1, len(calls) + 1))
    assert [path.name for path in tmp_path.iterdir()] == [cache_key(spec)]


def test_a_torn_market_in_the_cache_is_made_anew(tmp_path: Path) -> None:
    spec = MarketSpec(sessions=1)
    torn = tmp_path / cache_key(spec)
    torn.mkdir()
    (torn / "half").write_text("")
    place = cached_market(spec, tmp_path, jobs=1)
    assert not (place / "half").exists()
    assert check(place) == []
