"""What `from AlgorithmImports import *` gives an algorithm here: LEAN's names, as far as this engine has them.

Like LEAN's file it also binds the standard library's names that algorithms expect (`time` is `datetime.time`).  pandas
is only imported when somebody uses `pd`.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from datetime import date, datetime, time, timedelta
from types import ModuleType
from typing import Any

import numpy as np

from engine.algorithm import (
    BrokerageModelSecurityInitializer,
    FuncSecuritySeeder,
    QCAlgorithm,
    SecurityChanges,
    SecuritySeeder,
)
from engine.charts import Chart, ScatterMarkerSymbol, Series, SeriesType
from engine.enums import (
    AccountType,
    AlgorithmMode,
    AlgorithmStatus,
    BrokerageName,
    DataMappingMode,
    DataNormalizationMode,
    DayOfWeek,
    DelistingType,
    DeploymentTarget,
    Market,
    MarketDataType,
    OptionRight,
    OptionStyle,
    OrderDirection,
    OrderPosition,
    OrderStatus,
    OrderType,
    Resolution,
    SecurityType,
    SettlementType,
    SplitType,
    TickType,
)
from engine.holdings import SecurityHolding
from engine.market_bars import Bar, Delisting, Dividend, QuoteBar, Split, TradeBar
from engine.models.brokerage import (
    CharlesSchwabBrokerageModel,
    DefaultBrokerageModel,
    InteractiveBrokersBrokerageModel,
    TastytradeBrokerageModel,
)
from engine.models.expiry import DefaultOptionAssignmentModel, NullOptionAssignmentModel
from engine.models.fees import (
    CharlesSchwabFeeModel,
    ConstantFeeModel,
    InteractiveBrokersFeeModel,
    TastytradeFeeModel,
)
from engine.models.security_margin import SecurityMarginModel
from engine.option_chain import OptionChain, OptionChains, OptionContract
from engine.option_security import Option
from engine.orders import (
    CharlesSchwabOrderProperties,
    GroupOrderManager,
    InteractiveBrokersOrderProperties,
    Leg,
    Order,
    OrderEvent,
    OrderFee,
    OrderField,
    OrderProperties,
    TastytradeOrderProperties,
    TimeInForce,
    UpdateOrderFields,
)
from engine.schedule import FuncTimeRule, ScheduledEvent
from engine.securities import Equity, Index, Security
from engine.slice import Delistings, Dividends, Slice, Splits
from engine.slice_bars import QuoteBars, TradeBars
from engine.symbols import SecurityIdentifier, Symbol
from engine.tickets import OrderResponse, OrderResponseErrorCode, OrderTicket, SubmitOrderRequest
from engine.trading import PortfolioTarget


class TimeZones:
    """Zone names that `set_time_zone` and time rules take."""

    NEW_YORK = "America/New_York"
    CHICAGO = "America/Chicago"
    UTC = "UTC"


class _Lazy(ModuleType):
    """A module that is imported at its first use."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


pd = _Lazy("pandas")
