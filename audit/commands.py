"""`./bulkhead audit VERB RUN`: the auditor on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit import diff as comparing
from audit.answers import Books, books_of, expect_book, judged, stored, tell
from audit.export import FORMATS, export_table
from audit.flow import funnel_rows, intervals, trade_flow
from audit.metrics import Metrics, Span, usd
from audit.moment import Moment, Snapshot, parse_moment
from audit.report import as_json, print_judgement
from audit.rules import ALL, VERIFY, Rule
from audit.run_folder import parse_anchor
from audit.times import exchange_text, utc_text
from audit.verdict import INTERNAL, Judgement

F = TypeVar("F", bound=Callable[..., Any])
RUN = click.Path(path_type=Path)
DAY = click.DateTime(formats=["%Y-%m-%d"])


def common(command: F) -> F:
    """Add what every verb takes."""
    for option in (
        click.option("--quiet", is_flag=True, help="Print nothing; the exit code says it."),
        click.option("--db", metavar="FILE", type=RUN, help="Also write the query store (SQLite) to FILE."),
        click.option("--json", "as_text", is_flag=True, help="Print JSON instead of tables."),
        click.argument("run", metavar="RUN", type=RUN),
    ):
        command = option(command)
    return command


class _Verbs(click.Group):
    """The verbs. An error of the auditor itself is exit code 2: it must not look like a verdict."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):
            raise
        except INTERNAL as error:
            raise click.UsageError(f"internal error of the auditor, {type(error).__name__}: {error}.") from error


@click.group("audit", cls=_Verbs, short_help="Judge a run from its ledger alone.")
def audit() -> None:
    """Judge a run from its ledger alone. RUN is a run folder or a ledger file.

    Exit codes: 0 clean, 1 violated, 2 inconclusive (unreadable, no end, no fills, doubt at the end, a newer schema, an
    error of the auditor itself, or a rule that never could judge). 1 outranks 2; nothing is clean by default.
    """


@audit.command()
@common
@click.option("--anchor", "anchors", metavar="SEQ:HASH", multiple=True, help="A published head; may be repeated.")
def verify(run: Path, as_text: bool, db: Path | None, quiet: bool, anchors: tuple[str, ...]) -> int:
    """Check the lines themselves: form, chain, sequence, header, ceilings, end (AU-01 to AU-07)."""
    try:
        expected = dict(map(parse_anchor, anchors))
    except ValueError as error:
        raise click.UsageError(f"--anchor {error}.") from error
    judgement = judged(run, db, rules=VERIFY, anchors=expected, as_text=as_text)
    return _say(judgement, as_text, quiet)


@audit.command()
@common
@click.option("--rule", "only", metavar="ID", multiple=True, help="Judge by this rule alone (AU-31); may be repeated.")
@click.option("--book", metavar="B", help="Show the findings of one book; the verdict is of the whole run.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(0), help="Findings to print.")
@click.option("--strict", is_flag=True, help="A warning counts as a violation.")
def integrity(
    run: Path,
    as_text: bool,
    db: Path | None,
    quiet: bool,
    only: tuple[str, ...],
    book: str | None,
    limit: int,
    strict: bool,
) -> int:
    """Judge the run by all rules."""
    books = Books()
    listeners = () if book is None else (books,)
    judgement = judged(run, db, rules=_rules(only), strict=strict, listeners=listeners, as_text=as_text)
    if book is not None:
        expect_book(book, books.seen)
        judgement.findings = tuple(found for found in judgement.findings if found.book == book)
    return _say(judgement, as_text, quiet, limit)


@audit.command()
@common
@click.option("--blocks", default=480, show_default=True, type=click.IntRange(1), help="Session minutes of a block.")
def summary(run: Path, as_text: bool, db: Path | None, quiet: bool, blocks: int) -> int:
    """Show equity, returns, fees, trades, exposure, drawdown; by block of session minutes and by book."""
    metrics, kept = Metrics(blocks), Moment(None)
    judgement = judged(run, db, listeners=(metrics, kept))
    if kept.state is None:
        return _say(judgement, as_text, quiet)
    tell(judgement, quiet)
    found = metrics.summary(kept.state)
    if as_text:
        _echo(quiet, json.dumps({"verdict": judgement.verdict.name, **asdict(found)}, indent=2))
    elif not quiet:
        console = _console()
        sharpe = "" if found.sharpe is None else f", Sharpe {found.sharpe:.2f}"
        console.print(
            f"equity {usd(found.start_equity_u6)} to {usd(found.end_equity_u6)} USD ({found.total_return:+.2%}), "
            f"{found.sessions} sessions, mean {found.mean_return:+.4%} a session{sharpe}"
        )
        console.print(
            f"{found.trades} trades, {found.orders} orders, {found.fills} fills, fees {usd(found.fees_u6)}, "
            f"largest exposure {usd(found.max_exposure_u6)}, drawdown {found.max_drawdown:.2%}"
        )
        console.print(_spans(found.blocks), _spans(found.books))
    return judgement.exit_code


@audit.command("trade-flow")
@common
@click.option("--trade", metavar="ID", help="One trade.")
@click.option("--order", metavar="ID", help="The trade of one order.")
@click.option("--session", metavar="D", type=DAY, help="Trades that had an intent in this session.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="Trades to print.")
def trade_flow_command(
    run: Path,
    as_text: bool,
    db: Path | None,
    quiet: bool,
    trade: str | None,
    order: str | None,
    session: datetime | None,
    limit: int,
) -> int:
    """Follow trades from signal to intent, verdicts, orders, fills and result."""
    judgement, store = stored(run, db)
    flows = trade_flow(store, trade, order, None if session is None else session.date(), limit)
    for name, given in (("--trade", trade), ("--order", order)):
        if given is not None and not flows:
            raise click.UsageError(f"{name} {given}: the run has none of that name.")
    tell(judgement, quiet)
    if as_text:
        _echo(quiet, json.dumps(flows, indent=2))
    elif not quiet:
        for name, lines in flows.items():
            table = _table(name, "seq", "exchange time", "what", "detail")
            for line in lines:
                table.add_row(str(line["seq"]), exchange_text(line["time_us"]), line["what"], Text(line["detail"]))
            _console().print(table)
        if not flows:
            _echo(quiet, "No trade matches.")
    store.close()
    return judgement.exit_code


@audit.command("position-history")
@common
@click.option("--symbol", metavar="S", help="One symbol.")
@click.option("--book", metavar="B", help="One book.")
@click.option("--from", "first", metavar="D", type=DAY, help="From this day on.")
@click.option("--to", "last", metavar="D", type=DAY, help="Up to this day.")
def position_history(
    run: Path,
    as_text: bool,
    db: Path | None,
    quiet: bool,
    symbol: str | None,
    book: str | None,
    first: datetime | None,
    last: datetime | None,
) -> int:
    """Show how long each position was held, and cash and equity at each close."""
    if first is not None and last is not None and first > last:
        raise click.UsageError(f"--from {first:%Y-%m-%d}: expected a day not after --to {last:%Y-%m-%d}.")
    judgement, store = stored(run, db)
    expect_book(book, books_of(store))
    held = [name for (name,) in store.query("SELECT DISTINCT symbol FROM position_interval ORDER BY symbol")]
    if symbol is not None and symbol not in held:
        raise click.UsageError(f"--symbol {symbol}: never held in this run, which held {', '.join(held) or 'nothing'}.")
    tell(judgement, quiet)
    span = (None if first is None else first.date(), None if last is None else last.date())
    rows, closes = intervals(store, symbol, book, *span)
    if as_text:
        _echo(quiet, json.dumps({"positions": rows, "equity": closes}, indent=2))
    elif not quiet:
        table = _table("positions", "book", "symbol", "qty", "from", "to", "largest value USD")
        for row in rows:
            end = "" if row["to_us"] is None else exchange_text(row["to_us"])
            cells = (row["book"], row["symbol"], str(row["qty"]), exchange_text(row["from_us"]), end)
            table.add_row(*cells, usd(row["max_value_u6"]))
        daily = _table("closes", "date", "cash USD", "equity USD", "fees USD")
        for row in closes:
            daily.add_row(row["date"], usd(row["cash_u6"]), usd(row["equity_u6"]), usd(row["fees_u6"]))
        _console().print(table, daily)
    store.close()
    return judgement.exit_code


@audit.command()
@common
@click.option("--book", metavar="B", help="One book.")
@click.option("--by", default="reason", show_default=True, type=click.Choice(["gate", "reason", "hour", "session"]))
def funnel(run: Path, as_text: bool, db: Path | None, quiet: bool, book: str | None, by: str) -> int:
    """Count entries and refusals."""
    judgement, store = stored(run, db)
    expect_book(book, books_of(store))
    tell(judgement, quiet)
    rows = funnel_rows(store, book, by)
    if as_text:
        _echo(quiet, json.dumps(rows, indent=2))
    elif not quiet:
        table = _table("funnel", "book", by, "entries", "refusals")
        for row in rows:
            table.add_row(row["book"], str(row["by"]), str(row["entries"] or ""), str(row["refusals"] or ""))
        _console().print(table)
    store.close()
    return judgement.exit_code


@audit.command()
@common
@click.option("--format", "form", default="csv", show_default=True, type=click.Choice(FORMATS))
@click.option("--table", metavar="T", required=True, help="Table of the query store; an unknown name lists them.")
@click.option("--out", metavar="PATH", type=RUN, help="File to write; else standard output.")
def export(run: Path, as_text: bool, db: Path | None, quiet: bool, form: str, table: str, out: Path | None) -> int:
    """Write the typed rows of one table."""
    judgement, store = stored(run, db)
    try:
        text = export_table(store, table, "jsonl" if as_text else form)
    except ValueError as error:
        raise click.UsageError(f"--table {error}") from error
    finally:
        store.close()
    tell(judgement, quiet)
    if out is not None:
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"--out {out} cannot be written: {error.strerror}.") from error
    else:
        _echo(quiet, text.rstrip("\n"))
    return judgement.exit_code


@audit.command("diff")
@common
@click.argument("run2", metavar="RUN2", type=RUN)
@click.option("--ignore", default="ids,engine,text", show_default=True, help="What may differ, comma-separated.")
@click.option("--price-tol-usd", default=0.01, show_default=True, type=click.FloatRange(0))
@click.option("--equity-tol-usd", default=1.0, show_default=True, type=click.FloatRange(0))
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="Differences to print.")
def diff_command(
    run: Path,
    as_text: bool,
    db: Path | None,
    quiet: bool,
    run2: Path,
    ignore: str,
    price_tol_usd: float,
    equity_tol_usd: float,
    limit: int,
) -> int:
    """Compare two runs. Exit code 0 the same, 1 different, 2 other settings or data."""
    ignored = frozenset(word.strip() for word in ignore.split(",") if word.strip())
    if not ignored <= set(comparing.IGNORABLE):
        raise click.UsageError(f"--ignore {ignore}: expected some of {', '.join(comparing.IGNORABLE)}.")
    if db is not None:
        stored(run, db)[1].close()
    found = comparing.compare(run, run2, ignore=ignored, price_tol_usd=price_tol_usd, equity_tol_usd=equity_tol_usd)
    if as_text:
        content = {
            "exit_code": found.exit_code,
            "reasons": list(found.reasons),
            "compared": found.compared,
            "divergences": [item.text for item in found.divergences],
        }
        _echo(quiet, json.dumps(content, indent=2))
    elif found.reasons:
        _echo(quiet, "Not the same job: " + "; ".join(found.reasons))
    elif not found.divergences:
        _echo(quiet, f"No difference in {found.compared} intents, orders, events, fills, outcomes and expiries.")
    else:
        _echo(quiet, f"First divergence: {found.divergences[0].text}")
        for item in found.divergences[1:limit]:
            _echo(quiet, f"  {item.text}")
        _echo(quiet, f"{len(found.divergences)} differences in {found.compared} records.")
    return found.exit_code


@audit.command("replay")
@common
@click.option("--at", "at", metavar="SEQ|TIME", help="A line's number or a UTC time; the end where it is left out.")
def replay_command(run: Path, as_text: bool, db: Path | None, quiet: bool, at: str | None) -> int:
    """Show books, cash, equity and working orders at a moment, and the profit computed in two ways."""
    try:
        moment = Moment(None if at is None else parse_moment(at))
    except ValueError as error:
        raise click.UsageError(f"--at {error}.") from error
    judgement = judged(run, db, listeners=(moment,))
    found = moment.snapshot
    if found is None:
        span = (
            f"from {utc_text(judgement.first_us)} to {utc_text(judgement.last_us)}" if judgement.counts else "nothing"
        )
        raise click.UsageError(f"--at {at or 'the end'}: expected a moment of this ledger, which holds {span}.")
    tell(judgement, quiet)
    if as_text:
        _echo(quiet, json.dumps(asdict(found), indent=2))
    elif not quiet:
        _print_snapshot(found)
    return judgement.exit_code


def _print_snapshot(found: Snapshot) -> None:
    console = _console()
    console.print(
        f"line {found.seq}, {exchange_text(found.time_us)}: cash {usd(found.cash_u6)}, equity {usd(found.equity_u6)}, "
        f"fees {usd(found.fees_u6)}"
    )
    table = _table("positions", "book", "symbol", "qty", "price", "value USD")
    for row in found.positions:
        table.add_row(row.book, row.symbol, str(row.qty), usd(row.price_u6), usd(row.value_u6))
    console.print(table)
    for order in found.orders:
        console.print(Text(f"at work: {order}"))
    console.print(
        f"profit by mark {usd(found.pnl_by_mark_u6)}, by cash flow {usd(found.pnl_by_cash_u6)}, "
        f"difference {usd(found.pnl_by_mark_u6 - found.pnl_by_cash_u6)}"
    )


def _rules(only: Sequence[str]) -> tuple[type[Rule], ...]:
    known = {rule.id: rule for rule in ALL}
    wanted = [name.upper() if name.upper().startswith("AU-") else f"AU-{name}" for name in only]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise click.UsageError(f"--rule {', '.join(unknown)}: expected some of {', '.join(known)}.")
    return tuple(known[name] for name in wanted) if wanted else ALL


def _say(judgement: Judgement, as_text: bool, quiet: bool, limit: int = 20) -> int:
    if as_text:
        _echo(quiet, json.dumps(as_json(judgement), indent=2))
    elif not quiet:
        print_judgement(judgement, _console(), limit=limit)
    return judgement.exit_code


def _spans(spans: Sequence[Span]) -> Table:
    table = _table("", "", "orders", "fills", "entries", "refusals", "fees USD", "largest exposure USD", "equity USD")
    for span in spans:
        counts = (span.orders, span.fills, span.entries, span.refusals)
        money = (span.fees_u6, span.max_exposure_u6, span.equity_u6)
        table.add_row(span.name, *map(str, counts), *map(usd, money))
    return table


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title or None, box=None, header_style="bold", pad_edge=False, title_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _console() -> Console:
    import sys

    return Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else 160)


def _echo(quiet: bool, text: str) -> None:
    if not quiet:
        click.echo(text)


__all__ = ["audit"]
