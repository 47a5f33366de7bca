"""The ETF book through main.py on the embedded engine: what only an engine does to it.

Splits scale the engine's own holdings and come as LEAN's events; an order of a security that may not be traded is
refused by LEAN's own check; a day's first minute comes after hours of silence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest

from audit.findings import Severity
from audit.replay import Replay
from core.eastern import from_utc_text
from core.session import SessionClock
from core.settings import SessionSettings
from engine.host import EngineJob, Host
from engine.memory import MemorySource
from engine.symbols import Symbol
from tests.engine.factors import factor_rows

MAIN = Path(__file__).parent.parent / "main.py"
CLOCK = SessionClock(SessionSettings())
TUESDAY = date(2025, 10, 28)
PRICES = {"SPY": 600.0, "QQQ": 500.0, "TQQQ": 85.10, "PSQ": 40.0, "SQQQ": 18.0}
UP = "10:05=0.80"


class Shares:
    """Sessions in which every price stands still; of TQQQ there may be two for one from a day on."""

    def __init__(
        self, script: str, *, sessions: int = 1, day: date = TUESDAY, split_on: date | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.days = [day]
        while len(self.days) < sessions:
            self.days.append(CLOCK.next_session(self.days[-1]).day)
        early = {CLOCK.session(one).day: 780 for one in self.days if CLOCK.session(one).half_day}  # type: ignore[union-attr]
        self.source = MemorySource(early_closes=early)
        self._history()
        for one in [*self.days, CLOCK.next_session(self.days[-1]).day]:
            self._day(one, early.get(one, 960), halved=split_on is not None and one >= split_on)
        if split_on is not None:
            before = CLOCK.previous_session(split_on).day.isoformat()
            self.source.set_factors(Symbol.equity("TQQQ"), factor_rows((before, 1.0, 0.5), ("2050-12-31", 1.0, 1.0)))
        parameters = {
            "friday_0dte.enabled": "false",
            "etf_rotation.signal.source": "script",
            "etf_rotation.synthetic.script": script,
            "run.start": self.days[0].isoformat(),
            "run.end": self.days[-1].isoformat(),
            "run.engine": "embedded",
            **(settings or {}),
        }
        self.host = Host(EngineJob(main=MAIN, source=self.source, parameters=parameters, object_store={}))
        self.host.start()

    def _history(self) -> None:
        day = self.days[0]
        for step in range(30):
            day = CLOCK.previous_session(day).day
            for ticker, price in PRICES.items():
                close = price if step == 0 else price * (1.01 if step % 2 else 0.99)
                self.source.set_daily(Symbol.equity(ticker), day, close, close, close, close)
            self.source.set_daily(Symbol.index("VIX"), day, 17.0, 17.0, 17.0, 17.0)

    def _day(self, day: date, close: int, *, halved: bool) -> None:
        minutes = range(571, close + 1)
        for ticker, usual in PRICES.items():
            price = usual / 2 if halved and ticker == "TQQQ" else usual
            self.source.set_bars(Symbol.equity(ticker), day, minutes, price - 0.005, 1e6)
            self.source.set_quotes(Symbol.equity(ticker), day, minutes, price - 0.01, price)
            self.source.set_daily(Symbol.equity(ticker), day, price, price, price, price)
        self.source.set_daily(Symbol.index("VIX"), day, 17.0, 17.0, 17.0, 17.0)
        self.source.set_bars(Symbol.index("SPX"), day, range(571, close + 16), 6000.0)
        for at in range(571, close + 16):
            self.source.set_bar(
                Symbol.index("VIX"), day, at, 17.0 + 0.01 * (at % 3)
            )  # one that stands still is SUSPECT

    # ----------------------------------------------------------------------------------------------------------- time

    def run(self, clock: str, session: int = 0) -> Shares:
        self.host.advance(until=datetime.combine(self.days[session], time.fromisoformat(clock)))
        return self._sound()

    def finish(self) -> Shares:
        self.host.advance()
        self.host.finish()
        return self._sound()

    def _sound(self) -> Shares:
        error = self.host.engine.run_time_error
        assert error is None, error.traceback if error is not None else ""
        return self

    def tradable(self, ticker: str, answer: bool) -> None:
        """Let LEAN's own check refuse the orders of a share, or take them again."""
        self.host.algorithm.securities[Symbol.equity(ticker)].is_tradable = answer

    # ------------------------------------------------------------------------------------------------ what came of it

    def records(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the ledger's records so far; `at` is New York day and time as "28 10:31"."""
        ledger = self.host.algorithm._assembly.parts.ledger
        if not ledger.is_sealed:
            ledger.flush(durable=False)
        found = []
        for line in self._lines():
            record: dict[str, Any] = json.loads(line)
            record["at"] = from_utc_text(record["time"]).strftime("%d %H:%M")
            if not kinds or record["kind"] in kinds:
                found.append(record)
        return found

    def _lines(self) -> list[bytes]:
        store = self.host.engine.object_store.contents()
        return [line for key in sorted(store) if "ledger-" in key for line in store[key].splitlines(keepends=True)]

    def orders(self) -> list[tuple[str, str, int]]:
        return [(record["at"], record["purpose"], record["legs"][0]["qty"]) for record in self.records("ORDER_INTENT")]

    def held(self) -> dict[str, int]:
        """Return what the engine's own portfolio holds."""
        portfolio = self.host.algorithm.portfolio
        return {
            ticker: int(portfolio[Symbol.equity(ticker)].quantity)
            for ticker in PRICES
            if portfolio[Symbol.equity(ticker)].quantity
        }

    def audit(self) -> list[str]:
        """Return the rules that the independent auditor finds violated in the whole run."""
        replay = Replay()
        replay.run(self._lines())
        return sorted({found.rule for found in replay.findings.kept if found.severity is Severity.VIOLATION})


def test_what_an_order_of_shares_has_moved_is_known_without_a_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = Shares("10:05=0.80 10:19=0.20 10:40=0.50").run("09:31")
    broker: Any = shares.host.algorithm._assembly.parts.broker
    kind = type(broker)
    walk, walks, seen = kind._walk, list[object](), set[tuple[str, ...]]()

    def counted(self: Any) -> dict[str, int]:
        if self is broker:
            walks.append(self)
        found: dict[str, int] = walk(self)
        return found

    monkeypatch.setattr(kind, "_walk", counted)
    for minute in range(5, 50):
        shares.run(f"10:{minute:02d}")
        fresh = kind(shares.host.algorithm, broker._market, margin_repeats=False)
        assert dict(broker.positions()) == dict(fresh.positions()) == shares.held()
        assert [broker.position(ticker) for ticker in PRICES] == [fresh.position(ticker) for ticker in PRICES]
        seen.add(tuple(shares.held()))
    assert seen == {(), ("TQQQ",), ("SQQQ",)}
    assert not walks


def test_etf_s18_an_orphan_of_the_engine_is_split_with_it_and_swept_once() -> None:
    wednesday = date(2025, 10, 29)
    shares = Shares(UP, sessions=3, split_on=wednesday).run("15:40")
    assert shares.held() == {"TQQQ": 352}
    shares.tradable("TQQQ", answer=False)
    shares.run("16:15")
    assert [(record["at"], record["principle"]) for record in shares.records("BREACH")] == [("28 16:02", "P5")]
    shares.tradable("TQQQ", answer=True)
    shares.run("09:30", 1)
    assert shares.held() == {"TQQQ": 704}
    assert [(record["symbol"], record["num"], record["den"]) for record in shares.records("SPLIT")] == [("TQQQ", 2, 1)]
    shares.run("15:59", 1)
    assert [order for order in shares.orders() if order[0] > "29"] == [("29 09:31", "SWEEP", -704)]
    assert shares.held() == {}
    shares.finish()
    assert [order[1:] for order in shares.orders() if order[0] > "30"] == [("OPEN", 352 * 2), ("CLOSE", -352 * 2)]
    assert shares.records("BREAK") == []
    assert shares.audit() == ["AU-45"]  # the night of the first session, and nothing else


def test_a_split_over_night_means_nothing_to_a_book_that_is_flat() -> None:
    shares = Shares(UP, sessions=2, split_on=date(2025, 10, 29)).finish()
    assert [order[2] for order in shares.orders()] == [352, -352, 704, -704]
    refused = {record["reason"] for record in shares.records("VERDICT") if not record["allowed"]}
    assert refused <= {"SESSION_PHASE"}  # half the price is explained
    assert shares.audit() == []


def test_the_first_minute_after_the_silence_of_the_night_is_read() -> None:
    shares = Shares("", sessions=2, settings={"etf_rotation.signal.source": "sigor"}).run("09:40", 1)
    first = [(record["at"], record["reason"]) for record in shares.records("SIGNAL") if record["at"][3:] < "09:34"]
    assert first == [
        (f"{day} {clock}", "SIGNAL_WARMING_UP") for day in (28, 29) for clock in ("09:31", "09:32", "09:33")
    ]


def test_a_session_whose_first_minute_is_empty_goes_on() -> None:
    shares = Shares("", settings={"etf_rotation.signal.source": "sigor"})
    for symbol in [*map(Symbol.equity, PRICES), Symbol.index("SPX"), Symbol.index("VIX")]:
        shares.source.remove_bar(symbol, TUESDAY, 571)
        shares.source.remove_quote(symbol, TUESDAY, 571)
    shares.run("09:40")
    told = [(record["at"][3:], record["reason"]) for record in shares.records("SIGNAL")]
    assert told[0] == ("09:32", "BAR_MISSING")  # the pulse that found the silence
    assert {reason for _at, reason in told[1:]} == {"SIGNAL_WARMING_UP"}


def test_a_half_day_is_flat_at_thirteen() -> None:
    shares = Shares(UP, day=date(2025, 11, 28)).run("13:05")
    assert [(order[0][3:], order[1]) for order in shares.orders()] == [("10:06", "OPEN"), ("12:45", "CLOSE")]
    assert shares.held() == {}
    assert shares.finish().audit() == []


@pytest.mark.parametrize("until", ["15:46", "15:50"])
def test_refused_closes_are_tried_again_until_the_share_trades(until: str) -> None:
    shares = Shares(UP).run("15:40")
    shares.tradable("TQQQ", answer=False)
    shares.run(until)
    shares.tradable("TQQQ", answer=True)
    shares.run("16:05")
    assert shares.held() == {}
    fills = [(record["at"], record["qty"]) for record in shares.records("FILL")]
    assert [qty for _at, qty in fills] == [352, -352]
    assert until < fills[-1][0][3:] < "16:00"
    assert shares.finish().audit() == []
