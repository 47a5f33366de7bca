"""What each brokerage can do with what this project sends: the table of docs/live.md, from the program's own tables."""

from __future__ import annotations

from core.ports import OrderType
from core.settings import Brokerage
from core.vocabulary import Kind
from helpers.brokerages import CAPABILITIES, FEE_RESERVE_USD, missing_capabilities, share_fee_bound_u6
from strategies.etf_rotation import EtfRotation
from strategies.friday_0dte import Friday0dte

_STRATEGIES = (("Friday 0DTE", Friday0dte.order_types), ("ETF rotation", EtfRotation.order_types))
_ORDER_TYPES = (
    (OrderType.COMBO_LIMIT, "combo limit"),
    (OrderType.LIMIT, "limit"),
    (OrderType.MARKET, "market"),
    (OrderType.MARKET_ON_CLOSE, "market on close"),
)
_SHARES = 1_000


def capability_rows() -> list[tuple[str, ...]]:
    """Return the head and one row for each brokerage."""
    head = ("brokerage", "`account.brokerage`", *(text for _type, text in _ORDER_TYPES), "options", "shares",
            *(name for name, _types in _STRATEGIES), f"fee of {_SHARES:,} shares at most")  # fmt: skip
    rows = [head]
    for brokerage in Brokerage:
        known = CAPABILITIES[brokerage]
        cells = [known.name, f"`{brokerage.value}`"]
        cells += [_word(kind in known.order_types) for kind, _text in _ORDER_TYPES]
        cells += [_word(kind.value in known.instruments) for kind in (Kind.OPTION, Kind.SHARE)]
        for _name, needed in _STRATEGIES:
            missing = missing_capabilities(brokerage, needed)
            cells.append(f"refused: no {', '.join(missing)}" if missing else "trades")
        cells.append(f"${share_fee_bound_u6(brokerage, _SHARES) / 1e6:,.2f}")
        rows.append(tuple(cells))
    return rows


def capability_table() -> str:
    """Return the table in Markdown, and the sentence about option fees below it."""
    head, *rows = capability_rows()
    lines = ["| " + " | ".join(row) + " |" for row in (head, tuple("---" for _ in head), *rows)]
    reserve = FEE_RESERVE_USD["SPXW"]
    sentence = f"Sizes keep ${reserve:.2f} a contract and side in reserve for SPXW, whatever the brokerage charges."
    return "\n".join([*lines, "", sentence])


def _word(is_there: bool) -> str:
    return "yes" if is_there else "no"
