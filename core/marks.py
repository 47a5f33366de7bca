"""Our own valuation of the account, in every step and never cached.

The engine's equity is only a witness: it marks an option without a bid at its ask.  A price that is not GOOD is held
for a minute at its last good mid; after that a long counts what it could be sold for now and a short what it would cost
or is worth by our model, whichever is more.
"""

from __future__ import annotations

from core.books import Books
from core.market import MISSING_QUOTE, EquityMark, Mark, MarketSnapshot, Quote, QuoteVerdict
from core.ports import Account
from core.settings import Settings
from core.vocabulary import U6, Instrument, Kind


def equity_mark(snapshot: MarketSnapshot, books: Books, account: Account, settings: Settings) -> EquityMark:
    """Return cash of the books plus every holding at its mark; usd is None where one has none (unmarked names it)."""
    total = books.cash_u6 / U6
    marks: dict[str, Mark] = {}
    unmarked: list[str] = []
    fresh = True
    hold_s = settings.data.mark_hold_s
    for symbol, qty in books.positions().items():
        instrument = books.instrument(symbol)
        mark = mark_of(instrument, qty, snapshot, hold_s)
        if mark is None:
            unmarked.append(symbol)
            fresh = False
            continue
        marks[symbol] = mark
        fresh = fresh and mark.fresh
        total += qty * instrument.multiplier * mark.price
    if unmarked:
        return EquityMark(None, marks, tuple(unmarked), fresh)
    disputed = abs(total - account.equity_usd) > settings.data.equity_dispute_pct / 100 * abs(total)
    return EquityMark(total, marks, (), fresh, disputed)


def mark_of(instrument: Instrument, qty: int, snapshot: MarketSnapshot, hold_s: int) -> Mark | None:
    """Return the value of one unit of a holding in points, None where nothing says what it is worth."""
    expiry, session = instrument.expiry, snapshot.session
    # Past its last trading moment a contract is still held until it settles.
    if expiry is not None and expiry <= session.day and (expiry < session.day or snapshot.time >= session.close):
        return _intrinsic(instrument, snapshot)
    quote = snapshot.quotes.get(instrument.symbol, MISSING_QUOTE)
    if quote.verdict is QuoteVerdict.GOOD:
        mid = quote.mid
        assert mid is not None, "a GOOD quote has both sides"
        return Mark(mid, fresh=True)
    good = snapshot.last_good.get(instrument.symbol)
    if instrument.kind is Kind.SHARE and quote.bid is None:
        return _unquoted_share(snapshot, good)
    if quote.verdict is QuoteVerdict.NO_BID and (qty > 0 or quote.ask is not None):
        # Nobody bids: that is a price, and it is marked at once.
        return Mark(0.0 if qty > 0 or quote.ask is None else quote.ask, fresh=True)
    if good is not None and good.mid is not None and good.age_s <= hold_s:
        return Mark(good.mid, fresh=False)
    if qty > 0:
        return Mark(quote.bid or 0.0, fresh=False)
    costs = [price for price in (quote.ask, snapshot.model_price(instrument)) if price is not None]
    return Mark(max(costs), fresh=False) if costs else None


def _unquoted_share(snapshot: MarketSnapshot, good: Quote | None) -> Mark | None:
    """Return the last good mid of this session: a share without a bid is not worthless, as an option may be.

    Before the first quote of a session it is unknown: over night it may have been split.
    """
    today_s = (snapshot.time - snapshot.session.open).total_seconds()
    if good is None or good.mid is None or good.age_s >= today_s:
        return None
    return Mark(good.mid, fresh=False)


def _intrinsic(instrument: Instrument, snapshot: MarketSnapshot) -> Mark | None:
    assert instrument.expiry is not None
    if instrument.expiry == snapshot.session.day:
        value = snapshot.settlement_price.get(instrument.underlying)
    else:
        value = snapshot.past_settlement_price.get((instrument.underlying, instrument.expiry))
    return None if value is None else Mark(instrument.payoff(value), fresh=True)
