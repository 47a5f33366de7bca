"""Text of LEAN's minute and daily files to columns.

Numbers of at most eight digits, all that usual files hold, are read with integer arithmetic on whole arrays (a hundred
thousand rows in a few hundredths of a second); decimals of an index are such a number divided by a power of ten, which
gives the same double as reading the text does.  Everything else - rows with odd numbers - takes the plain road, which
also knows how to say what is wrong with a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from itertools import accumulate, pairwise
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from engine.columns import (
    LAST_MINUTE,
    DailyColumns,
    DataError,
    Ints,
    OpenInterestColumns,
    QuoteCloses,
    QuoteColumns,
    RowSpan,
    TradeColumns,
)

PRICE_SCALE: Final = 10_000.0
_MS_PER_MINUTE: Final = 60_000
_TRADE_SCALE: Final = np.array([PRICE_SCALE] * 4 + [1.0])
_QUOTE_SCALE: Final = np.array(([PRICE_SCALE] * 4 + [1.0]) * 2)
_TRADE_FIELDS: Final = "milliseconds,open,high,low,close,volume"
_QUOTE_FIELDS: Final = "milliseconds, then open,high,low,close,size of bid and of ask"
_INTEREST_FIELDS: Final = "milliseconds,open interest"
_CLOSES: Final = (0, 4, 9)  # time, close of bid, close of ask
_DAILY_FIELDS: Final = "yyyymmdd hh:mm,open,high,low,close,volume"

_COMMA: Final = ord(",")
_POINT: Final = ord(".")
_NEWLINE: Final = ord("\n")
_PAD: Final = b"0" * 16  # so that the first number has bytes before it
_CHUNK: Final = 1 << 15  # numbers per pass; keeps the scratch arrays in the processor's cache
_LOW_NIBBLES: Final = np.array(
    [int.from_bytes(b"\0" * (8 - digits) + b"\x0f" * digits, "little") for digits in range(9)], dtype=np.uint64
)
_EVEN_BYTES: Final = np.uint64(0x00FF00FF00FF00FF)
_EVEN_PAIRS: Final = np.uint64(0x0000FFFF0000FFFF)

_POWERS: Final = 10.0 ** np.arange(9)

Numbers: TypeAlias = npt.NDArray[Any]  # int32 where there are no decimals, float64 otherwise


def quote_columns(texts: Sequence[bytes], names: Sequence[str], shift: int) -> list[QuoteColumns]:
    """Return the quote bars of each text; shift turns its minutes into New York minutes, names are for errors."""
    table = _Table(texts, names, 11, 11, _QUOTE_FIELDS)
    minutes = table.minutes(shift + 1)
    values = table.rows[:, 1:] / _QUOTE_SCALE
    for side in (slice(0, 4), slice(5, 9)):
        prices = values[:, side]
        # LEAN drops a side whose four prices are all zero or empty.
        absent = (prices[:, 0] == 0) & (prices[:, 1] == 0) & (prices[:, 2] == 0) & (prices[:, 3] == 0)
        if absent.any():
            prices[absent] = np.nan
            values[absent, side.stop] = 0.0
    return [QuoteColumns(minutes[low:high], values[low:high]) for low, high in table.ranges]


def quote_closes(texts: Sequence[bytes], names: Sequence[str], shift: int) -> list[QuoteCloses]:
    """Return the closing bid and ask of each bar of each text, and read nothing else."""
    table = _Table(texts, names, 11, 11, _QUOTE_FIELDS, _CLOSES)
    minutes = table.minutes(shift + 1)
    bid, ask = table.rows[:, 1] / PRICE_SCALE, table.rows[:, 2] / PRICE_SCALE
    return [QuoteCloses(minutes[low:high], bid[low:high], ask[low:high]) for low, high in table.ranges]


def trade_columns(texts: Sequence[bytes], names: Sequence[str], shift: int, *, scaled: bool) -> list[TradeColumns]:
    """Return the trade bars of each text; scaled is False for indices, whose files hold plain prices."""
    table = _Table(texts, names, 5, 6, _TRADE_FIELDS)
    minutes = table.minutes(shift + 1)
    values = table.rows[:, 1:] / (_TRADE_SCALE if scaled else 1.0)
    return [TradeColumns(minutes[low:high], values[low:high]) for low, high in table.ranges]


def open_interest_columns(text: bytes, name: str, shift: int) -> OpenInterestColumns:
    table = _Table([text], [name], 2, 2, _INTEREST_FIELDS)
    return OpenInterestColumns(table.minutes(shift), table.rows[:, 1:] / 1.0)


def daily_columns(text: bytes, name: str, *, scaled: bool) -> DailyColumns:
    """Return the daily bars of a text whose rows begin with 'yyyymmdd hh:mm'."""
    days: list[int] = []
    rows: list[list[float]] = []
    for number, line in enumerate(text.decode(errors="replace").splitlines(), 1):
        if not line:
            continue
        cells = line.split(",")
        if len(cells) < 5:
            raise _bad_row(name, number, line, _DAILY_FIELDS)
        try:
            days.append(_ordinal(cells[0]))
            rows.append([float(cell or 0) for cell in [*cells[1:6], "0"][:5]])
        except ValueError:
            raise _bad_row(name, number, line, _DAILY_FIELDS) from None
    values = np.array(rows, dtype=np.float64).reshape(len(rows), 5)
    day = np.array(days, dtype=np.int32)
    falling = np.flatnonzero(day[1:] <= day[:-1])
    if len(falling):
        raise _disordered(f"{name} line {falling[0] + 1}")
    return DailyColumns(day, values / _TRADE_SCALE if scaled else values)


def _ordinal(text: str) -> int:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8])).toordinal()


def row_span(text: bytes, name: str, shift: int) -> RowSpan | None:
    """Return the number of rows, and the first number of the first and the last row as end minutes."""
    body = text.rstrip()
    if not body:
        return None
    rows = body.count(b"\n") + 1
    last = body.rfind(b"\n") + 1
    found: list[int] = []
    for number, line in ((1, body[: body.find(b",")]), (rows, body[last : body.find(b",", last)])):
        if not line.isdigit():
            raise _bad_row(name, number, line.decode(errors="replace"), "milliseconds since midnight first")
        found.append(int(line))
    return noted_span(rows, found[0], found[1], shift)


def noted_span(rows: int, first_ms: int, last_ms: int, shift: int) -> RowSpan:
    """Return the span of rows that begin at two times of day; shift turns minutes into New York minutes."""
    return RowSpan(rows, first_ms // _MS_PER_MINUTE + 1 + shift, last_ms // _MS_PER_MINUTE + 1 + shift)


# -- rows of many texts as one table ----------------------------------------------------------------------------------


class _Table:
    """Rows of several texts below each other; `ranges` says which rows are whose."""

    def __init__(
        self,
        texts: Sequence[bytes],
        names: Sequence[str],
        least: int,
        most: int,
        fields: str,
        columns: Sequence[int] | None = None,
    ) -> None:
        """Rows have least to most fields, missing ones are 0; columns: those that are wanted, the time first."""
        self.names = names
        texts = [_with_plain_line_ends(text) for text in texts]
        found = _short_numbers(texts, least, most, columns) if any(texts) else None
        if found is not None:
            rows, counts = found
        elif any(texts):
            tables = [_plain_numbers(text, name, least, most, fields) for text, name in zip(texts, names, strict=True)]
            rows = np.concatenate(tables)
            rows = rows if columns is None else rows[:, columns]
            counts = [len(table) for table in tables]
        else:
            rows, counts = np.empty((0, most if columns is None else len(columns))), [0] * len(texts)
        stops = list(accumulate(counts, initial=0))
        self.rows: Numbers = rows
        self.ranges = list(pairwise(stops))

    def minutes(self, shift: int) -> Ints:
        """Return the time stamps as ascending minutes of the New York day; raise DataError when they are not."""
        stamps = self.rows[:, 0]
        ends = stamps // _MS_PER_MINUTE + shift
        self._refuse((ends < 0) | (ends > LAST_MINUTE), _off_day)
        self._refuse((ends - shift) * _MS_PER_MINUTE != stamps, _off_minute)
        minutes: Ints = ends.astype(np.int32)
        falling = np.zeros(len(minutes), np.bool_)
        np.less_equal(minutes[1:], minutes[:-1], out=falling[1:])
        falling[[low for low, high in self.ranges if high > low]] = False  # each text begins its day anew
        self._refuse(falling, _disordered)
        return minutes

    def _refuse(self, bad: npt.NDArray[np.bool_], error: Callable[[str], DataError]) -> None:
        if not bad.any():
            return
        row = int(np.flatnonzero(bad)[0])
        for name, (low, high) in zip(self.names, self.ranges, strict=True):
            if low <= row < high:
                raise error(f"{name} line {row - low + 1}")


def _with_plain_line_ends(text: bytes) -> bytes:
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    return text if text.endswith(b"\n") or not text else text + b"\n"


def _short_numbers(
    texts: Sequence[bytes], least: int, most: int, columns: Sequence[int] | None = None
) -> tuple[Numbers, list[int]] | None:
    """Return all rows and how many each text has, or None when there is anything but numbers of at most 8 digits."""
    first = next(text for text in texts if text)
    width = first.count(b",", 0, first.find(b"\n")) + 1
    if not least <= width <= most:
        return None
    data = b"".join([_PAD, *texts])
    characters = np.frombuffer(data, np.uint8)
    if int(characters.max()) > ord("9"):
        return None
    ends = np.flatnonzero(characters < ord("0"))
    separators = characters[ends]
    text_ends = list(accumulate(map(len, texts), initial=len(_PAD)))
    line_ends = np.searchsorted(ends[separators == _NEWLINE], text_ends)
    points = separators == _POINT
    decimals: npt.NDArray[np.intp] | None = None
    if points.any():
        found = _without_points(ends, points)
        if found is None:
            return None
        ends, decimals = found
        separators = separators[~points]
        data = data.replace(b".", b"")
    if len(ends) % width:
        return None
    separators = separators.reshape(-1, width)
    if not ((separators[:, -1] == _NEWLINE).all() and (separators[:, :-1] == _COMMA).all()):
        return None
    digits = np.empty(len(ends), np.intp)
    digits[0] = ends[0] - len(_PAD)
    np.subtract(ends[1:], ends[:-1], out=digits[1:])
    digits[1:] -= 1
    if int(digits.max()) > 8 or int(digits[::width].min()) < 1:  # the latter: a row without a time
        return None
    if columns is not None:
        ends = ends.reshape(-1, width)[:, columns].ravel()
        digits = digits.reshape(-1, width)[:, columns].ravel()
        decimals = None if decimals is None else decimals.reshape(-1, width)[:, columns].ravel()
        most = width = len(columns)
    rows: Numbers = _integers(data, ends, digits).reshape(-1, width)
    if decimals is not None:
        rows = rows / _POWERS[decimals].reshape(-1, width)
    if width < most:
        rows = np.hstack([rows, np.zeros((len(rows), most - width), rows.dtype)])
    return rows, np.diff(line_ends).tolist()


def _without_points(
    ends: npt.NDArray[np.intp], points: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]] | None:
    """Return where numbers end once decimal points are taken out, and how many decimals each has.

    ends: positions of separators and points, points: which of them are points.  None when a number is not one digit at
    least before and after one point.
    """
    passed = np.cumsum(points)
    kept = ~points
    owner = (np.arange(len(ends)) - passed)[points] + 1  # the number that each point belongs to
    before = ends[points]
    after = ends[np.flatnonzero(points) + 1] - before - 1  # a point is never last: a text ends with a line end
    preceding = ends[np.flatnonzero(points) - 1]
    preceding[np.flatnonzero(points) == 0] = len(_PAD) - 1
    if (after < 1).any() or (before - preceding < 2).any() or (np.diff(owner) < 1).any() or int(after.max()) > 8:
        return None
    decimals = np.zeros(int(kept.sum()), np.intp)
    decimals[owner] = after
    return ends[kept] - passed[kept], decimals


def _integers(data: bytes, ends: npt.NDArray[np.intp], digits: npt.NDArray[np.intp]) -> npt.NDArray[np.int32]:
    """Return the number of so many digits, 8 at most, that stands before each position in `ends`; an empty one is 0.

    The eight bytes before a separator are one 64-bit word; masking drops what belongs to the field before, then three
    multiplications join digits to pairs, pairs to fours, fours to eight.
    """
    words: npt.NDArray[np.uint64] = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
    out = np.empty(len(ends), np.int32)
    for start in range(0, len(ends), _CHUNK):
        end = ends[start : start + _CHUNK]
        word = words[end - 8]
        word &= _LOW_NIBBLES[digits[start : start + _CHUNK]]
        half = word >> np.uint64(8)
        word *= np.uint64(10)
        word += half
        word &= _EVEN_BYTES
        np.right_shift(word, np.uint64(16), out=half)
        word *= np.uint64(100)
        word += half
        word &= _EVEN_PAIRS
        np.right_shift(word, np.uint64(32), out=half)
        word *= np.uint64(10_000)
        word += half
        out[start : start + _CHUNK] = word.astype(np.uint32)
    return out


def _plain_numbers(text: bytes, name: str, least: int, most: int, fields: str) -> Numbers:
    lines = text.decode(errors="replace").split("\n")
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        cells = line.split(",")
        if len(cells) < least or not cells[0]:
            raise _bad_row(name, number, line, fields)
        try:
            row = [float(cell) if cell else 0.0 for cell in cells[:most]]
        except ValueError:
            raise _bad_row(name, number, line, fields) from None
        rows.append(row if len(row) == most else row + [0.0] * (most - len(row)))
    return np.array(rows, dtype=np.float64).reshape(len(rows), most)


# -- what can be wrong ------------------------------------------------------------------------------------------------


def _bad_row(name: str, number: int, line: str, fields: str) -> DataError:
    shown = line if len(line) <= 80 else line[:77] + "..."
    return DataError(f"{name} line {number}: found {shown!r}, expected {fields}. Correct or delete the line.")


def _off_minute(place: str) -> DataError:
    return DataError(f"{place}: found a time within a minute, expected multiples of 60000 ms. Write minute bars there.")


def _off_day(place: str) -> DataError:
    return DataError(
        f"{place}: found a time outside of the New York day, expected 0 to 86400000 ms. Check its dataTimeZone."
    )


def _disordered(place: str) -> DataError:
    return DataError(f"{place}: found a time not after the row before, expected ascending times. Sort the rows.")
