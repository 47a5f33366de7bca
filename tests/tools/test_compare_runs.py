"""Comparing two runs: what may differ is said by name, everything else is a difference."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tools.compare_runs import as_text, compare_folders, main

_TIME = "2025-09-05T14:31:00.000000Z"
_RECORDS: list[dict[str, Any]] = [
    {"kind": "RUN_STARTED", "engine": "embedded", "engine_version": "0.1.0", "run": "a"},
    {"kind": "ORDER_INTENT", "order": "a|1", "limit_u6": 2_550_000},
    {"kind": "ORDER_SENT", "order": "a|1"},
    {"kind": "FILL", "order": "a|1", "price_u6": 4_500_000, "cash_after_u6": 99_549_000_000},
    {"kind": "MARK", "equity_u6": 100_000_000_000},
    {"kind": "VERDICT", "reason": "VIX_WINDOW"},
    {"kind": "RUN_ENDED", "reason": "COMPLETED", "cash_u6": 1, "equity_u6": 1},
]


def _records() -> list[dict[str, Any]]:
    return [
        {**record, "time": _TIME, "book": "", "seq": number, "hash": f"{number:064}", "prev_hash": ""}
        for number, record in enumerate(deepcopy(_RECORDS))
    ]


def _write(folder: Path, records: list[dict[str, Any]], data_points: int = 7) -> Path:
    folder.mkdir()
    (folder / "ledger.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "summary.json").write_text(json.dumps({"data_points": data_points}))
    return folder


@pytest.fixture
def left(tmp_path: Path) -> Path:
    return _write(tmp_path / "left", _records())


def test_two_engines_differ_by_name_and_hash_only(left: Path, tmp_path: Path) -> None:
    records = _records()
    records[0] |= {"engine": "lean", "engine_version": "2.5.0.0"}
    for record in records:
        record["hash"] = record["hash"].replace("0", "f")
    comparison = compare_folders(left, _write(tmp_path / "right", records))
    assert comparison.same
    assert comparison.justified == {"engine": 2, "chain": len(records)}
    assert "justified: engine, 2 fields: the header names the engine that ran" in as_text(comparison)


def test_a_difference_shows_only_what_is_not_alike(left: Path, tmp_path: Path) -> None:
    one, other = _records(), _records()
    one[0]["settings"] = {"a": "1", "b": "2", "gone": "3"}
    other[0]["settings"] = {"a": "1", "b": "9", "new": "4"}
    one[1]["legs"], other[1]["legs"] = [1, 2, 3], [3, 2, 5]
    comparison = compare_folders(_write(tmp_path / "one", one), _write(tmp_path / "other", other))
    text = as_text(comparison)
    assert "RUN_STARTED.settings: {'b': '2', 'gone': '3'} and {'b': '9', 'new': '4'}" in text
    assert "ORDER_INTENT.legs: [1] and [5]" in text


@pytest.mark.parametrize(
    ("number", "field", "within", "beyond"),
    [
        (3, "price_u6", 10_000, 10_001),
        (3, "cash_after_u6", 1_000_000, 1_000_001),
        (4, "equity_u6", -(10**6), -(10**6) - 1),
    ],
)
def test_a_fill_may_be_a_cent_and_equity_a_dollar_off(
    left: Path, tmp_path: Path, number: int, field: str, within: int, beyond: int
) -> None:
    records = _records()
    records[number][field] += within
    comparison = compare_folders(left, _write(tmp_path / "near", records))
    assert comparison.same
    assert comparison.deviations == {f"{records[number]['kind']}.{field}": abs(within)}
    records[number][field] += beyond - within
    assert not compare_folders(left, _write(tmp_path / "far", records)).same


@pytest.mark.parametrize(
    ("number", "field", "value"),
    [(1, "limit_u6", 2_550_001), (5, "reason", "VIX_UNKNOWN"), (0, "run", "b"), (6, "reason", "ERROR")],
)
def test_nothing_else_may_differ(left: Path, tmp_path: Path, number: int, field: str, value: object) -> None:
    records = _records()
    records[number][field] = value
    comparison = compare_folders(left, _write(tmp_path / "right", records))
    assert [(one.kind, one.field) for one in comparison.differences] == [(records[number]["kind"], field)]


def test_a_missing_record_is_one_difference(left: Path, tmp_path: Path) -> None:
    records = [record for record in _records() if record["kind"] != "VERDICT"]
    (difference,) = compare_folders(left, _write(tmp_path / "right", records)).differences
    assert "only in the first run" in str(difference)


def test_the_order_within_a_step_is_part_of_it(left: Path, tmp_path: Path) -> None:
    records = _records()
    records[2], records[3] = records[3], records[2]
    (difference,) = compare_folders(left, _write(tmp_path / "right", records)).differences
    assert (difference.kind, difference.field) == ("step", "order")


def test_the_engines_must_have_counted_the_same_data(left: Path, tmp_path: Path) -> None:
    (difference,) = compare_folders(left, _write(tmp_path / "right", _records(), data_points=8)).differences
    assert str(difference).endswith("summary.data_points: 7 and 8")


def test_the_exit_code_says_whether_the_runs_are_the_same(
    left: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = _records()
    assert main([str(left), str(_write(tmp_path / "same", records))]) == 0
    assert capsys.readouterr().out.endswith("The runs are the same.\n")
    records[5]["reason"] = "SIZE_ZERO"
    assert main([str(left), str(_write(tmp_path / "other", records))]) == 1
    assert main([str(left)]) == 2
    assert main([str(left), str(tmp_path / "nothing")]) == 2
