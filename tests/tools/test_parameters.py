"""What the algorithm is told: text only, refused early, and never the runner's own names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.errors import BulkheadUsageError
from tools.parameters import check_settings, parse_overrides, project_parameters


def test_overrides_are_text_by_dotted_name() -> None:
    words = ["breaker.daily_loss_pct=4", " vix.low = 6 ", "friday_0dte.enabled=false", "a.b=x=y"]
    assert parse_overrides(words) == {
        "breaker.daily_loss_pct": "4", "vix.low": "6", "friday_0dte.enabled": "false", "a.b": "x=y",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["breaker.daily_loss_pct"], "expected key=value"),
        (["=4"], "expected key=value"),
        (["vix.low=5", "vix.low=6"], "expected once, found twice"),
        (["run.start=2025-01-02"], "Use --start"),
        (["run.data_manifest=x"], "the runner's"),
    ],
)
def test_a_bad_override_is_named(words: list[str], said: str) -> None:
    with pytest.raises(BulkheadUsageError, match=said):
        parse_overrides(words)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"breaker.daily_loss_pkt": "4"}, r"breaker.daily_loss_pkt.*Did you mean breaker.daily_loss_pct"),
        ({"breaker.daily_loss_pct": "four"}, r"breaker.daily_loss_pct = 'four': expected a number"),
        ({"breaker.daily_loss_pct": "nan"}, r"breaker.daily_loss_pct.*expected a finite number"),
        ({"friday_0dte.enabled": "1.0"}, r"friday_0dte.enabled.*expected true or false"),
        ({"sizer.trade_risk_pct": "200"}, r"sizer.trade_risk_pct = 200: expected 0.01 to 2"),
    ],
)
def test_settings_are_refused_before_anything_runs(parameters: dict[str, str], said: str) -> None:
    with pytest.raises(BulkheadUsageError, match=said):
        check_settings(parameters)


def test_the_projects_own_parameters_are_accepted() -> None:
    check_settings(project_parameters())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "expected LEAN's project file"),
        ("{", "expected JSON"),
        ("[]", 'expected an object "parameters"'),
        (json.dumps({"parameters": {"vix.low": 6}}), r"parameters.vix.low = 6: expected text"),
    ],
)
def test_a_bad_project_file_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BulkheadUsageError, match=said):
        project_parameters(path)
