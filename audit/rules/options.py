"""AU-50 to AU-54: cover, maximum loss, and how long options may be held."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from audit.contracts import contract, without_cover, worst_value_u6
from audit.entities import Trade
from audit.exchange_days import Session, after_open_time, session_after
from audit.limits import DOLLAR, DTE_EXEMPT, FAMILY_BOOK, LEVERAGE
from audit.rules.base import Needs, Record, Rule
from audit.times import MINUTE, day_of
from audit.words import OPENING


@dataclass(slots=True)
class _Bare:
    """A trade whose promised cover is missing since a moment."""

    since: int
    due: int
    halted: int


class Covered(Rule):
    id = "AU-50"
    title = "the promised cover of a sold option is never missing for more than 60 s of open, unhalted market"
    needs = Needs.OPTION_BOOK

    def start(self) -> None:
        self._bare: dict[str, _Bare] = {}

    def on_fill(self, record: Record) -> None:
        fill = self.state.fill
        assert fill is not None
        if not fill.item.is_option:
            return
        self.judge(record["book"])
        if fill.trade is not None:
            self._look(fill.trade, fill.exec_us)

    def on_expiry(self, record: Record) -> None:
        for trade in list(self.state.living.values()):
            if trade.book == record["book"]:
                self._look(trade, self.state.now)

    def _look(self, trade: Trade, when: int) -> None:
        uncovered = trade.uncovered()
        bare = self._bare.get(trade.id)
        if uncovered and bare is None:
            due = after_open_time(when, self.limits.uncovered_us)
            bare = self._bare[trade.id] = _Bare(when, due, self._halted(uncovered, self.state.now))
            self.state.deadlines.at(due, lambda at: self._check(trade, bare, at))
        elif bare is not None and not uncovered:
            del self._bare[trade.id]
            if when <= bare.due:
                self.findings.withdraw(self.id, trade.id)
            else:
                self.hold(trade.id, False)

    def _halted(self, uncovered: dict[str, int], until: int) -> int:
        return max((self.state.halted_time(symbol, until) for symbol in uncovered), default=0)

    def _check(self, trade: Trade, bare: _Bare, at: int) -> None:
        if self._bare.get(trade.id) is not bare:
            return
        uncovered = trade.uncovered()
        if not uncovered:
            del self._bare[trade.id]
            return
        pause = self._halted(uncovered, at) - bare.halted
        if pause > 0:
            bare.halted += pause
            bare.due = after_open_time(at, pause)
            self.state.deadlines.at(bare.due, lambda later: self._check(trade, bare, later))
            return
        symbol, count = next(iter(uncovered.items()))
        self.hold(trade.id, True, f"{count} sold {symbol} of {trade.id} lack their cover", book=trade.book,
                  symbol=symbol, value=count, exposure=contract(symbol).strike_u6 * count * 100, at=at)  # fmt: skip


class DeclaredLoss(Rule):
    id = "AU-51"
    title = "a trade can lose no more than it declared, and declared no more than the per-trade limits"
    needs = Needs.OPTION_BOOK

    def on_intent(self, record: Record) -> None:
        if record["purpose"] not in OPENING or record["risk_basis"] == "FAMILY":
            return
        self.judge(record["book"])
        equity = self.state.equity
        for name, share in (
            ("max_loss_u6", self.limits.trade_risk),
            ("t_loss_u6", self.limits.trade_risk),
            ("c_loss_u6", self.limits.trade_crash),
        ):
            loss = record.get(name)
            if loss is not None and loss > share * equity + DOLLAR:
                self.hit(f"{record['intent']} declares {name} of {loss / DOLLAR:.2f}, {share:.0%} of equity is "
                         f"{share * equity / DOLLAR:.2f}", book=record["book"], value=loss,
                         bound=round(share * equity), exposure=loss)  # fmt: skip

    def on_order_intent(self, record: Record) -> None:
        """At its limit, an opening of all approved units may not lose more than was declared."""
        intent = self.state.intents.get(record["intent"])
        order = self.state.orders.get(record["order"])
        if intent is None or order is None or "limit_u6" not in record or intent.max_loss_u6 is None:
            return
        if intent.purpose != "OPEN" or intent.basis != "MAX_LOSS":
            return
        floor = worst_value_u6((contract(symbol), ratio) for symbol, ratio in intent.legs.items())
        if floor is None:
            return
        self.judge(intent.book)
        mult = next(iter(intent.mults.values()))
        loss = -(floor + record["limit_u6"]) * mult * intent.qty
        self._compare(loss, intent.max_loss_u6, f"{order.id} at its limit", intent.book)

    def on_fill(self, record: Record) -> None:
        fill = self.state.fill
        assert fill is not None
        order = fill.order
        if order is None or order.purpose != "OPEN" or not order.is_balanced or not order.filled_units:
            return
        intent = self.state.intents.get(order.intent)
        if intent is None or intent.basis != "MAX_LOSS" or intent.max_loss_u6 is None:
            return
        legs = [(contract(symbol), qty) for symbol, qty in order.filled.items()]
        floor = worst_value_u6(legs)
        if floor is None:
            return
        self.judge(order.book)
        loss = -(floor + order.cash_u6) * record["mult"]
        declared = intent.max_loss_u6 * order.filled_units // intent.qty
        self._compare(loss, declared, f"{order.id} as filled", order.book)

    def _compare(self, loss: int, declared: int, what: str, book: str) -> None:
        if loss > declared + DOLLAR:
            self.hit(f"{what} can lose {loss / DOLLAR:.2f}, declared are {declared / DOLLAR:.2f}", book=book,
                     value=loss, bound=declared, exposure=loss)  # fmt: skip


class FiniteLoss(Rule):
    id = "AU-52"
    title = "a defined-risk trade has a finite loss and covers every option it sells"
    needs = Needs.EACH_BOOK

    def on_intent(self, record: Record) -> None:
        if record["purpose"] not in OPENING:
            return
        book, basis = record["book"], record["risk_basis"]
        self.judge(book)
        legs = {leg["symbol"]: leg["ratio"] * record["qty"] for leg in record["legs"]}
        if basis == "FAMILY":
            if book != FAMILY_BOOK or any(symbol not in LEVERAGE for symbol in legs):
                self.hit(f"{record['intent']} claims the family's basis for {', '.join(legs)}", book=book)
            return
        if basis == "STRESS":
            header = self.state.header
            approved = header is not None and header["settings"].get("account.naked_options_approved") == "true"
            if not approved or "t_loss_u6" not in record or "c_loss_u6" not in record:
                self.hit(f"{record['intent']} sells options naked without approval or stress losses", book=book)
            return
        if "max_loss_u6" not in record:
            self.hit(f"{record['intent']} declares no max_loss_u6", book=book)
        trade = self.state.trades.get(record["trade"])
        if trade is not None:
            for symbol, qty in trade.held.items():
                legs[symbol] = legs.get(symbol, 0) + qty
        items = [(contract(symbol), qty) for symbol, qty in legs.items() if qty]
        naked = without_cover(items)
        if naked:
            symbol, count = next(iter(naked.items()))
            self.hit(f"{record['intent']} sells {count} {symbol} that nothing covers", book=book, symbol=symbol,
                     value=count, exposure=contract(symbol).strike_u6 * count * 100)  # fmt: skip
        elif worst_value_u6(items) is None:
            self.hit(f"{record['intent']} can lose without bound", book=book)
        for leg in record["legs"]:
            item = contract(leg["symbol"])
            said = (leg.get("right", ""), leg.get("strike_u6", 0), leg.get("expiry", ""))
            if item.is_option and said != (item.right, item.strike_u6, item.expiry.isoformat()):
                self.hit(f"{record['intent']}: what it says of {leg['symbol']} is not what the symbol says",
                         book=book, symbol=leg["symbol"])  # fmt: skip


class DaysToExpiry(Rule):
    id = "AU-53"
    title = "no trade is held past the close of its last session with 21 days to expiry, unless exempt"

    def on_fill(self, record: Record) -> None:
        """What is flat again has left in time, or not: the interval ends."""
        fill = self.state.fill
        if fill is not None and fill.trade is not None and not fill.trade.held:
            self.hold(fill.trade.id, False)

    def on_day(self, session: Session) -> None:
        self.state.deadlines.at(session.close_us, lambda at: self._look(session, at))

    def _look(self, session: Session, at: int) -> None:
        for trade in self.state.living.values():
            if trade.book in DTE_EXEMPT or not trade.held:
                continue
            expiries = [contract(symbol).expiry for symbol in trade.held if contract(symbol).is_option]
            if not expiries or trade.first_fill_us < 0:
                continue
            self.judge(trade.book)
            limit, expiry = self.limits.dte_exit(trade.book), min(expiries)
            left = (expiry - session_after(session.day).day).days
            begun = (expiry - day_of(trade.first_fill_us)).days
            self.hold(trade.id, begun >= limit > left, f"{trade.id} is held into {left} days to expiry",
                      book=trade.book, value=left, bound=limit, at=at)  # fmt: skip


class GoneBeforeExpiry(Rule):
    id = "AU-54"
    title = "what expires today is gone 5 minutes before the close, bidless longs apart"

    def start(self) -> None:
        self._since: dict[str, int] = {}

    def on_day(self, session: Session) -> None:
        for key in list(self._since):
            self._end(key)
        for minutes in {5.0, *map(self.limits.flat_minutes, self.limits.books())}:
            due = session.close_us - int(minutes * MINUTE)
            self.state.deadlines.at(due, partial(self._look, session, minutes))

    def _look(self, session: Session, minutes: float, at: int) -> None:
        marked = self.state.marked
        for (book, symbol), qty in self.state.books.items():
            item = contract(symbol)
            if item.expiry != session.day or self.limits.flat_minutes(book) != minutes:
                continue
            self.judge(book)
            row = None if marked is None else marked.px.get(symbol)
            if qty < 0 or (row is not None and row[0] > 0):
                key = f"{book} {symbol}"
                self._since[key] = at
                self.hold(key, True, f"{qty} {symbol} still held {minutes:g} min before it expires", book=book,
                          symbol=symbol, value=qty, exposure=self.state.worth(symbol, qty), at=at)  # fmt: skip

    def on_fill(self, record: Record) -> None:
        key = f"{record['book']} {record['symbol']}"
        fill = self.state.fill
        if key in self._since and fill is not None and not fill.book_after:
            if fill.exec_us <= self._since[key]:
                del self._since[key]
                self.findings.withdraw(self.id, key)
            else:
                self._end(key)

    def on_expiry(self, record: Record) -> None:
        key = f"{record['book']} {record['symbol']}"
        if key in self._since:
            self._end(key)

    def _end(self, key: str) -> None:
        del self._since[key]
        self.hold(key, False)


RULES = (Covered, DeclaredLoss, FiniteLoss, DaysToExpiry, GoneBeforeExpiry)
