"""Afternoons in which anything may happen: any readings, any prices, any fault of a broker that tells what it holds.

The broker is watched from within: what it holds, owns and is sent is looked at after every event, not only in steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import strategies as st

from core.family import SYMBOLS, Side, side_of
from core.ports import OrderRequest, OrderType, RawQuote
from core.vocabulary import BrokerEvent, Purpose
from tests.etf_world import PRICES, EtfWorld, FateBroker, Market, Placed, on

MINUTE = timedelta(minutes=1)
START = "14:24"
FACTORS = {"QQQ": 1.0, "TQQQ": 3.0, "PSQ": -1.0, "SQQQ": -3.0, "SPY": 0.8, "SPX": 0.8}
STRESS = {
    "etf_rotation.confirm_bars": "1",
    "etf_rotation.min_hold_bars": "0",
    "etf_rotation.cooldown_bars": "0",
}
PROFILES: tuple[Mapping[str, str], ...] = (
    {}, STRESS, STRESS | {"account.type": "CASH"}, {"account.brokerage": "TASTYTRADE"},
)  # fmt: skip


class MovingMarket(Market):
    """The index share moves by a share of its price a minute; the funds are made of it."""

    def __init__(self, moves: Sequence[float], spread: float = 0.01) -> None:
        super().__init__()
        self.spread = spread
        factor = 1.0
        self._level: dict[datetime, float] = {}
        for number, at in enumerate(minutes()):
            factor *= 1.0 + moves[number % len(moves)]
            self._level[at] = factor - 1.0

    def ask(self, symbol: str, at: datetime) -> float:
        change = self._level.get(at)
        if change is None or symbol not in FACTORS:
            return super().ask(symbol, at)
        return max(1.0, round(PRICES[symbol] * max(0.05, 1.0 + FACTORS[symbol] * change), 2))

    def quote(self, symbol: str) -> RawQuote | None:
        """Quotes of a minute reach from its first price to its last one."""
        last = super().quote(symbol)
        if last is None or last.bid is None or last.ask is None:
            return last
        before = self.ask(symbol, self.now - MINUTE)
        return replace(last, low_bid=min(last.bid, before - self.spread), high_ask=max(last.ask, before))


def minutes() -> list[datetime]:
    first, last = on(START), on("16:15")
    return [first + number * MINUTE for number in range(1, int((last - first) / MINUTE) + 1)]


@dataclass
class WatchedBroker(FateBroker):
    """Looks at itself after every event and writes down what a principle forbids."""

    found: list[str] = field(default_factory=list)
    sent_in: Counter[datetime] = field(default_factory=Counter)

    def send(self, request: OrderRequest) -> Sequence[BrokerEvent]:
        leg = request.legs[0]
        if Purpose(request.order.split("|")[2]).adds_risk:
            self.sent_in[self.market.now] += 1
            self.note(self.sent_in[self.market.now] > 1, "P3: a second opening in this bar")
        else:
            selling = sum(-placed.left for placed in self.alive() if placed.symbol == leg.symbol and placed.qty < 0)
            room = self.held.get(leg.symbol, 0) - selling
            self.note(-leg.qty > room, f"property 11: {leg.qty} {leg.symbol} sent, {room} could be sold")
        if request.type is OrderType.MARKET and not self.market.speaks(leg.symbol, self.market.now):
            self.fates.insert(0, "late")  # nobody trades: it waits for somebody who does
        answer = super().send(request)
        self.look()
        return answer

    def mark_price(self, symbol: str) -> float:
        """Return the last price that anybody has seen."""
        at = self.market.now
        while at > on(START) and not self.market.speaks(symbol, at):
            at -= MINUTE
        return self.market.ask(symbol, at)

    def fill(self, placed: Placed, qty: int, price: float) -> None:
        super().fill(placed, qty, price)
        self.look()

    def alive(self) -> list[Placed]:
        return [placed for placed in self.orders.values() if not placed.status.is_final]

    def look(self) -> None:
        held = {symbol for symbol, qty in self.held.items() if qty}
        opening = {placed.symbol for placed in self.alive() if placed.request.type is OrderType.LIMIT}
        sides = {side_of(symbol) for symbol in held | opening}
        self.note(self.cash + self.unsettled < 0, f"P1: cash is {self.cash + self.unsettled:.2f}")
        self.note(sides >= set(Side), f"P2: {sorted(held)} held and {sorted(opening)} to come")
        self.note(any(qty < 0 for qty in self.held.values()), f"P4: {self.held}")

    def note(self, wrong: bool, text: str) -> None:
        if wrong:
            self.found.append(f"{self.market.now:%H:%M} {text}")


@dataclass(frozen=True)
class Afternoon:
    """What happens; sequences begin anew when they are used up."""

    readings: Sequence[float | None]
    moves: Sequence[float] = (0.0,)
    fates: Sequence[str] = ("fill",)
    limit_fates: Sequence[str] = ("fill",)
    cancel_fates: Sequence[str] = ("confirm",)
    repeats: bool = False
    silences: Sequence[tuple[str, int, int]] = ()
    moc_fates: Sequence[str] = ("fill",)
    profile: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_punctual(self) -> bool:
        """Whether the broker fills every sale at once, and can."""
        return set(self.fates) == {"fill"} and not self.silences

    def script(self) -> str:
        said = (self.readings[number % len(self.readings)] for number in range(len(minutes())))
        words = ("nan" if value is None else repr(value) for value in said)
        return " ".join(f"{at:%H:%M}={word}" for at, word in zip(minutes(), words, strict=True))

    def world(self) -> tuple[EtfWorld, WatchedBroker]:
        """Return a world that stands at the beginning of this afternoon."""
        market = MovingMarket(self.moves)
        cash_account = self.profile.get("account.type") == "CASH"
        broker = WatchedBroker(market, cash_account, 100_000.0)
        broker.is_free = "account.brokerage" in self.profile
        broker.fates, broker.limit_fates, broker.cancel_fates, broker.moc_fates = (
            _long(one) for one in (self.fates, self.limit_fates, self.cancel_fates, self.moc_fates)
        )
        for symbol, start, length in self.silences:
            since = on(START) + start * MINUTE
            market.silence(symbol, since, since + length * MINUTE)
        broker.repeats = self.repeats
        world = EtfWorld(self.script(), start=START, settings=self.profile, market=market, broker=broker)
        return world, broker

    def run(self) -> tuple[EtfWorld, WatchedBroker]:
        world, broker = self.world()
        world.run("16:15")
        return world, broker


def _long(fates: Sequence[str]) -> list[str]:
    return [fates[number % len(fates)] for number in range(400)]


READINGS = st.lists(
    st.none() | st.floats(0.001, 0.999) | st.sampled_from([0.25, 0.4, 0.55, 0.6, 0.7, 0.75, 0.9, 0.1]),
    min_size=1, max_size=50,
)  # fmt: skip
MOVES = st.lists(st.floats(-0.012, 0.012), min_size=1, max_size=30)
FATES = st.lists(
    st.sampled_from(["fill", "fill", "fill", "reject", "part:7", "part:150", "late", "lost"]), min_size=1, max_size=20
)
LIMIT_FATES = st.lists(st.sampled_from(["fill", "fill", "none", "part:30"]), min_size=1, max_size=12)
CANCEL_FATES = st.lists(st.sampled_from(["confirm", "confirm", "fill", "ignored"]), min_size=1, max_size=8)


SILENCES = st.lists(
    st.tuples(
        st.sampled_from([*SYMBOLS, "SPY", "VIX"]),
        st.integers(0, 96),
        st.sampled_from([1, 2, 5, 40]),
    ),
    max_size=3,
)
MOC_FATES = st.lists(st.sampled_from(["fill", "fill", "never"]), min_size=1, max_size=4)


def afternoons() -> st.SearchStrategy[Afternoon]:
    """Return anything at all."""
    return st.builds(
        Afternoon, READINGS, MOVES, FATES, LIMIT_FATES, CANCEL_FATES, st.booleans(), SILENCES, MOC_FATES,
        st.sampled_from(PROFILES),
    )  # fmt: skip


def punctual() -> st.SearchStrategy[Afternoon]:
    """Return anything but what goes wrong at the broker."""
    return st.builds(Afternoon, READINGS, MOVES, profile=st.sampled_from(PROFILES))


def mirrored(value: float | None) -> float | None:
    return None if value is None else 1.0 - value
