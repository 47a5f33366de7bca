"""What every planted violation works with: a clean ledger that may be cut, changed and put together again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from audit.contracts import contract
from audit.exchange_days import Session, session_on
from audit.times import MINUTE, SECOND, day_of, micros, utc_text
from tests.audit.chaining import HIDDEN, Record, chained, numbered, settled

FAMILY = ("QQQ", "TQQQ", "PSQ", "SQQQ")
Test = Callable[[Record], bool]


class Ledger:
    """A clean ledger in the hands of somebody who changes it."""

    def __init__(self, records: Sequence[Record], rng: random.Random) -> None:
        self.original = [record | {HIDDEN: number} for number, record in enumerate(records)]
        """The records as they were; nobody changes them."""
        self.records = numbered(records)
        self.rng = rng

    # ------------------------------------------------------------------------------------------------------- looking

    def places(self, kind: str, test: Test | None = None) -> list[int]:
        return [
            place
            for place, record in enumerate(self.records)
            if record["kind"] == kind and (test is None or test(record))
        ]

    def pick(self, kind: str, test: Test | None = None) -> int | None:
        """Return the place of a random record of a kind, None where there is none."""
        found = self.places(kind, test)
        return self.rng.choice(found) if found else None

    def us(self, place: int) -> int:
        return micros(self.records[place]["time"])

    def session(self, place: int) -> Session | None:
        return session_on(day_of(self.us(place)))

    def first(self, kind: str, test: Test, start: int = 0) -> int | None:
        return next(
            (
                place
                for place in range(start, len(self.records))
                if self.records[place]["kind"] == kind and test(self.records[place])
            ),
            None,
        )

    def intent_of(self, record: Record) -> Record | None:
        place = self.first("INTENT", lambda item: item["intent"] == record["intent"])
        return None if place is None else self.records[place]

    def order_of(self, record: Record) -> Record:
        place = self.first("ORDER_INTENT", lambda item: item["order"] == record["order"])
        assert place is not None
        return self.records[place]

    def held(self) -> list[dict[str, int]]:
        """Return the positions of the strategies after each record."""
        positions: dict[str, int] = {}
        after = []
        for record in self.records:
            if record["kind"] in ("FILL", "EXPIRY") and record["book"]:
                symbol = record["symbol"]
                positions = positions | {symbol: positions.get(symbol, 0) + record["qty"]}
                positions = {key: qty for key, qty in positions.items() if qty}
            after.append(positions)
        return after

    def after_time(self, us: int, start: int = 0) -> int:
        """Return the first place whose time is at or after us."""
        for place in range(start, len(self.records)):
            if self.us(place) >= us:
                return place
        return len(self.records) - 1

    # ------------------------------------------------------------------------------------------------------ changing

    def make(self, kind: str, book: str, us: int, /, **fields: Any) -> Record:
        return {"v": 1, "seq": 0, "time": utc_text(us), "kind": kind, "book": book, **fields}

    def insert(self, place: int, records: Iterable[Record]) -> None:
        """Put records before a place; their times must fit there."""
        self.records[place:place] = list(records)

    def remove(self, places: Iterable[int]) -> None:
        gone = set(places)
        self.records = [record for place, record in enumerate(self.records) if place not in gone]

    def attempt(
        self,
        us: int,
        book: str,
        trade: str,
        purpose: str,
        legs: Mapping[str, int],
        *,
        number: int = 1,
        intent: str | None = None,
        limit: int | None = None,
        price: int | None = None,
        ended: bool = True,
        deadline: int | None = None,
        states: bool = True,
    ) -> list[Record]:
        """Return the records of one order: its intent (unless one is given) and verdict, sending, fills, outcome.

        price fills every leg; ended without a price means cancelled.
        """
        option = any(contract(symbol).is_option for symbol in legs)
        name = intent or f"{trade}|{purpose}|X{number}"
        order = f"planted|{trade}|{purpose}|X{number}"
        units = _gcd(legs.values())
        basis = "MAX_LOSS" if option else "FAMILY"
        rows: list[Record] = []
        opening = purpose in ("OPEN", "ADD")
        if intent is None:
            losses = {"max_loss_u6": 400_000_000, "margin_u6": 500_000_000} if option and opening else {}
            rows.append(
                self.make(
                    "INTENT", book, us, intent=name, trade=trade, purpose=purpose,
                    structure="LEGS" if option else "SHARES", qty=units,
                    legs=[_leg(symbol, qty // units) for symbol, qty in legs.items()], risk_basis=basis, **losses,
                )
            )  # fmt: skip
            ages = {"vix_s": 0, "greeks_s": 0, "quote_s": 0} if option and opening else {}
            rows.append(
                self.make(
                    "VERDICT", book, us, intent=name, gate="invariants", allowed=True, reason="ALLOWED",
                    scale_e6=1_000_000, ages=ages, detail={},
                )
            )  # fmt: skip
        optional = {} if limit is None else {"limit_u6": limit}
        kind = ("LIMIT" if limit is not None else "MARKET") if len(legs) == 1 else "COMBO_LIMIT"
        rows.append(
            self.make(
                "ORDER_INTENT", book, us, order=order, intent=name, trade=trade, purpose=purpose, attempt=number,
                type=kind, tif="DAY", legs=[{"symbol": symbol, "qty": qty} for symbol, qty in legs.items()],
                deadline=utc_text(us + 60 * SECOND if deadline is None else deadline), **optional,
            )
        )  # fmt: skip
        rows.append(self.make("ORDER_SENT", book, us, order=order))
        if opening and states and intent is None:
            rows.append(self._state(book, us, trade, "PLANNED", "SENT", "ENTERING", us + 300 * SECOND))
        rows.append(self.make("ORDER_EVENT", book, us, order=order, status="SUBMITTED", text=""))
        if price is not None:
            rows += [self.fill(us, book, trade, order, symbol, qty, price) for symbol, qty in legs.items()]
        if price is not None or ended:
            done = price is not None
            rows.append(
                self.make(
                    "ORDER_OUTCOME", book, us, order=order, outcome="FILLED" if done else "CANCELLED",
                    filled=units if done else 0, left=0 if done else units,
                )
            )  # fmt: skip
            if opening and states and intent is None:
                rows.append(
                    self._state(book, us, trade, "ENTERING", "FILLED", "OPEN", None)
                    if done
                    else self._state(book, us, trade, "ENTERING", "CANCELLED", "CANCELLED", None)
                )
        return rows

    def fill(self, us: int, book: str, trade: str, order: str, symbol: str, qty: int, price: int) -> Record:
        option = contract(symbol).is_option
        return self.make(
            "FILL", book, us, fill=f"{order}#{symbol}", order=order, trade=trade, symbol=symbol, qty=qty,
            price_u6=price, mult=100 if option else 1, fee_u6=max(1_000_000, abs(qty) * (650_000 if option else 5_000)),
            exec_time=utc_text(us), cash_after_u6=0, pos_after=0, source="EVENT",
        )  # fmt: skip

    def _state(
        self, book: str, us: int, trade: str, before: str, trigger: str, after: str, deadline: int | None
    ) -> Record:
        optional = {} if deadline is None else {"deadline": utc_text(deadline)}
        return self.make(
            "TRADE_STATE", book, us, trade=trade, **{"from": before}, trigger=trigger, to=after, **optional
        )

    def quote(self, symbol: str, place: int) -> int:
        """Return a price of a family symbol near a place, made up where none was marked."""
        for record in reversed(self.records[:place]):
            if record["kind"] == "MARK" and symbol in record["px"]:
                row = record["px"][symbol]
                return int((row[0] + row[1]) // 2)
        return {"QQQ": 500, "TQQQ": 85, "PSQ": 40, "SQQQ": 25}.get(symbol, 5) * 1_000_000

    # -------------------------------------------------------------------------------------------------------- result

    def lines(self, *, renumber: bool = True) -> list[bytes]:
        """Chain as it is: what contradicts stays."""
        return chained(self.recount(self.records), renumber=renumber)

    def settled_lines(self, *, broker_too: bool = True) -> list[bytes]:
        """Chain with every dependent field made to fit."""
        return chained(settled(self.records, self.original, broker_too=broker_too))

    @staticmethod
    def recount(records: Sequence[Record]) -> list[Record]:
        """Return the records with the counts of RUN_ENDED made to fit."""
        counts: dict[str, int] = {}
        done = []
        for record in records:
            if record.get("kind") == "RUN_ENDED":
                record = record | {"counts": dict(counts)}
            counts[record.get("kind", "")] = counts.get(record.get("kind", ""), 0) + 1
            done.append(record)
        return done

    def last_close_fill(self, book: str | None = None) -> int | None:
        """Return the place of a random fill that brings a position to zero."""
        positions = self.held()
        closing = ("|CLOSE|", "|REDUCE|", "|SWEEP|", "|FLATTEN|")
        found = [
            place
            for place, record in enumerate(self.records)
            if record["kind"] == "FILL"
            and any(purpose in record["order"] for purpose in closing)
            and record["symbol"] not in positions[place]
            and book in (None, record["book"])
        ]
        return self.rng.choice(found) if found else None

    def regular_places(self, margin_min: int = 40) -> list[int]:
        """Return places in the middle of sessions where the family is flat and nothing works."""
        positions = self.held()
        working: set[str] = set()
        found = []
        for place, record in enumerate(self.records):
            if record["kind"] == "ORDER_SENT":
                working.add(record["order"])
            elif record["kind"] == "ORDER_OUTCOME":
                working.discard(record["order"])
            session = self.session(place)
            if session is None or working or any(symbol in FAMILY for symbol in positions[place]):
                continue
            inside = session.open_us + margin_min * MINUTE < self.us(place) < session.close_us - margin_min * MINUTE
            if inside and record["kind"] == "MARK":
                found.append(place + 1)
        return found


def _leg(symbol: str, ratio: int) -> Record:
    item = contract(symbol)
    row: Record = {"symbol": symbol, "ratio": ratio, "mult": 100 if item.is_option else 1}
    if item.is_option:
        row |= {"right": item.right, "strike_u6": item.strike_u6, "expiry": item.expiry.isoformat()}
    return row


def _gcd(values: Iterable[int]) -> int:
    from math import gcd

    return gcd(*values)


def is_family(record: Record) -> bool:
    return record.get("symbol", "") in FAMILY


def expiry_of(record: Record) -> date:
    return contract(record["symbol"]).expiry
