"""The conformance cases: which algorithm, with which parameters, and which of them run on LEAN in the normal suite."""

from __future__ import annotations

from dataclasses import replace

from tests.conformance.harness import Case

_WEEK = {"end": "2024-12-03"}
_BROKERAGES = ("default", "ib", "tastytrade", "schwab")
_FAILURES = (
    "initialize", "on_warmup_finished", "on_data", "schedule", "on_order_event", "on_securities_changed",
    "on_delistings", "on_splits", "on_end_of_algorithm", "exit", "quit",
)  # fmt: skip
# Files that cases lack: the universe of the first day is that of the second one.
_UNIVERSE = "indexoption/usa/universes/spxw/20241125.csv"
_QUOTES = "indexoption/usa/minute/spxw/20241126_quote_european.zip"
_INDEX = "index/usa/minute/spx/20241125_trade.zip"
_SHARE = "equity/usa/minute/spy/20241125_trade.zip"
_SHARE_QUOTES = "equity/usa/minute/spy/20241125_quote.zip"


def _case(algorithm: str, variant: str, **parameters: str) -> Case:
    return Case(algorithm=algorithm, parameters=parameters, name=f"{algorithm}-{variant}")


def _without(path: str, algorithm: str, variant: str, **parameters: str) -> Case:
    return replace(_case(algorithm, variant, **parameters), without=(path,))


CASES = (
    *(_case("combos", name, brokerage=name) for name in _BROKERAGES),
    *(_case("equities", name, brokerage=name, end="2024-12-02") for name in _BROKERAGES),
    _case("equities", "cash", account="cash", end="2024-12-02"),
    _case("expiry", "null", **_WEEK),
    _case("expiry", "assigned", assignment="default", **_WEEK),
    _case("expiry", "ib", brokerage="ib", **_WEEK),
    _case("expiry", "good_friday", start="2025-04-16", end="2025-04-22"),
    *(_case(algorithm, "clocks", start="2025-03-07", end="2025-03-11") for algorithm in ("expiry", "trading_day")),
    _case("history", "clocks", start="2025-03-07", end="2025-03-11"),
    *(_case("margins", name, brokerage=name) for name in _BROKERAGES),
    _case("trading_day", "sparse", end="2024-12-02"),
    _case("trading_day", "filled", fill="on", end="2024-11-26"),
    *(_case("universe", name, filter=name, **_WEEK) for name in ("today", "days", "calls", "puts", "none", "default")),
    *(_case("warm_up", name, how=name, start="2024-11-26") for name in ("days", "sessions", "bars")),
    *(_case("wander", f"{name}_{seed}", brokerage=name, seed=str(seed), cash="100000000", end="2024-11-29")
      for seed, name in enumerate(_BROKERAGES, 1)),
    _case("touch", "plain", end="2024-11-25"),
    _case("resting", "plain", end="2024-11-27"),
    *(_case("replies", name, brokerage=name) for name in ("default", "schwab")),
    *(_case("half_day", name, brokerage=name, start="2024-11-29", end="2024-12-02") for name in ("default", "ib")),
    *(_case("gaps", name, brokerage=name, start="2024-11-26") for name in ("default", "ib")),
    _case("history", "plain", end="2024-12-02"),
    _case("corporate", "raw", end="2024-12-02"),
    _case("surface", "plain"),
    _case("surface", "seeded", seed="on"),
    _case("margin_call", "called", cash="1500"),
    _case("margin_call", "warned", cash="1600"),
    _case("margin_call", "reduced", cash="3000", size="2"),
    _case("margins", "cash", account="cash"),
    _case("combos", "cash", account="cash", brokerage="ib"),
    _case("trading_day", "traded", start="2024-12-02", end="2024-12-02"),
    _case("option_trades", "sparse", start="2024-12-02", end="2024-12-03"),
    _case("option_trades", "filled", fill="on", start="2024-12-02", end="2024-12-03"),
    *(_without(path, algorithm, variant, end="2024-11-27")
      for variant, path in (("no_universe", _UNIVERSE), ("no_quotes", _QUOTES))
      for algorithm in ("trading_day", "expiry")),
    _without(_INDEX, "trading_day", "no_index", end="2024-11-26"),
    _without(_INDEX, "surface", "no_index"),
    _without(_SHARE, "trading_day", "no_share", end="2024-11-26"),
    _without(_SHARE, "equities", "no_trades", end="2024-11-26"),
    _without(_SHARE_QUOTES, "equities", "no_quotes", end="2024-11-26"),
    _case("edges", "plain", words="abc", whole="7", part="2.5", end="2024-11-25", **{"a.b.c": "x"}),
    *(_case("edges", name, fails=name, words="abc", whole="7", part="2.5", **{"a.b.c": "x"},
            end="2024-11-27" if name == "on_splits" else "2024-11-25") for name in _FAILURES),
)  # fmt: skip
SAMPLE_CASES = (
    _case("sample", "week", start="2021-01-04", end="2021-01-11", brokerage="ib"),
    _case("sample", "week_tastytrade", start="2021-01-04", end="2021-01-11", brokerage="tastytrade"),
    _case("sample", "june", start="2023-06-26", end="2023-07-05", brokerage="schwab"),
    _case("sample", "shares", start="2013-10-04", end="2013-10-11", brokerage="ib"),
)
"""Cases over LEAN's own sample data, which is not part of this project."""
QUICK = frozenset({
    "combos-ib", "combos-tastytrade", "equities-ib", "equities-cash", "expiry-null", "expiry-good_friday",
    "margins-ib", "replies-default", "surface-plain", "trading_day-sparse", "universe-days", "warm_up-days",
    "edges-on_data",
})  # fmt: skip
"""Those that LEAN itself repeats in the normal suite, some four seconds each; the others run with `--full`."""
