"""Signals that are no signals: for tests of what follows them, on every engine, and never live.

Each is a pure function of the session's minutes and a seed, so that a run repeats and a restart says the same.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from datetime import date, time

from core.errors import SettingsError
from core.reasons import Reason
from core.settings_etf import EtfRotationSettings, SignalSource, SyntheticSettings
from core.signal import MissingBar, Reading, Signal, SignalBar
from strategies.signals.sigor import Sigor

Say = Callable[[SignalBar], float | None]
"""Probability of "up" at a minute; None where the signal has nothing to say."""


class Synthetic:
    """A signal that says what a function of the minute says; missing minutes stay missing."""

    def __init__(self, source: SignalSource, say: Say) -> None:
        self.name = source.value
        self._say = say

    def update(self, bar: SignalBar | MissingBar) -> Reading:
        if isinstance(bar, MissingBar):
            return Reading.not_ready(bar.end, Reason.BAR_MISSING)
        said = self._say(bar)
        if said is None:
            return Reading.not_ready(bar.end, Reason.SIGNAL_WARMING_UP)
        return Reading.ready(bar.end, said)


def make_signal(settings: EtfRotationSettings, *, backtest: bool) -> Signal:
    """Return the signal that the settings name.  Raises SettingsError for a synthetic one outside a backtest."""
    source = settings.signal.source
    if source is SignalSource.SIGOR:
        return Sigor(settings.signal)
    if not backtest:
        raise SettingsError(
            [
                f"etf_rotation.signal.source = {source.value}: expected sigor outside a backtest; the others are "
                f"made for tests. Delete it from the parameters."
            ]
        )
    return Synthetic(source, _say(source, settings.synthetic))


def _say(source: SignalSource, made: SyntheticSettings) -> Say:
    if source is SignalSource.CONSTANT:
        return lambda bar: made.constant_prob
    if source is SignalSource.ALTERNATING:
        return lambda bar: made.high_prob if bar.number % 2 else made.low_prob
    if source is SignalSource.HOVER:
        return lambda bar: made.hover_prob + made.hover_width_prob * (2.0 * _draw(made.seed, bar, "hover") - 1.0)
    if source is SignalSource.RANDOM:
        return lambda bar: 0.001 + 0.998 * _draw(made.seed, bar, "random")
    if source is SignalSource.NAN:
        return lambda bar: math.nan if _draw(made.seed, bar, "nan") < made.nan_fraction else made.constant_prob
    return _scripted(made.script) if source is SignalSource.SCRIPT else _look_ahead(made)


def _scripted(text: str) -> Say:
    """Say what a script says from each of its minutes on; before the first one nothing."""
    try:
        parts = [part.split("=") for part in text.split()]
        steps = sorted((time.fromisoformat(clock), float(value)) for clock, value in parts)
    except ValueError:
        raise SettingsError(
            [
                f"etf_rotation.synthetic.script = {text[:40]!r}: expected `10:05=0.62 10:20=nan`. Write minutes as "
                f"hh:mm and probabilities as numbers."
            ]
        ) from None

    def say(bar: SignalBar) -> float | None:
        found = [value for clock, value in steps if clock <= bar.end.time()]
        return found[-1] if found else None

    return say


def _look_ahead(made: SyntheticSettings) -> Say:
    """Say what the table knows of the future, right in a chosen share of the minutes."""
    table = read_table(made.table)

    def say(bar: SignalBar) -> float | None:
        bits = table.get(bar.end.date())
        if bits is None or bar.number > len(bits):
            return None
        is_right = _draw(made.seed, bar, "look_ahead") < made.accuracy_fraction
        return made.high_prob if bits[bar.number - 1] is is_right else made.low_prob

    return say


def _draw(seed: int, bar: SignalBar, what: str) -> float:
    """Return a number in [0, 1) that hangs on the seed and the minute alone."""
    digest = hashlib.sha256(f"{seed}|{what}|{bar.end.isoformat()}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def write_table(rises: dict[date, list[bool]]) -> str:
    """Return the text of a table: whether the price rises, by session and minute."""
    parts: list[str] = []
    for day, bits in sorted(rises.items()):
        packed = int("1" + "".join("1" if bit else "0" for bit in bits), 2)
        parts.append(f"{day.isoformat()}={packed:x}")
    return ",".join(parts)


def read_table(text: str) -> dict[date, tuple[bool, ...]]:
    """Return session -> one flag a minute.  Raises SettingsError for a text that is no table."""
    found: dict[date, tuple[bool, ...]] = {}
    for part in filter(None, text.split(",")):
        day, _, packed = part.partition("=")
        try:
            found[date.fromisoformat(day)] = tuple(digit == "1" for digit in f"{int(packed, 16):b}"[1:])
        except ValueError:
            raise SettingsError(
                [
                    f"etf_rotation.synthetic.table = {part[:40]!r}: expected `date=hex`, one bit a minute after a "
                    f"leading one. Make it with write_table."
                ]
            ) from None
    return found
