"""`./bulkhead audit VERB RUN`, as a user types it."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from audit.report import print_judgement
from audit.verdict import judge_lines
from tests.audit.chaining import chained, numbered
from tests.audit.worlds import clean, pool
from tools.cli import main


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "ledger.jsonl").write_bytes(b"".join(chained(pool(1))))
    return folder


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    code = main(["audit", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def a_trade() -> str:
    return str(next(record["trade"] for record in pool(1) if record["kind"] == "FILL"))


@pytest.mark.parametrize(
    "verb", ["verify", "integrity", "summary", "trade-flow", "position-history", "funnel", "replay"]
)
@pytest.mark.parametrize("json_too", [False, True])
def test_a_verb_answers_for_a_clean_run(
    capsys: pytest.CaptureFixture[str], run_dir: Path, verb: str, json_too: bool
) -> None:
    assert main(["audit", verb, str(run_dir), *(["--json"] if json_too else [])]) == 0
    out = capsys.readouterr().out
    assert out.strip()
    if json_too:
        json.loads(out)


def test_quiet_leaves_the_exit_code_alone(capsys: pytest.CaptureFixture[str], run_dir: Path) -> None:
    assert main(["audit", "integrity", str(run_dir), "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_exit_code_1_for_a_violated_run(capsys: pytest.CaptureFixture[str], run_dir: Path) -> None:
    records = [record | {"fee_u6": -1} if record["kind"] == "FILL" else record for record in pool(1)]
    (run_dir / "ledger.jsonl").write_bytes(b"".join(chained(records)))
    code, found = answer(capsys, "integrity", run_dir)
    assert (code, found["verdict"], found["exit_code"]) == (1, "VIOLATED", 1)
    row = next(row for row in found["rules"] if row["id"] == "AU-34")
    assert row["occurrences"] > 0
    assert row["first"]["exchange"].endswith(("EST", "EDT"))
    for verb in ("verify", "summary", "trade-flow", "position-history", "funnel", "replay"):
        assert main(["audit", verb, str(run_dir), "--quiet"]) == 1, verb


def test_exit_code_2_for_what_cannot_be_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, found = answer(capsys, "verify", tmp_path / "nothing")
    assert (code, found["verdict"]) == (2, "INCONCLUSIVE")


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "RUN", "--anchor", "5"],
        ["integrity", "RUN", "--rule", "AU-99"],
        ["export", "RUN", "--table", "nothing"],
        ["replay", "RUN", "--at", "noon"],
        ["diff", "RUN", "RUN", "--ignore", "prices"],
        ["integrity"],
    ],
)
def test_wrong_usage_is_one_sentence(capsys: pytest.CaptureFixture[str], run_dir: Path, arguments: list[str]) -> None:
    assert main(["audit", *(str(run_dir) if word == "RUN" else word for word in arguments)]) == 2
    assert "expected" in capsys.readouterr().err or len(arguments) == 1


def unreadable(folder: Path) -> list[Path]:
    """Return what is no ledger, or whose summary cannot be read."""
    (folder / "empty.jsonl").touch()
    (folder / "torn.jsonl.gz").write_bytes(gzip.compress(b"".join(chained(pool(1))))[:500])
    (folder / "nothing").mkdir()
    for name, summary in (("torn", "{"), ("wrong", '{"anchors":["5:x"]}')):
        write(folder / name, pool(1))
        (folder / name / "summary.json").write_text(summary)
    return [folder / name for name in ("missing", "empty.jsonl", "torn.jsonl.gz", "nothing", "torn", "wrong")]


VERBS = ("verify", "integrity", "summary", "trade-flow", "position-history", "funnel", "export", "diff", "replay")


@pytest.mark.parametrize("verb", VERBS)
def test_what_cannot_be_read_is_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path, verb: str) -> None:
    more = {"export": ["--table", "fill"], "diff": [str(write(tmp_path / "whole", pool(1)))]}.get(verb, [])
    for path in unreadable(tmp_path):
        assert main(["audit", verb, str(path), *more]) == 2, path
        said = capsys.readouterr()
        assert len((said.out + said.err).strip().splitlines()) == 1, path
        assert path.name in said.out + said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["integrity", "--book", "nobody"],
        ["trade-flow", "--trade", "none"],
        ["trade-flow", "--order", "none"],
        ["trade-flow", "--session", "2025-13-01"],
        ["position-history", "--from", "2025-02-01", "--to", "2025-01-01"],
        ["position-history", "--symbol", "ZZZ"],
        ["position-history", "--book", "nobody"],
        ["funnel", "--book", "nobody"],
        ["export", "--table", "fill", "--out", "FOLDER"],
        ["replay", "--at", "99999999"],
        ["replay", "--at", "1999-01-01T00:00:00"],
        ["verify", "--db", "FOLDER"],
        ["summary", "--blocks", "0"],
    ],
    ids=" ".join,
)
def test_a_value_that_fits_no_run_is_one_sentence(
    capsys: pytest.CaptureFixture[str], run_dir: Path, arguments: list[str]
) -> None:
    verb, *options = (str(run_dir) if word == "FOLDER" else word for word in arguments)
    assert main(["audit", verb, str(run_dir), *options]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert options[0] in said.err or options[-2] in said.err
    assert {path.name for path in run_dir.parent.iterdir()} == {run_dir.name}, "nothing is left behind"


def test_a_verb_that_shows_a_ledger_says_when_it_is_not_clean(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    records = [record | {"fee_u6": -1} if record["kind"] == "FILL" else record for record in pool(1)]
    run = write(tmp_path / "run", records)
    for verb in ("summary", "trade-flow", "position-history", "funnel", "replay"):
        assert main(["audit", verb, str(run)]) == 1
        assert capsys.readouterr().err.startswith("VIOLATED: AU-"), verb


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_a_judgement_fits_the_terminal(width: int) -> None:
    """Every line fits, and nothing but the sentences of findings is folded."""
    records = [record | {"fee_u6": -1} if record["kind"] == "FILL" else record for record in pool(1)]
    judgement = judge_lines(chained(records))
    console = Console(file=io.StringIO(), width=width)
    print_judgement(judgement, console, limit=5)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if "…" in line]
    assert any("AU-34" in line and "V" in line for line in lines)


def test_one_rule_judges_alone(capsys: pytest.CaptureFixture[str], run_dir: Path) -> None:
    _, found = answer(capsys, "integrity", run_dir, "--rule", "au-30", "--rule", "31")
    assert [row["id"] for row in found["rules"]] == ["AU-30", "AU-31"]


def test_trade_flow_follows_a_trade_from_intent_to_result(capsys: pytest.CaptureFixture[str], run_dir: Path) -> None:
    _, found = answer(capsys, "trade-flow", run_dir, "--trade", a_trade())
    kinds = [line["what"].split()[0] for line in found[a_trade()]]
    assert kinds.index("INTENT") < kinds.index("VERDICT") < kinds.index("ORDER_INTENT") < kinds.index("FILL")
    order = next(record["order"] for record in pool(1) if record["kind"] == "FILL")
    _, same = answer(capsys, "trade-flow", run_dir, "--order", order)
    assert same == found


def test_position_history_of_one_symbol(capsys: pytest.CaptureFixture[str], run_dir: Path) -> None:
    symbol = next(record["symbol"] for record in pool(1) if record["kind"] == "FILL")
    _, found = answer(capsys, "position-history", run_dir, "--symbol", symbol)
    assert {row["symbol"] for row in found["positions"]} == {symbol}


@pytest.mark.parametrize("by", ["gate", "reason", "hour", "session"])
def test_funnel_counts_every_refusal(capsys: pytest.CaptureFixture[str], tmp_path: Path, by: str) -> None:
    records = pool(2, "refusing")
    _, found = answer(capsys, "funnel", write(tmp_path / "run", records), "--by", by)
    refused = sum(1 for record in records if record["kind"] == "VERDICT" and not record["allowed"])
    entries = sum(1 for record in records if record["kind"] == "INTENT" and record["purpose"] in ("OPEN", "ADD"))
    assert refused > 0
    assert entries > 0
    assert (sum(row["refusals"] for row in found), sum(row["entries"] for row in found)) == (refused, entries)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_export_writes_every_row(run_dir: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "fills"
    assert main(["audit", "export", str(run_dir), "--table", "fill", "--format", form, "--out", str(out)]) == 0
    fills = sum(1 for record in pool(1) if record["kind"] == "FILL")
    assert len(out.read_text().splitlines()) == fills + (form == "csv")


def test_replay_shows_the_books_of_a_moment(capsys: pytest.CaptureFixture[str], run_dir: Path) -> None:
    place = next(at for at, record in enumerate(pool(1)) if record["kind"] == "FILL")
    fill = pool(1)[place]
    _, found = answer(capsys, "replay", run_dir, "--at", place)
    assert (found["seq"], found["cash_u6"]) == (place, fill["cash_after_u6"])
    assert {row["symbol"]: row["qty"] for row in found["positions"] if row["book"]}[fill["symbol"]] == fill["pos_after"]
    _, then = answer(capsys, "replay", run_dir, "--at", fill["time"])
    later = next(record["seq"] for record in pool(1) if record["time"] > fill["time"])
    assert (then["seq"], then["time_us"]) == (later - 1, found["time_us"])
    _, end = answer(capsys, "replay", run_dir)
    assert end["pnl_by_cash_u6"] == end["pnl_by_mark_u6"] or end["positions"]


def test_a_database_is_written_beside_any_verb(run_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    assert main(["audit", "integrity", str(run_dir), "--quiet", "--db", str(path)]) == 0
    assert path.stat().st_size > 10_000


# ---------------------------------------------------------------------------------------------------------------- diff


def write(folder: Path, records: object) -> Path:
    folder.mkdir()
    (folder / "ledger.jsonl").write_bytes(b"".join(chained(records)))  # type: ignore[arg-type]
    return folder


def test_diff_of_a_run_with_itself_on_another_engine(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    records = numbered(pool(1))
    one = write(tmp_path / "one", records)
    other = [
        record | {"engine": "lean", "run": "ffffffff"} if record["kind"] == "RUN_STARTED" else record
        for record in records
    ]
    two = write(tmp_path / "two", other)
    code, found = answer(capsys, "diff", one, two)
    assert (code, found["divergences"]) == (0, [])
    assert found["compared"] > 30


def test_diff_names_the_first_divergence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    records = numbered(pool(1))
    fills = [record for record in records if record["kind"] == "FILL"]
    one = write(tmp_path / "one", records)
    for fill in fills[3:]:
        fill["price_u6"] += 20_000
    two = write(tmp_path / "two", records)
    code, found = answer(capsys, "diff", one, two)
    assert code == 1
    assert "price_u6" in found["divergences"][0]
    assert fills[3]["time"][:10] in found["divergences"][0]
    code, _ = answer(capsys, "diff", one, two, "--price-tol-usd", 0.02)
    assert code == 0


def test_diff_of_other_settings_is_not_a_comparison(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    one = write(tmp_path / "one", pool(1))
    two = write(tmp_path / "two", clean(1, sessions=3, settings={"vix.max_age_s": 120}))
    code, found = answer(capsys, "diff", one, two)
    assert code == 2
    assert any("settings_hash" in reason for reason in found["reasons"])
