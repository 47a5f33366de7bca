"""Values for tests of the risk layer: sessions, snapshots, chains priced by the model, structures, and books folded
from records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np

from core.books import Books
from core.ledger_kinds import Kind
from core.market import (
    Bar,
    Chain,
    EquityMark,
    Mark,
    MarketSnapshot,
    OpeningPrice,
    OpeningStatus,
    Quote,
    QuoteVerdict,
    Regime,
    Session,
    VixReading,
    VixVerdict,
)
from core.rules import QUIET, Manager, Watch
from core.trade_machine import TradeState, Trigger
from core.trades import Trade
from core.vocabulary import (
    Instrument,
    Intent,
    IntentKind,
    Ladder,
    Leg,
    Right,
    RiskBasis,
    SessionPhase,
    Structure,
    StructureName,
    UnitRisk,
    to_u6,
)
from helpers.black76 import black_price
from helpers.pricing import discount_factor, settlement_time, years_to
from tests.core.desk import tell

FRIDAY = date(2025, 9, 12)
STRATEGY = "friday_0dte"


def session(day: date = FRIDAY, *, close: time = time(16, 0)) -> Session:
    return Session(
        day=day,
        open=datetime.combine(day, time(9, 30)),
        close=datetime.combine(day, close),
        half_day=close < time(16, 0),
        last_of_week=day.weekday() == 4,
        previous=day - timedelta(days=1),
        next=day + timedelta(days=3),
    )


def at(hour: int, minute: int = 0, day: date = FRIDAY) -> datetime:
    return datetime.combine(day, time(hour, minute))


def phase_of(now: datetime, today: Session) -> SessionPhase:
    if now < today.open:
        return SessionPhase.PRE_OPEN
    if now < today.after_open(5):
        return SessionPhase.OPENING
    if now < today.before_close(30):
        return SessionPhase.REGULAR
    return SessionPhase.LATE if now < today.close else SessionPhase.CLOSED


def bar(end: datetime, price: float, *, age_s: float = 0.0) -> Bar:
    return Bar(end, price, price, price, price, 0.0, age_s)


_ROWS: Mapping[Regime, tuple[float, float, float]] = {
    Regime.NORMAL: (1.0, 0.80, 0.20),
    Regime.ELEVATED: (0.75, 0.70, 0.35),
    Regime.HIGH: (0.50, 0.60, 0.50),
    Regime.CRISIS: (0.25, 0.50, 0.70),
}


def vix(value: float, *, verdict: VixVerdict = VixVerdict.GOOD, panic: bool = False) -> VixReading:
    """A reading as the table of regimes gives it."""
    regime = (
        Regime.NORMAL if value < 20 else Regime.ELEVATED if value < 30 else Regime.HIGH if value < 40 else Regime.CRISIS
    )
    return VixReading(verdict, regime, value, 0.0, *_ROWS[regime], prior_close=value, panic=panic)


UNKNOWN_VIX = VixReading(VixVerdict.UNKNOWN, Regime.UNKNOWN, None, float("inf"), 0.0, 0.0, 1.0)


def no_chain(root: str, expiry: date) -> Chain | None:
    return None


def snapshot(
    now: datetime | None = None,
    *,
    equity_usd: float | None = 100_000.0,
    reading: VixReading | None = None,
    chains: Iterable[Chain] = (),
    marks: Mapping[str, float] | None = None,
    quotes: Mapping[str, Quote] | None = None,
    bars: Mapping[str, Bar] | None = None,
    prior_close: Mapping[str, float] | None = None,
    rv20: float | None = None,
    today: Session | None = None,
    fresh: bool = True,
    **more: Any,
) -> MarketSnapshot:
    """One step. The default is Friday 11:00 with VIX 24, 100,000 USD and nothing held."""
    now = at(11) if now is None else now
    today = session(now.date()) if today is None else today
    by_key = {(chain.root, chain.expiry): chain for chain in chains}
    priced = {symbol: Mark(price, fresh=True) for symbol, price in (marks or {}).items()}
    return MarketSnapshot(
        time=now,
        session=today,
        phase=phase_of(now, today),
        quotes=dict(quotes or {}),
        bars=dict(bars or {}),
        opening=OpeningPrice(OpeningStatus.PENDING),
        prior_close=dict(prior_close or {}),
        listed={},
        load_chain=lambda root, expiry: by_key.get((root, expiry)),
        rv20=rv20,
        vix=vix(24.0) if reading is None else reading,
        equity=EquityMark(equity_usd, priced, fresh=fresh),
        **more,
    )


# ---------------------------------------------------------------------------------------------- contracts, structures


def heard(manager: Manager, step: MarketSnapshot, books: Books) -> Watch:
    """Return what the step hears of a manager inside of a session: nothing while it rests."""
    return QUIET if manager.rests else manager.watch(step, books)


def spxw(strike: float, right: Right, expiry: date = FRIDAY) -> Instrument:
    symbol = f"SPXW  {expiry:%y%m%d}{right.value}{round(strike * 1000):08d}"
    return Instrument(symbol, "SPX", 100, 0.05, right, float(strike), expiry)


def put(strike: float, expiry: date = FRIDAY) -> Instrument:
    return spxw(strike, Right.PUT, expiry)


def call(strike: float, expiry: date = FRIDAY) -> Instrument:
    return spxw(strike, Right.CALL, expiry)


def legs(*pairs: tuple[Instrument, int]) -> tuple[Leg, ...]:
    return tuple(Leg(instrument, ratio) for instrument, ratio in pairs)


def condor(
    *,
    short_put: float = 5_300,
    short_call: float = 5_400,
    width_points: float = 10,
    call_width_points: float | None = None,
    expiry: date = FRIDAY,
) -> Structure:
    wide = width_points if call_width_points is None else call_width_points
    return Structure(
        StructureName.IRON_CONDOR,
        legs(
            (put(short_put - width_points, expiry), 1),
            (put(short_put, expiry), -1),
            (call(short_call, expiry), -1),
            (call(short_call + wide, expiry), 1),
        ),
    )


def put_spread(short: float = 5_300, width_points: float = 10, expiry: date = FRIDAY) -> Structure:
    return Structure(StructureName.PUT_SPREAD, legs((put(short - width_points, expiry), 1), (put(short, expiry), -1)))


def call_spread(short: float = 5_400, width_points: float = 10, expiry: date = FRIDAY) -> Structure:
    return Structure(
        StructureName.CALL_SPREAD, legs((call(short, expiry), -1), (call(short + width_points, expiry), 1))
    )


def naked_put(strike: float = 5_300, expiry: date = FRIDAY) -> Structure:
    return Structure(StructureName.NAKED_PUT, legs((put(strike, expiry), -1)))


def shares(symbol: str = "QQQ") -> Structure:
    return Structure(StructureName.SHARES, legs((Instrument(symbol, symbol), 1)))


def chain(
    now: datetime,
    expiry: date = FRIDAY,
    *,
    forward: float = 5_350.0,
    volatility: Callable[[float], float] = lambda strike: 0.20,
    low: float = 5_000,
    high: float = 5_700,
    step: float = 5.0,
    spread: float = 0.05,
    today: Session | None = None,
) -> Chain:
    """A chain whose mids are the model's prices; what would be bid below a nickel has no bid."""
    today = session(now.date()) if today is None else today
    strikes = np.arange(low, high + step / 2, step)
    years = years_to(settlement_time(expiry, today), now, min_s=60)
    discount = discount_factor(4.0, years)
    sigma = np.array([volatility(float(strike)) for strike in strikes])
    bids, asks, instruments = [], [], []
    for right in (Right.PUT, Right.CALL):
        is_call = np.full(len(strikes), right is Right.CALL)
        mids = black_price(strikes, is_call, forward, sigma, years, discount)
        bids.append(np.where(mids - spread / 2 < 0.05, np.nan, mids - spread / 2))
        asks.append(mids + spread / 2)
        instruments += [spxw(float(strike), right, expiry) for strike in strikes]
    return Chain(
        root="SPXW",
        expiry=expiry,
        time=now,
        instruments=tuple(instruments),
        strike=np.concatenate((strikes, strikes)),
        is_call=np.repeat([False, True], len(strikes)),
        bid=np.concatenate(bids),
        ask=np.concatenate(asks),
        wide_limit=np.full(2 * len(strikes), 1.0),
    )


def without_quotes(of: Chain, *symbols: str) -> Chain:
    """The chain as it is when nobody bids or offers these contracts sensibly: crossed quotes."""
    hit = np.array([instrument.symbol in symbols for instrument in of.instruments])
    return replace(of, bid=np.where(hit, of.ask + 1.0, of.bid))


def quote(bid: float | None, ask: float | None) -> Quote:
    return Quote(QuoteVerdict.GOOD if bid else QuoteVerdict.NO_BID, bid, ask, bid, ask, 0.0)


# -------------------------------------------------------------------------------------------------- intents and books


def unit_risk(
    *,
    max_loss_usd: float | None = 760.0,
    margin_usd: float = 1_000.0,
    t_loss_usd: float | None = 700.0,
    c_loss_usd: float | None = None,
    delta_usd: float | None = 0.0,
    basis: RiskBasis = RiskBasis.MAX_LOSS,
    short_premium: bool = True,
) -> UnitRisk:
    return UnitRisk(
        basis=basis,
        margin_usd=margin_usd,
        stressed_margin_usd=margin_usd,
        max_loss_usd=max_loss_usd,
        t_loss_usd=t_loss_usd,
        c_loss_usd=c_loss_usd,
        delta_usd=delta_usd,
        short_premium=short_premium,
    )


def opening(
    structure: Structure | None = None,
    *,
    strategy: str = STRATEGY,
    risk: UnitRisk | None = None,
    qty: int | None = None,
) -> Intent:
    return Intent(
        IntentKind.OPEN,
        strategy,
        condor() if structure is None else structure,
        Ladder.ENTRY,
        qty=qty,
        risk=unit_risk() if risk is None else risk,
    )


_TRIGGER: Mapping[TradeState, Trigger] = {
    TradeState.ENTERING: Trigger.SENT,
    TradeState.OPEN: Trigger.FILLED,
    TradeState.CLOSED: Trigger.FLAT,
}


class BookKeeper:
    """Writes records into real books, as the ledger would."""

    def __init__(self, cash_usd: float = 100_000.0) -> None:
        self.books = Books()
        tell(self.books.takes, Kind.RUN_STARTED, "", {"start_cash_u6": to_u6(cash_usd), "holdings": []}, at(9))
        self._count = 0
        self._fills = 0

    def plan(
        self,
        structure: Structure | None = None,
        *,
        strategy: str = STRATEGY,
        units: int = 1,
        risk_usd: float = 760.0,
        margin_usd: float = 1_000.0,
        when: datetime | None = None,
    ) -> Trade:
        """An approved opening of which nothing is filled yet."""
        structure = condor() if structure is None else structure
        when = at(10, 30) if when is None else when
        self._count += 1
        name = f"{strategy}-{when:%Y%m%d}-{self._count}"
        rows = []
        for leg in structure.legs:
            item = leg.instrument
            row: dict[str, object] = {"symbol": leg.symbol, "ratio": leg.ratio, "mult": item.multiplier}
            if item.right is not None:
                row |= {"right": item.right.value, "strike_u6": to_u6(item.strike), "expiry": item.expiry}
            rows.append(row)
        fields = {
            "intent": f"i{self._count}",
            "trade": name,
            "purpose": "OPEN",
            "structure": structure.name.value,
            "legs": rows,
            "qty": units,
            "risk_basis": "MAX_LOSS",
            "max_loss_u6": to_u6(risk_usd * units),
            "margin_u6": to_u6(margin_usd * units),
        }
        tell(self.books.takes, Kind.INTENT, strategy, fields, when)
        self.state(name, TradeState.ENTERING, when)
        return self.books.trade(name)

    def fill(
        self, trade: Trade, prices: Mapping[str, float], *, units: int | None = None, when: datetime | None = None
    ) -> None:
        """Fill units (all approved ones) of the opening at these prices, and open the trade."""
        when = at(10, 31) if when is None else when
        units = trade.approved_units if units is None else units
        order = f"run|{trade.id}|OPEN|1"
        self._order(trade, "OPEN", when)
        for leg in trade.structure.legs:
            if leg.symbol in prices:
                self._fill(trade, order, leg.instrument, leg.ratio * units, prices[leg.symbol], when)
        self.state(trade.id, TradeState.OPEN, when)

    def hold(self, structure: Structure | None = None, *, credit: float = 2.5, **plan: Any) -> Trade:
        """A trade that is open in full, sold (or bought, credit < 0) for a net price."""
        trade = self.plan(structure, **plan)
        prices = dict.fromkeys(trade.structure.symbols, 1.0)
        # The first sold leg carries the net price, so that the sum over the legs is the credit.
        carrier = (trade.structure.shorts or trade.structure.longs)[0]
        rest = sum(-leg.ratio for leg in trade.structure.legs if leg is not carrier)
        prices[carrier.symbol] = (credit - rest) / -carrier.ratio
        self.fill(trade, prices, when=plan.get("when"))
        return trade

    def close(self, trade: Trade, *, when: datetime | None = None) -> None:
        """Bring the trade to flat at 0 and close it."""
        when = at(13) if when is None else when
        order = f"run|{trade.id}|CLOSE|1"
        self._order(trade, "CLOSE", when)
        for symbol, qty in list(trade.legs.items()):
            self._fill(trade, order, self.books.instrument(symbol), -qty, 0.0, when)
        self.state(trade.id, TradeState.CLOSED, when)

    def buy_back(self, trade: Trade, symbol: str, *, when: datetime | None = None) -> None:
        """Bring one leg of an open trade to flat, at 0."""
        when = at(12) if when is None else when
        self._order(trade, "CLOSE", when)
        order = f"run|{trade.id}|CLOSE|1"
        self._fill(trade, order, self.books.instrument(symbol), -trade.legs[symbol], 0.0, when)

    def state(self, trade: str, to: TradeState, when: datetime) -> None:
        before, trigger = self.books.trade(trade).state, _TRIGGER[to]
        fields = {"trade": trade, "from": before.value, "trigger": trigger.value, "to": to.value}
        tell(self.books.takes, Kind.TRADE_STATE, "", fields, when)

    def session_closed(self, day: date, equity_usd: float) -> None:
        fields = {"date": day, "equity_u6": to_u6(equity_usd), "cash_u6": self.books.cash_u6}
        tell(self.books.takes, Kind.SESSION_CLOSED, "", fields, datetime.combine(day, time(16)))

    def flow(self, usd: float, when: datetime | None = None) -> None:
        kind = "DEPOSIT" if usd >= 0 else "WITHDRAWAL"
        tell(
            self.books.takes,
            Kind.CASH_FLOW,
            "",
            {"type": kind, "amount_u6": to_u6(usd)},
            at(9) if when is None else when,
        )

    def _order(self, trade: Trade, purpose: str, when: datetime) -> None:
        fields = {
            "order": f"run|{trade.id}|{purpose}|1",
            "trade": trade.id,
            "purpose": purpose,
            "attempt": 1,
            "legs": [{"symbol": symbol, "qty": 1} for symbol in trade.structure.symbols],
        }
        tell(self.books.takes, Kind.ORDER_INTENT, trade.strategy, fields, when)

    def _fill(self, trade: Trade, order: str, item: Instrument, qty: int, price: float, when: datetime) -> None:
        self._fills += 1
        price_u6 = to_u6(price)
        fields = {
            "fill": f"f{self._fills}",
            "cash_after_u6": self.books.cash_u6 - qty * price_u6 * item.multiplier,
            "pos_after": self.books.position(item.symbol) + qty,
            "order": order,
            "trade": trade.id,
            "symbol": item.symbol,
            "qty": qty,
            "price_u6": price_u6,
            "mult": item.multiplier,
            "fee_u6": 0,
        }
        tell(self.books.takes, Kind.FILL, trade.strategy, fields, when)
