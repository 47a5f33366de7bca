"""LEAN's enumerations, with LEAN's numbers, under the names Python algorithms use.

The numbers matter: they are part of security identifiers, of result files and of comparisons such as `status == 3`.
Markets are plain lower-case text in LEAN, so `Market` holds text and the number that security identifiers carry.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class LeanEnum(IntEnum):
    """A number that prints as its name, as LEAN's enumerations do in Python."""

    def __str__(self) -> str:
        return self.name

    def __format__(self, spec: str) -> str:
        return format(self.name, spec)


class Resolution(LeanEnum):
    """Period of a bar; TICK and SECOND exist for comparisons only, this engine reads minutes and days."""

    TICK = 0
    SECOND = 1
    MINUTE = 2
    HOUR = 3
    DAILY = 4


class SecurityType(LeanEnum):
    """Asset class; the number is the last two digits of a security identifier's properties."""

    BASE = 0
    EQUITY = 1
    OPTION = 2
    COMMODITY = 3
    FOREX = 4
    FUTURE = 5
    CFD = 6
    CRYPTO = 7
    FUTURE_OPTION = 8
    INDEX = 9
    INDEX_OPTION = 10
    CRYPTO_FUTURE = 11

    @property
    def is_option(self) -> bool:
        """Return whether contracts of this class have strike, right and expiry."""
        return self in _OPTION_TYPES

    @property
    def folder(self) -> str:
        """Return the first part of a path inside a LEAN data folder."""
        return self.name.replace("_", "").lower()


_OPTION_TYPES: Final = frozenset({SecurityType.OPTION, SecurityType.FUTURE_OPTION, SecurityType.INDEX_OPTION})


class OptionRight(LeanEnum):
    CALL = 0
    PUT = 1


class OptionStyle(LeanEnum):
    AMERICAN = 0
    EUROPEAN = 1


class TickType(LeanEnum):
    TRADE = 0
    QUOTE = 1
    OPEN_INTEREST = 2


class MarketDataType(LeanEnum):
    BASE = 0
    TRADE_BAR = 1
    TICK = 2
    AUXILIARY = 3
    QUOTE_BAR = 4
    OPTION_CHAIN = 5
    FUTURES_CHAIN = 6


class OrderStatus(LeanEnum):
    """Note the gaps: LEAN has no 4."""

    NEW = 0
    SUBMITTED = 1
    PARTIALLY_FILLED = 2
    FILLED = 3
    CANCELED = 5
    NONE = 6
    INVALID = 7
    CANCEL_PENDING = 8
    UPDATE_SUBMITTED = 9


class OrderType(LeanEnum):
    MARKET = 0
    LIMIT = 1
    STOP_MARKET = 2
    STOP_LIMIT = 3
    MARKET_ON_OPEN = 4
    MARKET_ON_CLOSE = 5
    OPTION_EXERCISE = 6
    LIMIT_IF_TOUCHED = 7
    COMBO_MARKET = 8
    COMBO_LIMIT = 9
    COMBO_LEG_LIMIT = 10
    TRAILING_STOP = 11


class DayOfWeek(LeanEnum):
    """.NET's days of the week, which date rules take."""

    SUNDAY = 0
    MONDAY = 1
    TUESDAY = 2
    WEDNESDAY = 3
    THURSDAY = 4
    FRIDAY = 5
    SATURDAY = 6


class OrderDirection(LeanEnum):
    BUY = 0
    SELL = 1
    HOLD = 2


class OrderPosition(LeanEnum):
    BUY_TO_OPEN = 0
    BUY_TO_CLOSE = 1
    SELL_TO_OPEN = 2
    SELL_TO_CLOSE = 3


class PositionSide(LeanEnum):
    SHORT = -1
    NONE = 0
    LONG = 1


class AccountType(LeanEnum):
    MARGIN = 0
    CASH = 1


class SettlementType(LeanEnum):
    PHYSICAL_DELIVERY = 0
    CASH = 1


class DelistingType(LeanEnum):
    WARNING = 0
    DELISTED = 1


class SplitType(LeanEnum):
    WARNING = 0
    SPLIT_OCCURRED = 1


class DataNormalizationMode(LeanEnum):
    RAW = 0
    ADJUSTED = 1
    SPLIT_ADJUSTED = 2
    TOTAL_RETURN = 3
    FORWARD_PANAMA_CANAL = 4
    BACKWARDS_PANAMA_CANAL = 5
    BACKWARDS_RATIO = 6
    SCALED_RAW = 7


class DataMappingMode(LeanEnum):
    LAST_TRADING_DAY = 0
    FIRST_DAY_MONTH = 1
    OPEN_INTEREST = 2
    OPEN_INTEREST_ANNUAL = 3


class DeploymentTarget(LeanEnum):
    CLOUD_PLATFORM = 0
    LOCAL_PLATFORM = 1
    PRIVATE_CLOUD_PLATFORM = 2


class AlgorithmMode(LeanEnum):
    LIVE = 0
    OPTIMIZATION = 1
    BACKTESTING = 2
    RESEARCH = 3


class AlgorithmStatus(LeanEnum):
    DEPLOY_ERROR = 0
    IN_QUEUE = 1
    RUNNING = 2
    STOPPED = 3
    LIQUIDATED = 4
    DELETED = 5
    COMPLETED = 6
    RUNTIME_ERROR = 7
    INVALID = 8
    LOGGING_IN = 9
    INITIALIZING = 10
    HISTORY = 11
    PENDING_INPUT = 12
    IDLE = 13


class BrokerageName(LeanEnum):
    """The brokerages this engine models, and LEAN's numbers for them."""

    DEFAULT = 0
    QUANT_CONNECT_BROKERAGE = 0
    INTERACTIVE_BROKERS_BROKERAGE = 1
    TRADIER_BROKERAGE = 2
    ALPACA = 13
    CHARLES_SCHWAB = 35
    TASTYTRADE = 36


class Market:
    """Market names as they stand in paths and in `Symbol.id.market`."""

    USA: Final = "usa"
    CBOE: Final = "cboe"
    CME: Final = "cme"
    CBOT: Final = "cbot"
    CFE: Final = "cfe"
    COMEX: Final = "comex"
    NYMEX: Final = "nymex"
    ICE: Final = "ice"
    EUREX: Final = "eurex"
    HKFE: Final = "hkfe"
    INDIA: Final = "india"
    OSE: Final = "ose"
    OANDA: Final = "oanda"
    FXCM: Final = "fxcm"
    INTERACTIVE_BROKERS: Final = "interactivebrokers"


# Numbers of Common/Market.cs; a security identifier holds the number.
MARKET_CODES: Final[dict[str, int]] = {
    "empty": 0, "usa": 1, "fxcm": 2, "oanda": 3, "dukascopy": 4, "bitfinex": 5, "cmeglobex": 6, "nymex": 7, "cbot": 8,
    "ice": 9, "cboe": 10, "india": 11, "kraken": 13, "bittrex": 14, "bithumb": 15, "binance": 16, "poloniex": 17,
    "coinone": 18, "hitbtc": 19, "okcoin": 20, "bitstamp": 21, "comex": 22, "cme": 23, "sgx": 24, "hkfe": 25,
    "nyseliffe": 26, "cfe": 33, "ftx": 34, "ftxus": 35, "binanceus": 36, "bybit": 37, "coinbase": 38,
    "interactivebrokers": 39, "eurex": 40, "ose": 41, "dydx": 42, "krx": 43,
}  # fmt: skip
MARKET_NAMES: Final[dict[int, str]] = {code: name for name, code in MARKET_CODES.items()}
