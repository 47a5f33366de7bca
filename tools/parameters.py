"""What the algorithm is told: config.json, then `--set`, then what only the runner knows.  All of it is text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tools.errors import BulkheadUsageError
from tools.paths import ROOT

if TYPE_CHECKING:
    from core.settings import Settings

CONFIG = ROOT / "config.json"
RUNNERS_OWN = "run."
_INSTEAD = {"run.start": "--start", "run.end": "--end", "run.seed": "--seed", "run.engine": "--engine"}


def parse_overrides(words: Iterable[str]) -> dict[str, str]:
    """Return the settings of `--set key=value`.  The last of two equal keys would win in silence, so it is refused."""
    overrides: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        key = key.strip()
        if not equals or not key:
            raise BulkheadUsageError(
                f"--set {word}: expected key=value. Write for example --set breaker.daily_loss_pct=4."
            )
        if key in overrides:
            raise BulkheadUsageError(f"--set {key}: expected once, found twice ({overrides[key]} and {value.strip()}).")
        if key.startswith(RUNNERS_OWN):
            remedy = f"Use {_INSTEAD[key]}." if key in _INSTEAD else "Leave it out."
            raise BulkheadUsageError(
                f"--set {key}: expected a setting of the algorithm, this one is the runner's. {remedy}"
            )
        overrides[key] = value.strip()
    return overrides


def project_parameters(path: Path = CONFIG) -> dict[str, str]:
    """Return the parameters of config.json, LEAN's project file.  Raises BulkheadUsageError where LEAN would fail."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BulkheadUsageError(f"{path}: expected LEAN's project file. Fetch the project again.") from None
    except json.JSONDecodeError as error:
        raise BulkheadUsageError(f"{path}: expected JSON ({error}). Correct the file.") from None
    parameters = config.get("parameters", {}) if isinstance(config, dict) else None
    if not isinstance(parameters, dict):
        raise BulkheadUsageError(f'{path}: expected an object "parameters". Correct the file.')
    for key, value in parameters.items():
        if not isinstance(value, str):
            raise BulkheadUsageError(
                f"{path}, parameters.{key} = {json.dumps(value)}: expected text, LEAN reads nothing else. "
                "Put it in quotation marks."
            )
    return dict(parameters)


def check_settings(parameters: Mapping[str, str]) -> Settings:
    """Return the algorithm's settings; what they would refuse is refused here, before anything is made or run."""
    from core.errors import SettingsError
    from core.settings import Settings

    try:
        return Settings.from_parameters(dict(parameters))
    except SettingsError as error:
        raise BulkheadUsageError(" ".join(error.sentences)) from None
