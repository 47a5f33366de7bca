"""Every reason that a refusal, an exit or a close can carry, each with one category.

One enum for the whole system, so that a reason cannot be misspelt and the funnel can be summed by category.
Names and owners: the R: lines of the risk rules and of each strategy.
"""

from __future__ import annotations

from enum import StrEnum


class Category(StrEnum):
    """Where a reason comes from: ours (INTEGRATION, STATE), the clock, the data, a limit, or the market itself."""

    INTEGRATION = "INTEGRATION"
    TIMING = "TIMING"
    DATA = "DATA"
    STATE = "STATE"
    LIMIT = "LIMIT"
    MARKET = "MARKET"


class Reason(StrEnum):
    """Why something was allowed, refused or ended. The value is what the ledger writes."""

    category: Category

    def __new__(cls, name: str, category: Category = Category.STATE) -> Reason:
        member = str.__new__(cls, name)
        member._value_ = name
        member.category = category
        return member

    ALLOWED = "ALLOWED", Category.STATE

    # trading state, components, lifecycle
    EQUITY_UNKNOWN = "EQUITY_UNKNOWN", Category.DATA
    EQUITY_DISPUTED = "EQUITY_DISPUTED", Category.DATA
    STATE_REDUCING = "STATE_REDUCING", Category.STATE
    STATE_HALTED = "STATE_HALTED", Category.STATE
    COMPONENT_NOT_READY = "COMPONENT_NOT_READY", Category.INTEGRATION
    SELF_TEST_FAILED = "SELF_TEST_FAILED", Category.INTEGRATION
    CAPABILITY_MISSING = "CAPABILITY_MISSING", Category.INTEGRATION
    WARMING_UP = "WARMING_UP", Category.TIMING
    STRATEGY_LOCKED = "STRATEGY_LOCKED", Category.STATE
    STRATEGY_DISABLED = "STRATEGY_DISABLED", Category.STATE
    SYMBOL_LOCKED = "SYMBOL_LOCKED", Category.STATE
    LEDGER_NOT_DURABLE = "LEDGER_NOT_DURABLE", Category.INTEGRATION
    STRATEGY_ERROR = "STRATEGY_ERROR", Category.INTEGRATION

    # clock
    SESSION_PHASE = "SESSION_PHASE", Category.TIMING
    NOT_TRADING_DAY = "NOT_TRADING_DAY", Category.TIMING
    OPEN_PRICE_PENDING = "OPEN_PRICE_PENDING", Category.DATA
    OPEN_PRICE_UNKNOWN = "OPEN_PRICE_UNKNOWN", Category.DATA
    OUTSIDE_WINDOW = "OUTSIDE_WINDOW", Category.TIMING

    # data
    QUOTE_HALTED = "QUOTE_HALTED", Category.MARKET
    QUOTE_MISSING = "QUOTE_MISSING", Category.DATA
    QUOTE_STALE = "QUOTE_STALE", Category.DATA
    QUOTE_NO_BID = "QUOTE_NO_BID", Category.MARKET
    QUOTE_CROSSED = "QUOTE_CROSSED", Category.DATA
    QUOTE_LOCKED = "QUOTE_LOCKED", Category.DATA
    QUOTE_WIDE = "QUOTE_WIDE", Category.MARKET
    FEED_SILENT = "FEED_SILENT", Category.DATA
    BROKER_SILENT = "BROKER_SILENT", Category.DATA
    EXPIRY_NOT_LISTED = "EXPIRY_NOT_LISTED", Category.DATA
    UNIVERSE_MISSING = "UNIVERSE_MISSING", Category.DATA
    CHAIN_EMPTY = "CHAIN_EMPTY", Category.DATA
    CHAIN_TOO_THIN = "CHAIN_TOO_THIN", Category.DATA
    COMBO_TOO_WIDE = "COMBO_TOO_WIDE", Category.MARKET
    PRIOR_CLOSE_MISSING = "PRIOR_CLOSE_MISSING", Category.DATA
    HISTORY_SHORT = "HISTORY_SHORT", Category.DATA

    # VIX
    VIX_UNKNOWN = "VIX_UNKNOWN", Category.DATA
    VIX_STALE = "VIX_STALE", Category.DATA
    VIX_SUSPECT = "VIX_SUSPECT", Category.DATA
    VIX_CRISIS = "VIX_CRISIS", Category.LIMIT
    VIX_PANIC = "VIX_PANIC", Category.LIMIT
    VIX_WINDOW = "VIX_WINDOW", Category.MARKET
    VIX_COMPLACENT = "VIX_COMPLACENT", Category.LIMIT
    TERM_STRUCTURE = "TERM_STRUCTURE", Category.MARKET

    # events
    EVENT_FOMC = "EVENT_FOMC", Category.TIMING
    EVENT_CPI = "EVENT_CPI", Category.TIMING
    EVENT_NFP = "EVENT_NFP", Category.TIMING

    # strategies
    ALREADY_TRADED = "ALREADY_TRADED", Category.STATE
    ATTEMPTS_USED = "ATTEMPTS_USED", Category.STATE
    ATTEMPT_SPACING = "ATTEMPT_SPACING", Category.TIMING
    ENTRY_WORKING = "ENTRY_WORKING", Category.STATE
    MAX_OPEN = "MAX_OPEN", Category.LIMIT
    PHASE_LOCKED = "PHASE_LOCKED", Category.LIMIT
    NO_EXPIRY_IN_WINDOW = "NO_EXPIRY_IN_WINDOW", Category.MARKET
    NO_STRIKE_IN_BAND = "NO_STRIKE_IN_BAND", Category.MARKET
    WING_MISSING = "WING_MISSING", Category.MARKET
    CONTRACT_IN_OTHER_BOOK = "CONTRACT_IN_OTHER_BOOK", Category.STATE
    CREDIT_TOO_SMALL = "CREDIT_TOO_SMALL", Category.MARKET
    CREDIT_TOO_RICH = "CREDIT_TOO_RICH", Category.MARKET
    FEES_TOO_HIGH = "FEES_TOO_HIGH", Category.MARKET
    NAKED_NOT_APPROVED = "NAKED_NOT_APPROVED", Category.LIMIT
    GAP_TOO_LARGE = "GAP_TOO_LARGE", Category.MARKET
    MOVE_TOO_LARGE = "MOVE_TOO_LARGE", Category.MARKET

    # concentration, breaker, phases, margin
    CONC_DELTA = "CONC_DELTA", Category.LIMIT
    CONC_RISK = "CONC_RISK", Category.LIMIT
    CONC_ALLOCATION = "CONC_ALLOCATION", Category.LIMIT
    CONC_STRATEGIES = "CONC_STRATEGIES", Category.LIMIT
    UNKNOWN_BETA = "UNKNOWN_BETA", Category.INTEGRATION
    GREEKS_UNKNOWN = "GREEKS_UNKNOWN", Category.DATA
    BREAKER_DAILY = "BREAKER_DAILY", Category.LIMIT
    BREAKER_WEEKLY = "BREAKER_WEEKLY", Category.LIMIT
    BREAKER_MONTHLY = "BREAKER_MONTHLY", Category.LIMIT
    BREAKER_INTRADAY = "BREAKER_INTRADAY", Category.LIMIT
    BREAKER_RAPID = "BREAKER_RAPID", Category.LIMIT
    BREAKER_STREAK = "BREAKER_STREAK", Category.LIMIT
    BREAKER_LOSS_RATE = "BREAKER_LOSS_RATE", Category.LIMIT
    BREAKER_RECOVERY = "BREAKER_RECOVERY", Category.LIMIT
    PHASE_TRADES = "PHASE_TRADES", Category.LIMIT
    PHASE_SESSION = "PHASE_SESSION", Category.LIMIT
    PHASE_POSITION = "PHASE_POSITION", Category.LIMIT
    MARGIN_CEILING = "MARGIN_CEILING", Category.LIMIT
    MARGIN_PER_TRADE = "MARGIN_PER_TRADE", Category.LIMIT
    MARGIN_STRESS = "MARGIN_STRESS", Category.LIMIT
    MARGIN_RESTRICTED = "MARGIN_RESTRICTED", Category.LIMIT
    MARGIN_BLOCKED = "MARGIN_BLOCKED", Category.LIMIT

    # size
    SIZE_ZERO_RISK = "SIZE_ZERO_RISK", Category.LIMIT
    SIZE_ZERO_CRASH = "SIZE_ZERO_CRASH", Category.LIMIT
    SIZE_ZERO_MARGIN = "SIZE_ZERO_MARGIN", Category.LIMIT
    SIZE_ZERO_STRESS = "SIZE_ZERO_STRESS", Category.LIMIT
    SIZE_ZERO_PHASE = "SIZE_ZERO_PHASE", Category.LIMIT
    SIZE_ZERO_DELTA = "SIZE_ZERO_DELTA", Category.LIMIT
    STRATEGY_CAP = "STRATEGY_CAP", Category.LIMIT
    ENTRY_SPACING = "ENTRY_SPACING", Category.TIMING
    DEFENSIVE_EXIT = "DEFENSIVE_EXIT", Category.STATE

    # orders
    DENIED_DUPLICATE = "DENIED_DUPLICATE", Category.INTEGRATION
    DENIED_STATE = "DENIED_STATE", Category.STATE
    DENIED_NOT_REDUCING = "DENIED_NOT_REDUCING", Category.INTEGRATION
    DENIED_SIZE = "DENIED_SIZE", Category.INTEGRATION
    DENIED_STRUCTURE = "DENIED_STRUCTURE", Category.INTEGRATION
    DENIED_COLLAR = "DENIED_COLLAR", Category.LIMIT
    DENIED_CROSS = "DENIED_CROSS", Category.STATE
    THROTTLED = "THROTTLED", Category.LIMIT
    NO_FILL = "NO_FILL", Category.MARKET

    # reconciliation
    BREAK_QTY = "BREAK_QTY", Category.STATE
    BREAK_SIGN = "BREAK_SIGN", Category.STATE
    BREAK_FOREIGN = "BREAK_FOREIGN", Category.STATE
    BREAK_CASH = "BREAK_CASH", Category.STATE

    # exits
    EXIT_TARGET = "EXIT_TARGET", Category.MARKET
    EXIT_STOP = "EXIT_STOP", Category.MARKET
    EXIT_TIME = "EXIT_TIME", Category.TIMING
    EXIT_FLATTEN = "EXIT_FLATTEN", Category.TIMING
    EXIT_DTE = "EXIT_DTE", Category.TIMING
    EXIT_VIX = "EXIT_VIX", Category.MARKET
    EXIT_DELTA = "EXIT_DELTA", Category.MARKET
    EXIT_DISTANCE = "EXIT_DISTANCE", Category.MARKET
    EXIT_ASSIGNMENT = "EXIT_ASSIGNMENT", Category.MARKET
    EXIT_RISK = "EXIT_RISK", Category.LIMIT
    EXIT_EMERGENCY = "EXIT_EMERGENCY", Category.LIMIT
    EXIT_OPERATOR = "EXIT_OPERATOR", Category.STATE
    UNPRICED = "UNPRICED", Category.DATA
    EXPIRED = "EXPIRED", Category.TIMING


EXIT_PRIORITY: tuple[Reason, ...] = (
    Reason.EXIT_OPERATOR,
    Reason.EXIT_EMERGENCY,
    Reason.EXIT_FLATTEN,
    Reason.EXIT_TIME,
    Reason.EXIT_ASSIGNMENT,
    Reason.EXIT_STOP,
    Reason.UNPRICED,
    Reason.EXIT_DISTANCE,
    Reason.EXIT_DELTA,
    Reason.EXIT_DTE,
    Reason.EXIT_VIX,
    Reason.EXIT_RISK,
    Reason.EXIT_TARGET,
)
"""Universal order of exits; the first true one wins (strategies, universal rule 1)."""
