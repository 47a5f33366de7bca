"""LEAN's files, fast: rows as fixed-width words out of lookup tables, padding deleted, zip entries written by hand.

A field is eight bytes with its leading comma (",1234500"), unused bytes zero.  A day's rows are then one array of
words; deleting the zero bytes gives the text of all contracts at once.  The zips carry a fixed time stamp: same market,
same bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tools.market.quotes import SIZES, Quotes

Words = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]
Buffer = bytes | memoryview

SCALE = 10_000  # LEAN's prices of equities and options are integers
NICKEL_UNITS = 500
_FIELD = 8
_NARROW_NICKELS = 20_000  # below 1,000.00 a price and its comma fit one word
_HIGHEST_PRICE = 20_000  # USD; no option on an index below this level costs more
_NEWLINE = 10
_LEVEL = 4  # a seventh smaller than level 1 for a twentieth of the whole time
_ZIP_DATE = (1 << 5) | 1  # 1980-01-01, the least a zip can say
# A further field of an entry in the zip's directory, which other readers pass over: our engine then knows the rows of a
# contract without unpacking them.  Checksum of the content, number of rows, first number of the first and last row.
_NOTE_FIELD = 0x4B42  # "BK"
_NOTE = struct.Struct("<2H4I")


def _words(texts: Iterable[str]) -> Words:
    return np.frombuffer(b"".join(text.encode().ljust(_FIELD, b"\0") for text in texts), dtype=np.uint64)


@cache
def _nickel_words() -> Words:
    return _words(f",{nickels * NICKEL_UNITS}" for nickels in range(_NARROW_NICKELS))


@cache
def _size_words(end: str) -> Words:
    return _words(f",{size}{end}" for size in (*SIZES.tolist(), 0))


@cache
def _wide_words() -> tuple[Words, Words, Words]:
    """Return prices as two words: the comma with all but the last four digits, and those, with and without zeros."""
    heads = _words(f",{value}" if value else "," for value in range(_HIGHEST_PRICE))
    tails = range(0, SCALE, NICKEL_UNITS)
    return heads, _words(f"{value:04d}" for value in tails), _words(f"{value}" for value in tails)


def _wide(nickels: npt.NDArray[np.int32]) -> tuple[Words, Words]:
    heads, full, bare = _wide_words()
    head, tail = np.divmod(nickels, SCALE // NICKEL_UNITS)
    return heads[head], np.where(head > 0, full[tail], bare[tail])


def option_rows(quotes: Quotes, times: npt.NDArray[np.int64], keep: Bools) -> tuple[list[memoryview], int]:
    """Return each contract's CSV text, oldest row first, and the number of rows.

    times (m,) milliseconds since midnight, eight digits; keep (m, c) the rows to write.
    """
    columns = (
        (quotes.bid_open, quotes.bid_high, quotes.bid_low, quotes.bid),
        (quotes.ask_open, quotes.ask_high, quotes.ask_low, quotes.ask),
    )
    # A bid of 0 has no size.
    bid_size = np.where(quotes.bid > 0, quotes.bid_size, len(SIZES))
    sizes = (_size_words("")[bid_size], _size_words("\n")[quotes.ask_size])
    wide = max(int(column.max(initial=0)) for side in columns for column in side) >= _NARROW_NICKELS
    per_price = 2 if wide else 1
    minutes, contracts = quotes.bid.shape
    rows = np.empty((contracts, minutes, 3 + 8 * per_price), dtype=np.uint64)
    rows[:, :, 0] = _words(str(time) for time in times.tolist())[None, :]
    place = 1
    for side, size in zip(columns, sizes, strict=True):
        for column in side:
            if wide:
                rows[:, :, place], rows[:, :, place + 1] = (word.T for word in _wide(column))
            else:
                rows[:, :, place] = _nickel_words()[column.T]
            place += per_price
        rows[:, :, place] = size.T
        place += 1
    kept = np.ascontiguousarray(keep.T)
    text = (rows if kept.all() else rows[kept]).tobytes().translate(None, b"\0")
    return _cut(text, kept.sum(axis=1)), int(kept.sum())


def _cut(text: bytes, counts: npt.NDArray[np.int64]) -> list[memoryview]:
    """Cut the text of all contracts after each one's number of rows."""
    row_ends = np.concatenate(([0], np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == _NEWLINE) + 1))
    ends = row_ends[np.concatenate(([0], np.cumsum(counts)))].tolist()
    whole = memoryview(text)
    return [whole[start:end] for start, end in pairwise(ends)]


def scaled_rows(times: Sequence[int], *columns: npt.NDArray[np.float64] | npt.NDArray[np.int64]) -> bytes:
    """Return rows of integers: float columns are USD and scaled, integer columns are written as they are."""
    texts = [[str(time) for time in times]]
    for column in columns:
        if column.dtype.kind == "f":
            texts.append([str(value) for value in np.rint(column * SCALE).astype(np.int64).tolist()])
        else:
            texts.append([str(value) for value in column.tolist()])
    return "\n".join(map(",".join, zip(*texts, strict=True))).encode()


def index_rows(times: Sequence[int], prices: npt.NDArray[np.float64], volume: Sequence[int]) -> bytes:
    """Return rows of an index: unscaled decimals, as LEAN reads them.  prices (k, 4)."""
    texts = [[f"{value:.2f}" for value in column] for column in prices.T.tolist()]
    return "\n".join(map(",".join, zip(map(str, times), *texts, map(str, volume), strict=True))).encode()


def write_zip(path: Path, entries: Iterable[tuple[str, Buffer]]) -> int:
    """Write a zip with the given entries and return its size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts: list[bytes] = []
    directory: list[bytes] = []
    offset = count = 0
    for name, data in entries:
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
        packed = packer.compress(data) + packer.flush()
        raw_name = name.encode()
        crc = zlib.crc32(data)
        note = _row_note(bytes(data), crc)
        # version, flags, method, time, date, crc, packed, unpacked, name
        fields = (20, 0, 8, 0, _ZIP_DATE, crc, len(packed), len(data), len(raw_name))
        head = struct.pack("<4s5H3I2H", b"PK\x03\x04", *fields, 0) + raw_name
        listed = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, *fields, len(note), 0, 0, 0, 0, offset)
        directory.append(listed + raw_name + note)
        parts += (head, packed)
        offset += len(head) + len(packed)
        count += 1
    listing = b"".join(directory)
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(listing), offset, 0)
    path.write_bytes(b"".join((*parts, listing, tail)))
    return offset + len(listing) + len(tail)


def _row_note(content: bytes, crc: int) -> bytes:
    """Return the note on an entry's rows, empty where rows do not begin with a time of day."""
    body = content.rstrip(b"\n")
    last = body.rfind(b"\n") + 1
    first_time, last_time = (body[begin : max(body.find(b",", begin, begin + 9), begin)] for begin in (0, last))
    if not (first_time.isdigit() and last_time.isdigit()):
        return b""
    rows = body.count(b"\n") + 1
    return _NOTE.pack(_NOTE_FIELD, _NOTE.size - 4, crc, rows, int(first_time), int(last_time))
