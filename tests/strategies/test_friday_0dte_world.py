"""The Friday condor in a whole run: what only shows when quotes change while orders are at work."""

from __future__ import annotations

from core.trade_machine import TradeState
from tests.world import PUT, SHORT_PUT, SPX, World, contract, minute


def sold_at_the_first_offer(world: World) -> None:
    """Quiet quotes, then a bar that takes the offer."""
    world.condor(mid=2.70, half=0.40)
    world.quote(SHORT_PUT, PUT, 3.2, 3.4, since="10:31", until="10:31")


def test_f0_11_a_wing_that_loses_its_bid_on_the_way_out_is_left_out_of_the_next_order() -> None:
    world = World(prepare=sold_at_the_first_offer).run("10:40")
    assert world.states()[-1] == TradeState.OPEN.value
    # The short put runs away from every close, so that the first orders stay at work.
    for step, at in enumerate(range(minute("15:29"), minute("15:46"))):
        clock = f"{at // 60}:{at % 60:02d}"
        world.quote(SHORT_PUT, PUT, 3.0 + 0.3 * step, 3.4 + 0.3 * step, since=clock, until=clock)
    world.quote(SHORT_PUT - 10, PUT, None, 0.05, since="15:33")
    world.run("15:58")

    wing = contract(SHORT_PUT - 10, PUT).value
    closings = [record for record in world.records("ORDER_INTENT") if record["purpose"] != "OPEN"]
    orders = [(record["at"], wing in {leg["symbol"] for leg in record["legs"]}) for record in closings]
    assert orders[:4] == [("15:30", True), ("15:31", True), ("15:32", True), ("15:33", False)]
    assert not any(has_wing for at, has_wing in orders if at > "15:32")
    assert world.trade.legs == {wing: 1}
    assert world.states()[-1] == TradeState.SETTLING.value


def test_fr_p1_an_index_without_a_fresh_price_stops_the_entry_at_the_data_gate() -> None:
    def index_falls_silent(world: World) -> None:
        world.condor(mid=2.70, half=0.40)
        for at in range(minute("10:30"), minute("10:36")):
            world.source.remove_bar(SPX, world.day, at)

    world = World(prepare=index_falls_silent).run("10:36")
    refused = [(record["at"], record["gate"], record["reason"]) for record in world.records("VERDICT")][:6]
    assert refused == [(f"10:{n}", "data", "QUOTE_STALE") for n in range(30, 36)]
    assert [at for at, _limit in world.limits("OPEN")] == ["10:36"]
