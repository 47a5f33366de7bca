"""What every conformance algorithm is made of: a script of steps by time, and a note of everything that happens.

The same file runs on LEAN and on the embedded engine; what it writes with `note` is compared line by line.  A note
stands in the log; where the run is to fail, in the object store, too.
"""

from __future__ import annotations

from AlgorithmImports import *

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta

MARK = "~"
NOTES = "notes"
_STATUS = {0: "NEW", 1: "SUBMITTED", 2: "PARTIAL", 3: "FILLED", 5: "CANCELED", 6: "NONE", 7: "INVALID",
           8: "CANCEL_PENDING", 9: "UPDATED"}  # fmt: skip
_BROKERAGES = {
    "default": BrokerageName.DEFAULT,
    "ib": BrokerageName.INTERACTIVE_BROKERS_BROKERAGE,
    "tastytrade": BrokerageName.TASTYTRADE,
    "schwab": BrokerageName.CHARLES_SCHWAB,
}
Step = Callable[[], None]


class Probe(QCAlgorithm):
    """Subscribes the lab market and runs the steps that `prepare` names."""

    def initialize(self) -> None:
        self._on_data_steps: dict[str, list[Step]] = {}
        self._tick_steps: dict[str, list[Step]] = {}
        self._contracts: dict[tuple[date, str, int], Symbol] = {}
        self._watched: dict[str, Symbol] = {}
        self._present: Slice | None = None
        self._fails = self.get_parameter("fails", "")
        self._notes: list[str] = []
        self._curve: dict[str, list[float]] = {}
        self.set_start_date(datetime.fromisoformat(self.get_parameter("start", "2024-11-25")))
        self.set_end_date(datetime.fromisoformat(self.get_parameter("end", "2024-11-26")))
        self.set_cash(int(self.get_parameter("cash", "1000000")))
        account = AccountType.CASH if self.get_parameter("account", "margin") == "cash" else AccountType.MARGIN
        self.set_brokerage_model(_BROKERAGES[self.get_parameter("brokerage", "default")], account)
        self.set_benchmark(lambda _time: 0)
        self.prepare()
        if self._tick_steps:
            self.schedule.on(self.date_rules.every_day(), self.time_rules.every(timedelta(minutes=1)), self._on_tick)

    def prepare(self) -> None:
        """Subscribe and name the steps."""

    # ------------------------------------------------------------------------------------------------ subscriptions

    def add_shares(self, *tickers: str) -> None:
        for ticker in tickers:
            equity = self.add_equity(ticker, Resolution.MINUTE, fill_forward=False)
            equity.set_data_normalization_mode(DataNormalizationMode.RAW)
            self._watched[ticker] = equity.symbol

    def add_indices(self, *tickers: str) -> None:
        for ticker in tickers:
            self._watched[ticker] = self.add_index(ticker, Resolution.MINUTE, fill_forward=False).symbol

    def add_chain(self, first_day: int, last_day: int, side: int = 60, *, null_assignment: bool = True) -> Symbol:
        option = self.add_index_option("SPX", "SPXW", Resolution.MINUTE, fill_forward=False)
        option.set_filter(
            lambda universe: universe.include_weeklys().expiration(first_day, last_day).strikes(-side, side)
        )
        if null_assignment:
            self.add_security_initializer(_no_assignment)
        return option.symbol

    def on_securities_changed(self, changes: SecurityChanges) -> None:
        for security in changes.added_securities:
            symbol = security.symbol
            if symbol.security_type == SecurityType.INDEX_OPTION and not symbol.is_canonical():
                right = "C" if symbol.id.option_right == OptionRight.CALL else "P"
                self._contracts[symbol.id.date.date(), right, int(symbol.id.strike_price)] = symbol

    def contract(self, text: str) -> Symbol:
        """Return the symbol of `1125P5990`, month and day of the expiry first; the year is the next such day's."""
        found = self._found(text)
        assert len(found) == 1, f"{text}: {len(found)} contracts"
        self._watched[text] = found[0]
        return found[0]

    def is_listed(self, text: str) -> bool:
        return len(self._found(text)) == 1

    def _found(self, text: str) -> list[Symbol]:
        month, day, right, strike = int(text[:2]), int(text[2:4]), text[4], int(text[5:])
        return [symbol for key, symbol in self._contracts.items()
                if (key[0].month, key[0].day, key[1], key[2]) == (month, day, right, strike)]  # fmt: skip

    def legs(self, text: str) -> list[Leg]:
        """Return the legs of `1125P5990:-1 1125P5980:1`."""
        parts = (part.split(":") for part in text.split())
        return [Leg.create(self.contract(name), int(ratio)) for name, ratio in parts]

    # -------------------------------------------------------------------------------------------------------- script

    def at(self, when: str, *steps: Step) -> None:
        """Run steps in on_data of a minute, `11-25 10:00`."""
        self._on_data_steps.setdefault(when, []).extend(steps)

    def on_tick(self, when: str, *steps: Step) -> None:
        """Run steps in a scheduled event of a minute."""
        self._tick_steps.setdefault(when, []).extend(steps)

    def on_data(self, data: Slice) -> None:
        if self._present is not None and self._present.time == data.time:
            # What was added in this minute comes with a slice of its own.
            self.note("a second slice", len(list(data.bars.keys())), len(list(data.quote_bars.keys())),
                      len(list(data.delistings.keys())))  # fmt: skip
        self._present = data
        self._sample()
        for step in self._on_data_steps.pop(f"{self.time:%m-%d %H:%M}", ()):
            step()
        self.seen(data)

    def seen(self, data: Slice) -> None:
        """Look at every slice."""

    def _on_tick(self) -> None:
        for step in self._tick_steps.get(f"{self.time:%m-%d %H:%M}", ()):
            step()

    # --------------------------------------------------------------------------------------------------------- notes

    def note(self, what: str, *values: object) -> None:
        line = " ".join([MARK, f"{self.time:%m-%d %H:%M:%S}", what, *(_text(value) for value in values)])
        self.log(line)
        if self._fails:
            # LEAN loses the log of the step that failed, but not the store.
            self._notes.append(line)
            self.object_store.save(NOTES, "\n".join(self._notes))

    def order_note(self, what: str, tickets: OrderTicket | Sequence[OrderTicket]) -> None:
        """Note what an order call returned."""
        rows = [tickets] if isinstance(tickets, OrderTicket) else list(tickets)
        for ticket in rows:
            response = ticket.submit_request.response
            self.note(what, "ticket", int(ticket.order_id), _status(ticket.status), int(ticket.order_type),
                      float(ticket.quantity), float(ticket.quantity_filled), float(ticket.average_fill_price),
                      int(response.error_code), str(response.error_message or ""))  # fmt: skip

    def refused(self, what: str, call: Callable[[], object]) -> None:
        """Note that a call raises."""
        try:
            call()
        except Exception:  # noqa: BLE001 - LEAN raises .NET exceptions of many types
            self.note(what, "raises")
        else:
            self.note(what, "does not raise")

    def on_order_event(self, order_event: OrderEvent) -> None:
        order = self.transactions.get_order_by_id(order_event.order_id)
        self.note(
            "event", int(order_event.order_id), self.short(order_event.symbol), _status(order_event.status),
            float(order_event.quantity), float(order_event.fill_quantity), float(order_event.fill_price),
            float(order_event.order_fee.value.amount), int(order.type), str(order.tag or ""),
            bool(order_event.is_assignment), str(order_event.message or ""),
            "cash", self.portfolio.cash, "holds", float(self.portfolio[order_event.symbol].quantity),
        )  # fmt: skip

    def account(self) -> None:
        """Note the account, and every position by its own key: iterating leaves out what has expired."""
        portfolio = self.portfolio
        held = [f"{name}:{_text(float(portfolio[symbol].quantity))}@{_text(float(portfolio[symbol].average_price))}"
                for name, symbol in self._watched.items()
                if symbol in self.securities and portfolio[symbol].quantity != 0]  # fmt: skip
        self.note("account", "cash", portfolio.cash, "unsettled", portfolio.unsettled_cash, "value",
                  portfolio.total_portfolio_value, "fees", portfolio.total_fees, "profit", portfolio.total_profit,
                  "invested", bool(portfolio.invested), *held)  # fmt: skip

    def _sample(self) -> None:
        """Take one point of the equity curve; each hour of it becomes one note at the end."""
        value = float(self.portfolio.total_portfolio_value)
        point = self._curve.setdefault(f"{self.time:%m-%d %H}", [0.0, value, value, 0.0, 0.0])
        point[0] += 1
        point[1], point[2], point[3] = min(point[1], value), max(point[2], value), value
        point[4] += value

    def curve(self) -> None:
        for hour, (count, low, high, last, total) in self._curve.items():
            if low != high:
                self.note("curve", hour, int(count), low, high, last, round(total, 3))

    def all_orders(self) -> None:
        """Note the order book as it stands at the end."""
        for order in sorted(self.transactions.get_orders(), key=lambda order: int(order.id)):
            self.note("order", int(order.id), self.short(order.symbol), int(order.type), _status(order.status),
                      float(order.quantity), float(order.price), order.time, order.last_fill_time,
                      order.last_update_time, order.canceled_time, str(order.tag or ""))  # fmt: skip

    def margin(self) -> None:
        self.note("margin", "used", self.portfolio.total_margin_used, "remaining", self.portfolio.margin_remaining)

    def short(self, symbol: Symbol) -> str:
        return str(symbol.value).replace(" ", "")

    def on_end_of_algorithm(self) -> None:
        self.curve()
        self.all_orders()
        self.account()
        self.note("end")


def _no_assignment(security: Security) -> None:
    if security.type == SecurityType.INDEX_OPTION:
        security.set_option_assignment_model(NullOptionAssignmentModel())


def _status(status: OrderStatus) -> str:
    return _STATUS[int(status)]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return f"{round(value, 6) + 0.0:.6f}".rstrip("0").rstrip(".")
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "[" + ",".join(_text(item) for item in value) + "]"
    return str(value)
