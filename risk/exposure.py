"""What a trade holds and what its working opening may still add, as every limit counts it.

Exposure is made anew from the books whenever it is asked for: there is no reservation to clean up.  An opening counts
in full from its INTENT on; what is filled moves from "to come" to "held".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from core.vocabulary import U6, Instrument, Structure, StructureName

if TYPE_CHECKING:
    from core.books import Books
    from core.trades import Trade

Holding = tuple[Instrument, int]


@dataclass(frozen=True, slots=True)
class Exposure:
    """One trade: held contracts, the cash they brought in (USD, + received), and units that may still fill.

    risk is what all of it can lose by the figures it was approved with; pending risk and margin are the part to come.
    """

    trade: str
    strategy: str
    structure: Structure
    held: tuple[Holding, ...]
    entry_cash_usd: float
    risk_usd: float
    pending_units: int
    pending_risk_usd: float
    pending_margin_usd: float

    @property
    def is_flat(self) -> bool:
        return not self.held and self.pending_units == 0

    def ends_on(self, day: date) -> bool:
        """Tell whether the trade must be flat by tonight: every contract expires on that day, or it is the rotation
        book's shares.
        """
        return self.structure.expiries == (day,) or self.structure.name is StructureName.SHARES


def exposure_of(trade: Trade, books: Books) -> Exposure:
    """Return what one trade holds and may still hold."""
    held = tuple((books.instrument(symbol), qty) for symbol, qty in sorted(trade.legs.items()) if qty)
    pending = max(0, trade.pending_units)
    share = pending / trade.approved_units
    # An unbalanced trade counts with its longest leg: what is missing may still come, or must be bought back.
    units = max((abs(trade.legs.get(leg.symbol, 0)) / abs(leg.ratio) for leg in trade.structure.legs), default=0.0)
    risk_usd = trade.risk_u6 / U6
    return Exposure(
        trade=trade.id,
        strategy=trade.strategy,
        structure=trade.structure,
        held=held,
        entry_cash_usd=trade.entry_cash_u6 / U6,
        risk_usd=risk_usd * min(1.0, units / trade.approved_units + share),
        pending_units=pending,
        pending_risk_usd=risk_usd * share,
        pending_margin_usd=trade.margin_u6 / U6 * share,
    )
