"""When an option chain is a market: per expiry, per leg, per combination."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from core.books import Books
from core.ledger_kinds import Kind, plain
from core.market import Chain, MarketSnapshot, Quote, QuoteVerdict
from core.reasons import Reason
from core.settings import Settings
from core.vocabulary import Structure, Verdict
from risk.chain_gate import ChainGate, GatedChain, underlying_refusal
from risk.step_pricer import StepPricer
from tests.risk.builders import FRIDAY, at, bar, chain, condor, heard, opening, put, put_spread, snapshot

SETTINGS = Settings()
MONDAY_WEEK = date(2025, 9, 22)
V = QuoteVerdict


@pytest.fixture
def gate() -> ChainGate:
    return ChainGate(SETTINGS, StepPricer(SETTINGS.greeks))


def step(
    found: Chain | None, *, listed: dict[date, int] | None = None, now: datetime | None = None, spot_age_s: float = 0.0
) -> MarketSnapshot:
    now = at(11) if now is None else now
    bars = {"SPX": bar(now, 5_350.0, age_s=spot_age_s)}
    made = snapshot(now, chains=() if found is None else (found,), bars=bars)
    return replace(made, listed={"SPXW": {FRIDAY: 282} if listed is None else listed})


def refusal(gate: ChainGate, snapshot: MarketSnapshot, expiry: date = FRIDAY) -> Verdict:
    found = gate.admit(snapshot, "SPXW", expiry)
    assert isinstance(found, Verdict), "the chain passed"
    return found


def only(of: Chain, count: int) -> Chain:
    """The contracts nearest the money: so many of each right."""
    distance = np.abs(of.strike - 5_350)
    keep = np.zeros(len(of), dtype=np.bool_)
    for side in (of.is_call, ~of.is_call):
        places = np.flatnonzero(side)
        keep[places[np.argsort(distance[places], kind="stable")[:count]]] = True
    return replace(
        of,
        instruments=tuple(item for item, kept in zip(of.instruments, keep, strict=True) if kept),
        strike=of.strike[keep], is_call=of.is_call[keep], bid=of.bid[keep], ask=of.ask[keep],
        wide_limit=of.wide_limit[keep],
    )  # fmt: skip


def test_a_chain_with_enough_good_contracts_passes_with_our_own_deltas(gate: ChainGate) -> None:
    found = gate.admit(step(chain(at(11))), "SPXW", FRIDAY)
    assert isinstance(found, GatedChain)
    assert found.priced.forward == pytest.approx(5_350.0, abs=0.1)
    place = found.priced.position(put(5_325))
    assert place is not None
    assert -0.5 < found.delta[place] < -0.1


def test_fp18_a_universe_that_is_missing_or_a_chain_that_is_none_is_a_refusal_and_asked_again(gate: ChainGate) -> None:
    good = chain(at(11))
    assert refusal(gate, step(good, listed={})).reason is Reason.UNIVERSE_MISSING
    assert refusal(gate, replace(step(good), listed={})).reason is Reason.UNIVERSE_MISSING
    assert refusal(gate, step(None)).reason is Reason.CHAIN_EMPTY
    later = chain(at(11, 1))
    assert isinstance(gate.admit(step(later, now=at(11, 1)), "SPXW", FRIDAY), GatedChain)


def test_fp19_only_exactly_todays_expiry_will_do(gate: ChainGate) -> None:
    yesterdays_universe = {FRIDAY - timedelta(days=1): 300, MONDAY_WEEK: 300}
    answer = refusal(gate, step(chain(at(11)), listed=yesterdays_universe))
    assert answer.reason is Reason.EXPIRY_NOT_LISTED
    assert answer.detail["expiry"] == FRIDAY.isoformat()


def inside(gate: ChainGate, found: Chain) -> int:
    """Contracts in the delta band, as the gate counts them."""
    admitted = gate.admit(step(found), "SPXW", found.expiry)
    if isinstance(admitted, Verdict):
        return int(admitted.detail["in_band"])
    size = np.abs(admitted.delta)
    return int(np.count_nonzero((size >= 0.02) & (size <= 0.50)))


def test_fp19_a_0dte_chain_needs_twenty_contracts_between_2_and_50_delta(gate: ChainGate) -> None:
    whole = chain(at(11), step=2.5)
    counts = {}
    for each_side in range(10, 60):
        cut = only(whole, each_side)
        counts[inside(gate, cut)] = isinstance(gate.admit(step(cut), "SPXW", FRIDAY), GatedChain)
    assert {19, 20} <= set(counts)
    assert all(passes is (inside >= 20) for inside, passes in counts.items())


def test_another_expiry_needs_ten(gate: ChainGate) -> None:
    expiry = MONDAY_WEEK
    whole = chain(at(11), expiry)
    counts = {}
    for each_side in range(4, 20):
        cut = only(whole, each_side)
        made = step(cut, listed={expiry: 282})
        found = gate.admit(made, "SPXW", expiry)
        size = found.detail["in_band"] if isinstance(found, Verdict) else each_side
        counts[size] = isinstance(found, GatedChain)
    assert counts[9] is False
    assert counts[10] is True


def test_fp65_a_chain_of_which_too_few_quotes_are_good_says_what_each_filter_left(gate: ChainGate) -> None:
    whole = chain(at(11))
    admitted = gate.admit(step(whole), "SPXW", FRIDAY)
    assert isinstance(admitted, GatedChain)
    size = np.abs(admitted.delta)
    band = np.flatnonzero((size >= 0.02) & (size <= 0.50))
    outer = band[np.argsort(size[band])]  # farthest from the money first: the forward needs the others

    def spoiled(share: float) -> Chain:
        ask = whole.ask.copy()
        ask[outer[: round(share * len(band))]] += 2.0  # wider than the wide limit of 1
        return replace(whole, ask=ask)

    assert isinstance(gate.admit(step(spoiled(0.19)), "SPXW", FRIDAY), GatedChain)
    answer = refusal(gate, step(spoiled(0.30)))
    assert answer.reason is Reason.CHAIN_TOO_THIN
    assert answer.detail["quoted"] == len(whole)
    assert int(answer.detail["good"]) < 0.8 * int(answer.detail["in_band"])


def test_a_chain_without_a_forward_is_too_thin(gate: ChainGate) -> None:
    whole = chain(at(11))
    puts_only = replace(whole, bid=np.where(whole.is_call, np.nan, whole.bid))
    answer = refusal(gate, step(puts_only))
    assert (answer.reason, answer.detail["forward"]) == (Reason.CHAIN_TOO_THIN, "unknown")


def test_an_alert_comes_once_after_a_quarter_of_an_hour_of_refusals(gate: ChainGate) -> None:
    alerts = []
    for minute in range(40):
        now = at(10, 30) + timedelta(minutes=minute)
        empty = step(None, now=now)
        alerts += [(minute, note) for note in heard(gate, empty, Books()).notes]
        gate.admit(empty, "SPXW", FRIDAY)
    assert gate.rests
    ((minute, note),) = alerts
    assert minute == 16, "handed over by the watch after the fifteenth minute"
    assert note.kind is Kind.ALERT
    plain(note.kind, note.fields)


def test_a_chain_that_comes_back_starts_the_quarter_of_an_hour_again(gate: ChainGate) -> None:
    for minute in range(28):
        now = at(10, 30) + timedelta(minutes=minute)
        gate.admit(step(chain(now) if minute == 14 else None, now=now), "SPXW", FRIDAY)
    assert gate.watch(step(None), Books()).notes == ()


# ----------------------------------------------------------------------------------------------- legs and combinations


def quotes(structure: Structure, *found: Quote) -> dict[str, Quote]:
    return dict(zip(structure.symbols, found, strict=True))


def good(bid: float, ask: float) -> Quote:
    return Quote(V.GOOD, bid, ask, age_s=0.0)


BIDLESS = Quote(V.NO_BID, None, 0.05, age_s=0.0)


def data_gate(gate: ChainGate, structure: Structure, found: dict[str, Quote], *, spot_age_s: float = 0.0) -> Verdict:
    made = replace(step(None, spot_age_s=spot_age_s), quotes=found)
    return gate.rule(opening(structure), made, Books())


def test_ch_1_a_bidless_wing_may_be_bought_and_never_sold(gate: ChainGate) -> None:
    structure = put_spread()
    assert data_gate(gate, structure, quotes(structure, BIDLESS, good(2.0, 2.1))).allowed
    answer = data_gate(gate, structure, quotes(structure, good(2.0, 2.1), BIDLESS))
    assert answer.reason is Reason.QUOTE_NO_BID
    assert answer.detail["symbol"] == structure.symbols[1]


def test_ch_1_in_the_chain_a_bidless_contract_is_buyable_and_not_sellable(gate: ChainGate) -> None:
    whole = chain(at(11))
    found = gate.admit(step(whole), "SPXW", FRIDAY)
    assert isinstance(found, GatedChain)
    bidless = np.isnan(whole.bid)
    assert bidless.any()
    assert found.buyable[bidless].all()
    assert not found.sellable[bidless].any()
    place = int(np.flatnonzero(bidless)[0])
    assert (found.quote(place).verdict, found.quote(place).bid) == (V.NO_BID, None)


@pytest.mark.parametrize("verdict", [V.HALTED, V.MISSING, V.STALE, V.CROSSED, V.LOCKED, V.WIDE])
@pytest.mark.parametrize("leg", [0, 1])
def test_flt14_every_leg_must_be_good(gate: ChainGate, verdict: QuoteVerdict, leg: int) -> None:
    structure = put_spread()
    found = [good(0.5, 0.55), good(2.0, 2.1)]
    found[leg] = Quote(verdict, 1.2, 1.1, age_s=12.0)
    answer = data_gate(gate, structure, quotes(structure, *found))
    assert answer.reason is Reason[f"QUOTE_{verdict.value}"]


def test_the_underlying_must_be_fresh(gate: ChainGate) -> None:
    structure = put_spread()
    found = quotes(structure, good(0.5, 0.55), good(2.0, 2.1))
    assert data_gate(gate, structure, found, spot_age_s=30).allowed
    assert data_gate(gate, structure, found, spot_age_s=31).reason is Reason.QUOTE_STALE
    blind = replace(step(None), bars={}, quotes=found)
    assert gate.rule(opening(structure), blind, Books()).reason is Reason.QUOTE_MISSING
    halted = replace(step(None), halted=frozenset({"SPX"}), quotes=found)
    verdict = underlying_refusal("SPX", halted, 30)
    assert verdict is not None
    assert verdict.reason is Reason.QUOTE_HALTED


@pytest.mark.parametrize(("half", "allowed"), [(0.15, True), (0.1501, False)])
def test_the_spreads_of_a_combination_may_be_fifteen_per_cent_of_its_mids(
    gate: ChainGate, half: float, allowed: bool
) -> None:
    structure = condor()
    mids = (1.0, 3.0, 3.0, 1.0)  # sum 8, so that 1.20 of spreads is exactly the limit
    found = quotes(structure, *(good(mid - half, mid + half) for mid in mids))
    answer = gate.combo(structure, found.__getitem__)
    assert answer.allowed is allowed
    assert answer.reason is (Reason.ALLOWED if allowed else Reason.COMBO_TOO_WIDE)


def test_a_wing_without_a_bid_counts_with_its_whole_ask_as_spread(gate: ChainGate) -> None:
    structure = put_spread()
    wing = Quote(V.NO_BID, None, 0.20, age_s=0.0)
    assert gate.combo(structure, quotes(structure, wing, good(2.0, 2.1)).__getitem__).allowed
    wing = Quote(V.NO_BID, None, 0.30, age_s=0.0)
    answer = gate.combo(structure, quotes(structure, wing, good(2.0, 2.1)).__getitem__)
    assert answer.reason is Reason.COMBO_TOO_WIDE
    missing = Quote(V.MISSING)
    assert gate.combo(structure, quotes(structure, missing, good(2.0, 2.1)).__getitem__).reason is Reason.QUOTE_MISSING
