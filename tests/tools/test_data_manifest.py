"""The hash that names the data of a run: it sees what the run can read, and nothing of the machine."""

from __future__ import annotations

import shutil
import zipfile
from datetime import date
from pathlib import Path

import pytest

from tools.data_folder import minute_dates
from tools.data_manifest import data_manifest

START, END = date(2025, 9, 2), date(2025, 9, 3)
MINUTES = Path("indexoption/usa/minute/spxw")


def _zip(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rows.csv", text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for day in ("20250829", "20250902", "20250903"):
        _zip(root / MINUTES / f"{day}_quote_european.zip", f"34200000,1,{day}")
    _zip(root / "equity/usa/daily/spy.zip", "20250902 00:00,1")
    (root / "notes.csv").write_text("a,b\n")
    return root


def _manifest(folder: Path) -> str:
    return data_manifest(folder, START, END)


def test_the_place_of_a_folder_does_not_count(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "elsewhere" / "data"))
    (copy / ".DS_Store").write_text("machine")
    assert _manifest(copy) == _manifest(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: _zip(root / MINUTES / "20250902_quote_european.zip", "34200000,2,20250902"),  # same size
        lambda root: _zip(root / "equity/usa/daily/spy.zip", "20250902 00:00,2"),
        lambda root: (root / "notes.csv").write_text("a,c\n"),
        lambda root: (root / "notes.csv").rename(root / "other.csv"),
        lambda root: (root / MINUTES / "20250829_quote_european.zip").unlink(),
        lambda root: (root / MINUTES / "20250903_quote_european.zip").write_bytes(b"not a zip"),
    ],
)
def test_every_change_that_a_run_could_see_changes_it(folder: Path, change: object) -> None:
    before = _manifest(folder)
    assert callable(change)
    change(folder)
    assert _manifest(folder) != before


def test_the_content_of_other_dates_does_not_count(folder: Path) -> None:
    before = _manifest(folder)
    _zip(folder / MINUTES / "20250829_quote_european.zip", "34200000,9,20250829")
    assert _manifest(folder) == before


def test_sessions_are_read_from_the_names_of_minute_files(folder: Path) -> None:
    (folder / "equity/usa/minute/spy").mkdir(parents=True)
    (folder / "equity/usa/minute/spy/20250904_trade.zip").write_bytes(b"")
    (folder / "equity/usa/minute/spy/20251399_trade.zip").write_bytes(b"")
    assert minute_dates(folder) == [date(2025, 8, 29), date(2025, 9, 2), date(2025, 9, 3), date(2025, 9, 4)]


def test_a_folder_without_minutes_has_no_sessions(tmp_path: Path) -> None:
    assert minute_dates(tmp_path) == []


def test_options_before_the_first_bars_make_no_session(tmp_path: Path) -> None:
    for name in (
        "indexoption/usa/minute/spxw/20251114_quote_european.zip",
        "indexoption/usa/minute/spxw/20251117_quote_european.zip",
        "indexoption/usa/minute/spxw/20251119_quote_european.zip",
        "index/usa/minute/spx/20251117_trade.zip",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert minute_dates(tmp_path) == [date(2025, 11, 17), date(2025, 11, 19)]
