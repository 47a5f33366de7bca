"""Symbols and security identifiers whose text is the same as LEAN's.

A `SecurityIdentifier` packs market, type, date, strike, right and style into one 64-bit number, written in base 36
(Common/SecurityIdentifier.cs); `SPXW 31K54PVWC0HRI|SPX 31` is an option on SPX.  A `Symbol` is such an identifier and
the ticker of today.  Both are interned: two symbols of one identifier are the same object, so that dictionary look-ups
cost what they cost for any object and `==` between symbols is identity.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, NoReturn

from engine.enums import MARKET_CODES, MARKET_NAMES, OptionRight, OptionStyle, SecurityType

DEFAULT_DATE: Final = datetime(1899, 12, 30)  # OLE automation day 0: "no date"
_OPTION_TYPE_OF: Final = {
    SecurityType.EQUITY: SecurityType.OPTION,
    SecurityType.FUTURE: SecurityType.FUTURE_OPTION,
    SecurityType.INDEX: SecurityType.INDEX_OPTION,
}

# {put/call:1}{OLE day:5}{style:1}{strike:6}{strike scale:2}{market:3}{security type:2}
_MARKET_OFFSET: Final = 100
_SCALE_OFFSET: Final = _MARKET_OFFSET * 1_000
_STRIKE_OFFSET: Final = _SCALE_OFFSET * 100
_STYLE_OFFSET: Final = _STRIKE_OFFSET * 1_000_000
_DAYS_OFFSET: Final = _STYLE_OFFSET * 10
_RIGHT_OFFSET: Final = _DAYS_OFFSET * 100_000
# A strike is kept in 19 bits plus a sign bit inside six decimal digits (SecurityIdentifier.NormalizeStrike).
_STRIKE_LIMIT: Final = 475_712
_NEGATIVE_STRIKE_BIT: Final = 1 << 19
_STRIKE_SCALE: Final = 6
_RIGHTS: Final = (OptionRight.CALL, OptionRight.PUT)
_STYLES: Final = (OptionStyle.AMERICAN, OptionStyle.EUROPEAN)
_SECURITY_TYPES: Final = {int(kind): kind for kind in SecurityType}

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PAIRS: Final = tuple(high + low for high in _DIGITS for low in _DIGITS)
_OSI: Final = re.compile(r"^([A-Z0-9.]+)\s*(\d{6})([CP])(\d{8})$", re.IGNORECASE)

# Common/Securities/IndexOption/IndexOptionSymbol.cs
_INDEX_OF_OPTION: Final = {"RUTW": "RUT", "SPXW": "SPX", "VIXW": "VIX", "NDXP": "NDX", "NQX": "NDX"}
_THIRD_FRIDAY_IS_STANDARD: Final = frozenset({"NQX", "SPXW", "RUTW"})


class SymbolError(ValueError):
    """A ticker or identifier cannot be understood; nothing was created."""


class SecurityIdentifier:
    """Identifier of a security; equal text is the same object.  The text is made when it is first read.

    symbol is the ticker of the first listing day (the option ticker for options, e.g. SPXW); date is the expiry of an
    option, the first listing day of an equity, else 1899-12-30; strike_price is in dollars or index points.
    """

    __slots__ = (
        "_code", "_spelling", "date", "market", "option_right", "option_style",
        "security_type", "strike_price", "symbol", "underlying",
    )  # fmt: skip

    symbol: str
    market: str
    security_type: SecurityType
    date: datetime
    strike_price: float
    option_right: OptionRight
    option_style: OptionStyle
    underlying: SecurityIdentifier | None
    _code: int
    _spelling: str | None

    def __init__(self) -> None:
        raise TypeError("SecurityIdentifier: expected parse(text) or a constructor of Symbol, not a direct call.")

    @staticmethod
    def parse(text: str) -> SecurityIdentifier:
        """Return the identifier that `text` spells; raise SymbolError when it spells none."""
        underlying: SecurityIdentifier | None = None
        for part in reversed(text.split("|")):
            pieces = part.split()
            if len(pieces) != 2:
                raise SymbolError(
                    f"security identifier = {text!r}: expected 'TICKER CODE' or 'TICKER CODE|TICKER CODE'. "
                    "Use str(symbol.id) of an existing symbol."
                )
            underlying = _unpack(pieces[0], _from_base36(pieces[1], text), underlying)
        assert underlying is not None
        return underlying

    @property
    def has_underlying(self) -> bool:
        return self.underlying is not None

    @property
    def _text(self) -> str:
        found = self._spelling
        if found is None:
            found = f"{self.symbol} {_to_base36(self._code)}"
            if self.underlying is not None:
                found = f"{found}|{self.underlying._text}"
            self._spelling = found
        return found

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, str) and other == self._text)

    __hash__ = object.__hash__

    def __copy__(self) -> SecurityIdentifier:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> SecurityIdentifier:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return (SecurityIdentifier.parse, (self._text,))


class Symbol:
    """A security: `id` never changes, `value` is its ticker (OSI text for a contract, '?SPXW' for a canonical)."""

    __slots__ = ("_canonical", "id", "security_type", "underlying", "value")

    id: SecurityIdentifier
    value: str
    security_type: SecurityType
    underlying: Symbol | None
    _canonical: Symbol | None

    def __init__(self) -> None:
        raise TypeError("Symbol: expected a constructor (Symbol.equity, Symbol.parse ...), not a direct call.")

    # -- constructors -------------------------------------------------------------------------------------------------

    @staticmethod
    def equity(
        ticker: str, market: str = "usa", *, first_ticker: str | None = None, first_date: date = DEFAULT_DATE
    ) -> Symbol:
        """Return an equity; first_ticker and first_date come from its map file (absent file: ticker, no date)."""
        sid = _pack((first_ticker or ticker).upper(), SecurityType.EQUITY, market, first_date)
        return _symbol(sid, ticker.upper(), None)

    @staticmethod
    def index(ticker: str, market: str = "usa") -> Symbol:
        """Return an index such as SPX or VIX."""
        return _symbol(_pack(ticker.upper(), SecurityType.INDEX, market, DEFAULT_DATE), ticker.upper(), None)

    @staticmethod
    def option(
        underlying: Symbol,
        right: OptionRight,
        strike: float,
        expiry: date,
        *,
        ticker: str | None = None,
        style: OptionStyle | None = None,
        market: str | None = None,
    ) -> Symbol:
        """Return an option contract on `underlying`; ticker names the option root where it differs (SPXW on SPX)."""
        security_type = option_type_of(underlying)
        root = (ticker or underlying.id.symbol).upper()
        sid = _pack(
            root,
            security_type,
            market or underlying.id.market,
            expiry,
            strike=strike,
            right=right,
            style=default_option_style(security_type) if style is None else style,
            underlying=underlying.id,
        )
        return _by_sid.get(sid) or _symbol(sid, _alias(sid, underlying), underlying)

    @staticmethod
    def canonical_option(underlying: Symbol, ticker: str | None = None, market: str | None = None) -> Symbol:
        """Return the symbol that stands for a whole chain, '?SPXW'."""
        return Symbol.option(underlying, OptionRight.CALL, 0.0, DEFAULT_DATE, ticker=ticker, market=market)

    @staticmethod
    def parse(text: str) -> Symbol:
        """Return the symbol of `str(symbol.id)`; raise SymbolError when the text is no identifier."""
        return from_identifier(SecurityIdentifier.parse(text))

    @staticmethod
    def from_osi(
        ticker: str, security_type: SecurityType | None = None, style: OptionStyle | None = None, market: str = "usa"
    ) -> Symbol:
        """Return the contract of 'SPXW  250103P05300000'; without a type, the root decides between index and equity."""
        match = _OSI.match(ticker)
        if match is None:
            raise SymbolError(
                f"option ticker = {ticker!r}: expected root, yymmdd, C or P and the strike in 8 digits of 1/1000. "
                "Example: 'SPXW  250103P05300000'."
            )
        root = match[1].upper()
        if security_type is None:
            security_type = SecurityType.INDEX_OPTION if is_index_option_root(root) else SecurityType.OPTION
        if security_type is SecurityType.INDEX_OPTION:
            underlying = Symbol.index(index_of_option_root(root), market)
        elif security_type is SecurityType.OPTION:
            underlying = Symbol.equity(root, market)
        else:
            raise SymbolError(f"security type = {security_type.name}: expected OPTION or INDEX_OPTION for {ticker!r}.")
        return Symbol.option(
            underlying,
            OptionRight.CALL if match[3] in "Cc" else OptionRight.PUT,
            int(match[4]) / 1000.0,
            datetime.strptime(match[2], "%y%m%d"),
            ticker=root if security_type is SecurityType.INDEX_OPTION else None,
            style=style,
            market=market,
        )

    # -- LEAN's members -----------------------------------------------------------------------------------------------

    @property
    def canonical(self) -> Symbol:
        """Return the chain this contract belongs to; the symbol itself when it is one."""
        found = self._canonical
        if found is None:
            if self.underlying is None:
                raise SymbolError(f"symbol = {self.value}: expected an option; only options have a canonical symbol.")
            if self.is_canonical():
                found = self
            else:
                key = (self.underlying, self.id.symbol, self.id.market)
                found = _canonicals.get(key)
                if found is None:
                    found = _canonicals[key] = Symbol.canonical_option(*key)
            self._canonical = found
        return found

    def is_canonical(self) -> bool:
        """Return whether this stands for a chain and not for one contract."""
        return self.underlying is not None and self.id.date is DEFAULT_DATE

    def has_canonical(self) -> bool:
        return self.underlying is not None and not self.is_canonical()

    @property
    def has_underlying(self) -> bool:
        return self.underlying is not None

    def __str__(self) -> str:
        # LEAN prints the ticker of a symbol that has a Security and the identifier of one that has none.  Ours is
        # always the ticker: a text that depends on what ran before would make two equal runs differ.
        return self.value

    def __repr__(self) -> str:
        return self.__str__()

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, str):
            return other == self.value or other == self.id._text
        return isinstance(other, SecurityIdentifier) and other is self.id

    # Symbols are interned, so the address is a sound hash; the C slot keeps look-ups as cheap as for plain objects.
    __hash__ = object.__hash__

    def __lt__(self, other: Symbol | str) -> bool:
        return self.value < (other if isinstance(other, str) else other.value)

    def __gt__(self, other: Symbol | str) -> bool:
        return self.value > (other if isinstance(other, str) else other.value)

    def __le__(self, other: Symbol | str) -> bool:
        return not self > other

    def __ge__(self, other: Symbol | str) -> bool:
        return not self < other

    def __copy__(self) -> NoReturn:
        raise TypeError(f"Symbol {self.value}: LEAN cannot copy or pickle a Symbol; keep str(symbol.id) instead.")

    def __deepcopy__(self, memo: dict[int, object]) -> NoReturn:
        self.__copy__()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__copy__()


def option_type_of(underlying: Symbol) -> SecurityType:
    """Return the security type of options on `underlying`; raise SymbolError when there are none."""
    found = _OPTION_TYPE_OF.get(underlying.security_type)
    if found is None:
        raise SymbolError(
            f"underlying = {underlying.value} ({underlying.security_type.name}): expected an equity, index or future."
        )
    return found


def default_option_style(security_type: SecurityType) -> OptionStyle:
    """Return European for options on an index, else American."""
    return OptionStyle.EUROPEAN if security_type is SecurityType.INDEX_OPTION else OptionStyle.AMERICAN


def is_index_option_root(ticker: str) -> bool:
    """Return whether LEAN knows `ticker` as the root of an index option."""
    return ticker.upper() in _INDEX_OF_OPTION or ticker.upper() in {"SPX", "NDX", "VIX", "RUT"}


def index_of_option_root(ticker: str) -> str:
    """Return the index an option root is written on, SPX for SPXW; the ticker itself where they are the same."""
    return _INDEX_OF_OPTION.get(ticker.upper(), ticker.upper())


def is_am_settled(symbol: Symbol) -> bool:
    """Return whether LEAN treats an index option as settled at the open."""
    return symbol.security_type is SecurityType.INDEX_OPTION and symbol.id.symbol not in _INDEX_OF_OPTION


def is_standard_contract(symbol: Symbol) -> bool:
    """Return whether LEAN counts the contract as a standard (monthly) one and not as a weekly."""
    if symbol.security_type is SecurityType.INDEX_OPTION:
        if symbol.id.market != "usa" or symbol.id.symbol not in _THIRD_FRIDAY_IS_STANDARD:
            return True
        return symbol.id.date == third_friday(symbol.id.date)
    if symbol.security_type is SecurityType.OPTION:
        # Equity options expired on Saturdays until 2015; both count (OptionSymbol.IsStandard).
        expiry = symbol.id.date
        return third_friday(expiry) == expiry or third_friday(expiry) + timedelta(days=1) == expiry
    raise SymbolError(f"symbol = {symbol.value}: expected an equity or index option; others have no weekly rule here.")


def third_friday(day: datetime) -> datetime:
    """Return the third Friday of the month of `day`, at midnight."""
    first = datetime(day.year, day.month, 1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 14)


def from_identifier(sid: SecurityIdentifier) -> Symbol:
    """Return the symbol of an identifier; its ticker is the identifier's unless it was created under another one."""
    found = _by_sid.get(sid)
    if found is not None:
        return found
    underlying = None if sid.underlying is None else from_identifier(sid.underlying)
    return _symbol(sid, sid.symbol if underlying is None else _alias(sid, underlying), underlying)


def osi_ticker(root: str, expiry: date, right: OptionRight, strike: float) -> str:
    """Return the 21-character option ticker: root padded to 6, yymmdd, C or P, strike in 8 digits of 1/1000."""
    if len(root) > 5:
        root += " "
    return f"{root:<6}{_yymmdd(expiry)}{'CP'[right]}{round(strike * 1000):08d}"


@lru_cache(maxsize=4096)
def _yymmdd(day: date) -> str:
    return f"{day:%y%m%d}"


# -- packing ----------------------------------------------------------------------------------------------------------

_identifiers: Final[dict[tuple[str, int, SecurityIdentifier | None], SecurityIdentifier]] = {}
_by_sid: Final[dict[SecurityIdentifier, Symbol]] = {}
_day_numbers: Final[dict[date, int]] = {}
_canonicals: Final[dict[tuple[Symbol, str, str], Symbol]] = {}


def _symbol(sid: SecurityIdentifier, value: str, underlying: Symbol | None) -> Symbol:
    found = _by_sid.get(sid)
    if found is None:
        found = object.__new__(Symbol)
        found.id = sid
        found.security_type = sid.security_type
        found.underlying = underlying
        found._canonical = None
        _by_sid[sid] = found
    found.value = value  # the ticker of today; an identifier outlives it
    return found


def _alias(sid: SecurityIdentifier, underlying: Symbol) -> str:
    root = underlying.value if sid.symbol == underlying.id.symbol else sid.symbol
    if sid.date is DEFAULT_DATE:
        return "?" + root
    if len(root) > 5:
        root += " "
    return osi_ticker(root, sid.date, sid.option_right, sid.strike_price)


def _pack(
    symbol: str,
    security_type: SecurityType,
    market: str,
    day: date,
    *,
    strike: float = 0.0,
    right: OptionRight = OptionRight.CALL,
    style: OptionStyle = OptionStyle.AMERICAN,
    underlying: SecurityIdentifier | None = None,
) -> SecurityIdentifier:
    code = MARKET_CODES.get(market)
    if code is None:
        raise SymbolError(f"market = {market!r}: expected a market that LEAN knows, for example 'usa'.")
    if "|" in symbol or " " in symbol or not symbol:
        raise SymbolError(f"ticker = {symbol!r}: expected a text without space or bar. Remove them.")
    days = _day_numbers.get(day)
    if days is None:
        plain = day if isinstance(day, datetime) else datetime(day.year, day.month, day.day)
        days = _day_numbers[day] = (plain - DEFAULT_DATE).days
    digits, scale = _scaled_strike(strike)
    properties = (
        right * _RIGHT_OFFSET
        + days * _DAYS_OFFSET
        + style * _STYLE_OFFSET
        + digits * _STRIKE_OFFSET
        + scale * _SCALE_OFFSET
        + code * _MARKET_OFFSET
        + security_type
    )
    return _unpack(symbol, properties, underlying)


def _unpack(symbol: str, properties: int, underlying: SecurityIdentifier | None) -> SecurityIdentifier:
    key = (symbol, properties, underlying)
    known = _identifiers.get(key)
    if known is not None:
        return known
    try:
        security_type = _SECURITY_TYPES[properties % 100]
        market = MARKET_NAMES[properties // _MARKET_OFFSET % 1_000]
    except KeyError:
        raise SymbolError(
            f"security identifier = '{symbol} {_to_base36(properties)}': expected a security type and a market that "
            "LEAN knows. Use str(symbol.id) of an existing symbol."
        ) from None
    sid = object.__new__(SecurityIdentifier)
    sid._code = properties
    sid._spelling = None
    sid.symbol = symbol
    sid.market = market
    sid.security_type = security_type
    sid.underlying = underlying
    days = properties // _DAYS_OFFSET % 100_000
    sid.date = _date_of(days)
    digits = properties // _STRIKE_OFFSET % 1_000_000
    exponent = properties // _SCALE_OFFSET % 100 - _STRIKE_SCALE
    negative = digits & _NEGATIVE_STRIKE_BIT
    digits ^= negative
    strike = float(digits * 10**exponent) if exponent >= 0 else digits / 10**-exponent
    sid.strike_price = -strike if negative else strike
    sid.option_right = _RIGHTS[properties // _RIGHT_OFFSET % 10 and 1]
    sid.option_style = _STYLES[properties // _STYLE_OFFSET % 10 and 1]
    _identifiers[key] = sid
    return sid


@lru_cache(maxsize=4096)
def _date_of(days: int) -> datetime:
    return DEFAULT_DATE + timedelta(days=days) if days else DEFAULT_DATE


@lru_cache(maxsize=8192)
def _scaled_strike(strike: float) -> tuple[int, int]:
    if strike == 0.0:
        return 0, 0
    micros = round(strike * 1_000_000)
    if micros == 0 or abs(micros / 1_000_000 - strike) > 1e-9 * max(1.0, abs(strike)):
        raise SymbolError(f"strike = {strike!r}: expected at most six decimals. Round it to the strike grid.")
    scale = 0
    while micros % 10 == 0:
        micros //= 10
        scale += 1
    size = abs(micros)
    if size >= _STRIKE_LIMIT:
        raise SymbolError(f"strike = {strike!r}: expected significant digits below {_STRIKE_LIMIT}, LEAN's limit.")
    return (size | _NEGATIVE_STRIKE_BIT if micros < 0 else size), scale


def _to_base36(number: int) -> str:
    out = ""
    while number:
        number, pair = divmod(number, 1296)
        out = _PAIRS[pair] + out
    return out.lstrip("0") or "0"


def _from_base36(text: str, whole: str) -> int:
    try:
        number = int(text, 36)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 64 or text.startswith(("+", "-")):
        raise SymbolError(
            f"security identifier = {whole!r}: expected a base 36 code and found {text!r}. Use str(symbol.id)."
        )
    return number


def option_on(canonical: Symbol, right: int, strike: float, expiry_ordinal: int) -> Symbol:
    """Return a contract of a chain; expiry_ordinal is `date.toordinal()`.  Made for the day's universe, hence terse."""
    underlying = canonical.underlying
    if underlying is None:
        raise SymbolError(f"symbol = {canonical.value}: expected a canonical option such as ?SPXW.")
    return Symbol.option(
        underlying,
        _RIGHTS[right],
        strike,
        datetime.fromordinal(expiry_ordinal),
        ticker=canonical.id.symbol,
        style=canonical.id.option_style,
        market=canonical.id.market,
    )
