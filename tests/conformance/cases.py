"""The conformance cases: which algorithm, with which parameters, and which of them run on LEAN in the normal suite."""

from __future__ import annotations

from tests.conformance.harness import Case

_WEEK = {"end": "2024-12-03"}
_BROKERAGES = ("default", "ib", "tastytrade", "schwab")
_FAILURES = (
    "initialize", "on_data", "schedule", "on_order_event", "on_securities_changed", "on_end_of_algorithm", "quit",
)  # fmt: skip


def _case(algorithm: str, variant: str, **parameters: str) -> Case:
    return Case(algorithm=algorithm, parameters=parameters, name=f"{algorithm}-{variant}")


CASES = (
    *(_case("combos", name, brokerage=name) for name in _BROKERAGES),
    *(_case("equities", name, brokerage=name, end="2024-12-02") for name in _BROKERAGES),
    _case("equities", "cash", account="cash", end="2024-12-02"),
    _case("expiry", "null", **_WEEK),
    _case("expiry", "assigned", assignment="default", **_WEEK),
    _case("expiry", "ib", brokerage="ib", **_WEEK),
    _case("expiry", "good_friday", start="2025-04-16", end="2025-04-22"),
    *(_case("margins", name, brokerage=name) for name in _BROKERAGES),
    _case("trading_day", "sparse", end="2024-12-02"),
    _case("trading_day", "filled", fill="on", end="2024-11-26"),
    *(_case("universe", name, filter=name, **_WEEK) for name in ("today", "days", "calls", "puts", "none", "default")),
    *(_case("warm_up", name, how=name, start="2024-11-26") for name in ("days", "sessions")),
    _case("edges", "plain", words="abc", whole="7", part="2.5", end="2024-11-25", **{"a.b.c": "x"}),
    *(_case("edges", name, fails=name, words="abc", whole="7", part="2.5", end="2024-11-25", **{"a.b.c": "x"})
      for name in _FAILURES),
)  # fmt: skip
QUICK = frozenset({
    "combos-ib", "combos-tastytrade", "equities-ib", "equities-cash", "expiry-null", "expiry-good_friday",
    "margins-ib", "trading_day-sparse", "universe-days", "warm_up-days", "edges-on_data",
})  # fmt: skip
"""Those that LEAN itself repeats in the normal suite, some four seconds each; the others run with `--full`."""
