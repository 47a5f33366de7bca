"""What the ledger says of each minute, over the whole core: marks and the broker's words."""

from __future__ import annotations

from tests.etf_world import EtfWorld

TRIPLE = "10:05=0.80"
"""352 TQQQ: sent 10:06, filled 10:07."""


def marked(world: EtfWorld) -> dict[str, list[str]]:
    """Return the symbols of each minute's MARK."""
    return {record["at"]: sorted(record["px"]) for record in world.records("MARK")}


def test_a_mark_names_what_works_in_its_minute_before_anything_is_held() -> None:
    world = EtfWorld(TRIPLE)
    world.broker.limit_fates = ["none", "none"]
    world.run("10:08")
    assert world.held() == {}
    assert marked(world)["10:07"] == ["TQQQ"]
    assert all(price > 0 for price in world.records("MARK")[-1]["px"]["TQQQ"])


def test_the_minute_in_which_the_last_share_is_sold_still_has_its_range() -> None:
    world = EtfWorld("10:05=0.80 10:19=0.50")
    world.broker.fates = ["late"]
    world.run("10:25")
    assert world.fills()[-1] == ("10:20", "TQQQ", -352)
    assert marked(world)["10:20"] == ["TQQQ"]
    assert "10:21" not in marked(world)


def test_no_mark_is_written_before_the_first_bar_of_a_session() -> None:
    world = EtfWorld(TRIPLE).run("10:20")
    assert min(marked(world)) == "09:31"


def test_shares_that_were_there_before_are_marked_in_every_minute() -> None:
    world = EtfWorld("", held={"QQQ": 100}).run("09:40")
    assert marked(world) == {f"09:{minute}": ["QQQ"] for minute in range(31, 41)}
    assert {record["engine_equity_u6"] - record["equity_u6"] for record in world.records("MARK")} <= {
        500_000,  # the broker marks at the ask, we at the middle
    }


def test_the_broker_states_what_it_has_beyond_our_list() -> None:
    """A fill that nobody has reported yet: its money and its shares stand in the same statement."""
    world = EtfWorld(TRIPLE).run("10:06")
    placed = next(iter(world.broker.orders.values()))
    placed.reported = False
    world.run("10:07")
    world.assembly.parts.recorder.statement(world.market.now)
    told = world.records("BROKER_STATEMENT")[-1]
    assert told["holdings"][0]["symbol"] == "TQQQ"
    worth = sum(row["qty"] * row["price_u6"] * row["mult"] for row in told["holdings"])
    assert told["cash_u6"] + told["unsettled_u6"] + worth == told["equity_u6"]
