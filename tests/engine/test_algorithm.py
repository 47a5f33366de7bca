"""The algorithm object: parameters, traps, what is missing, and how its file is loaded."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from engine.algorithm import QCAlgorithm
from engine.enums import Resolution
from engine.errors import AlgorithmLoadError, EngineError, EngineUnsupported
from engine.host import EngineJob, Host, load_algorithm
from engine.results import RunStatus
from engine.schedule import FuncTimeRule
from engine.securities import Security
from tests.engine.desk import FRIDAY, SPX, SPY, WINGS, Desk, Market, run, started, trade


@pytest.fixture
def market() -> Market:
    return Market().session(FRIDAY).condor()


@pytest.mark.parametrize(
    ("text", "default", "expected"),
    [
        ("12", None, "12"),
        ("12", 5, 12),
        ("12", 5.0, 12.0),
        ("1.5", 5, 5),  # no whole number: the default
        ("x", 5.0, 5.0),
        ("x", "y", "x"),
        ("false", True, 1.0),  # LEAN's odd conversion: a bool counts as a number, and "false" is none
        ("0", True, 0.0),
        (None, "y", "y"),
        (None, None, None),
    ],
)
def test_parameters_are_text_and_converted_by_the_defaults_type(
    market: Market, text: str | None, default: Any, expected: Any
) -> None:
    parameters = {} if text is None else {"name": text}
    desk, _ = run(
        market, {"parameters": parameters}, set_up=lambda desk: desk.keep(desk.get_parameter("name", default))
    )

    assert desk.results == [expected]
    assert type(desk.results[0]) is type(expected)


def test_all_parameters_iterate_as_key_and_value(market: Market) -> None:
    desk, _ = run(
        market,
        {"parameters": {"a": "1", "b.c": "x"}},
        set_up=lambda desk: desk.keep([(item.key, item.value) for item in desk.get_parameters()]),
    )

    assert desk.results == [[("a", "1"), ("b.c", "x")]]


@pytest.mark.parametrize("name", ["universe", "portfolio", "time", "alpha", "settings", "schedule", "tags", "insights"])
def test_assigning_to_a_property_of_lean_raises(market: Market, name: str) -> None:
    _, result = run(market, set_up=lambda desk: setattr(desk, name, {}))

    assert result.status is RunStatus.RUNTIME_ERROR
    assert result.error is not None
    assert "value cannot be converted" in result.error.text


def test_assigning_to_a_method_is_accepted_in_silence_and_breaks_it(market: Market) -> None:
    def trap(desk: Desk) -> None:
        desk.debug = {}  # type: ignore[method-assign, assignment]
        desk.log = 1  # type: ignore[method-assign, assignment]

    desk, result = run(market, set_up=trap, at={"10:00": lambda desk: desk.quit("x")})

    assert result.status is RunStatus.COMPLETED
    assert not callable(desk.debug)


def test_a_member_that_only_lean_has_says_so_and_ends_the_run(market: Market) -> None:
    _, result = run(market, set_up=lambda desk: desk.add_future("ES"))

    assert result.status is RunStatus.RUNTIME_ERROR
    assert result.error is not None
    assert "QCAlgorithm.add_future: LEAN has it, the embedded engine does not" in result.error.text


def test_a_misspelt_member_is_an_attribute_error(market: Market) -> None:
    def misspell(desk: Desk) -> None:
        with pytest.raises(AttributeError, match="marekt_order"):
            desk.marekt_order(SPY, 1)

    trade(market, set_up=misspell)


@pytest.mark.parametrize(
    "call",
    [
        lambda desk: desk.add_equity("QQQ", Resolution.HOUR),
        lambda desk: desk.add_equity("QQQ", extended_market_hours=True),
        lambda desk: desk.set_cash("EUR", 1_000),
        lambda desk: desk.add_index_option("SPX", "SPXW", Resolution.DAILY),
    ],
)
def test_what_is_not_modelled_is_refused_by_name(market: Market, call: Any) -> None:
    def try_it(desk: Desk) -> None:
        with pytest.raises(EngineUnsupported):
            call(desk)

    trade(market, set_up=try_it)


@pytest.mark.parametrize(
    "call",
    [
        lambda desk: desk.universe_manager.count,
        lambda desk: desk.universe_manager[desk.add_index_option("SPX", "SPXW").symbol].securities,
    ],
)
def test_what_universes_do_not_answer_here_is_refused_by_name(market: Market, call: Any) -> None:
    def try_it(desk: Desk) -> None:
        desk.add_index("SPX")
        with pytest.raises(EngineUnsupported, match="niverse"):
            call(desk)

    trade(market, set_up=try_it)


def test_nothing_is_selected_before_the_first_selection(market: Market) -> None:
    def look(desk: Desk) -> None:
        desk.add_index("SPX")
        canonical = desk.add_index_option("SPX", "SPXW").symbol
        desk.keep(desk.universe_manager.contains_key(canonical))
        desk.keep(desk.universe_manager[canonical].selected)

    assert trade(market, set_up=look).results == [True, None]


def test_moments_of_ones_own_are_a_list(market: Market) -> None:
    """LEAN does not take a generator either."""

    def schedule(desk: Desk) -> None:
        rule = FuncTimeRule("lazy", lambda days: (day for day in days))
        desk.schedule.on(desk.date_rules.every_day(), rule, lambda: None)

    _desk, result = run(market, set_up=schedule)
    assert result.error is not None
    assert "'generator' value cannot be converted" in result.error.traceback


def test_set_up_calls_are_refused_once_the_run_has_begun(market: Market) -> None:
    def late(desk: Desk) -> None:
        with pytest.raises(RuntimeError, match="set_cash"):
            desk.set_cash(1)

    trade(market, at={"10:00": late})


def test_an_algorithm_is_not_created_by_hand() -> None:
    with pytest.raises(EngineError, match="created by the engine"):
        QCAlgorithm()


def test_a_security_initializer_of_the_algorithm_replaces_the_brokerages_one(market: Market) -> None:
    seen: list[Security] = []

    def replace(desk: Desk) -> None:
        desk.set_security_initializer(seen.append)
        desk.add_index("SPX", Resolution.MINUTE, fill_forward=False)

    def extend(desk: Desk) -> None:
        desk.add_security_initializer(lambda security: security.set_leverage(3.0))
        desk.add_equity("QQQ", Resolution.MINUTE)

    trade(market, set_up=replace)
    extended = trade(market, set_up=extend)

    assert [security.symbol for security in seen] == [SPX]
    assert extended.securities["QQQ"].leverage == 3.0
    assert extended.securities[SPY].leverage == 2.0


def test_every_contract_passes_the_initializer(market: Market) -> None:
    desk = trade(market, with_chain=True)

    models = {type(desk.securities[symbol].option_assignment_model).__name__ for symbol in WINGS}  # type: ignore[attr-defined]
    assert models == {"NullOptionAssignmentModel"}


def test_logs_carry_algorithm_time_and_repeated_debug_lines_are_dropped(market: Market) -> None:
    def say(desk: Desk) -> None:
        desk.log("same")
        desk.log("same")
        desk.debug("same")
        desk.debug("same")

    lines: list[str] = []
    _, result = run(market, {"log_sink": lines.append}, at={"10:00": say})

    assert [str(line) for line in result.logs] == ["2025-01-03 10:00:00 same"] * 3 == lines


def test_charts_and_statistics_reach_the_result(market: Market) -> None:
    def draw(desk: Desk) -> None:
        desk.plot("Risk", "Margin", 0.5)
        desk.set_runtime_statistic("State", "ACTIVE")
        desk.set_summary_statistic("Trades", 3)
        with pytest.raises(ValueError, match="reserved"):
            desk.plot("Strategy Equity", "x", 1.0)

    _, result = run(market, at={"10:00": draw})

    assert [value for _, value in result.charts["Risk"].series["Margin"].values] == [0.5]
    assert result.runtime_statistics == {"State": "ACTIVE"}
    assert result.summary_statistics == {"Trades": "3"}


def test_print_is_muted(market: Market, capsys: pytest.CaptureFixture[str]) -> None:
    trade(market, at={"10:00": lambda desk: print("noise")})

    assert capsys.readouterr().out == ""


def test_a_margin_warning_comes_when_little_is_left(market: Market) -> None:
    class Warned(Desk):
        def on_margin_call_warning(self) -> None:
            self.note("warning")

    Warned.plan = type(Warned.plan)(
        with_chain=True, cash=10_500.0, at={"10:00": lambda desk: desk.combo_market_order(desk.legs(), -5)}
    )
    host = Host(EngineJob(main=Warned, source=market.source))
    host.run()

    assert isinstance(host.algorithm, Warned)
    # 10,000 of margin for five condors leaves less than 5 % of a value of 10,287.
    assert [line.time for line in host.algorithm.heard if line.what == "warning"][:1] == ["03 10:01"]


# The algorithm's file.


def write(folder: Path, text: str) -> Path:
    path = folder / "main.py"
    path.write_text(dedent(text))
    return path


def test_a_file_runs_with_the_star_import_and_its_own_packages(market: Market, tmp_path: Path) -> None:
    package = tmp_path / "pkg_of_this_test"
    package.mkdir()
    (package / "inner.py").write_text("def twice(number: int) -> int:\n    return 2 * number\n")
    path = write(
        tmp_path,
        """
        from AlgorithmImports import *
        from pkg_of_this_test.inner import twice

        class Filed(QCAlgorithm):
            def initialize(self):
                self.set_start_date(2025, 1, 3)
                self.set_end_date(datetime(2025, 1, 3))
                self.add_equity("SPY", Resolution.MINUTE)
                self.schedule.on(self.date_rules.today, self.time_rules.at(10, 0), self.buy)

            def buy(self):
                self.market_order("SPY", twice(2))
                self.log(f"{__name__} {time.__name__} {pd.Timestamp(2025, 1, 3).year} {np.sum([1, 2])}")
        """,
    )

    result = Host(EngineJob(main=path, source=market.source)).run()

    assert result.error is None, result.error.traceback
    assert [line.text for line in result.logs] == ["main time 2025 3"]
    assert result.orders[0].quantity == 4.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1\n", "found none, expected exactly one class"),
        ("from AlgorithmImports import *\nclass A(QCAlgorithm): ...\nclass B(QCAlgorithm): ...\n", "found A, B"),
        ("from nowhere_at_all import x\n", "ModuleNotFoundError"),
        ("class A(:\n", "SyntaxError"),
    ],
)
def test_a_file_that_is_no_algorithm_is_refused_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(AlgorithmLoadError, match=sentence):
        load_algorithm(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AlgorithmLoadError, match=r"main\.py: found no such file"):
        load_algorithm(tmp_path / "main.py")


def test_the_job_can_fix_the_dates_and_the_cash(market: Market) -> None:
    job = {"start": FRIDAY, "end": FRIDAY, "cash_usd": 5_000.0}
    host = started(market, job, end=FRIDAY, cash=1.0)
    result = host.finish()

    assert result.start_equity_usd == 5_000.0


def test_an_end_before_the_start_is_refused(market: Market) -> None:
    with pytest.raises(EngineError, match="expected start before end"):
        started(market, {"start": FRIDAY, "end": FRIDAY.replace(day=1)})
