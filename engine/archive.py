"""Entries of a zip file, found by their directory and decompressed only when asked for.

A day of SPXW holds hundreds of contracts in one archive; Python's own zipfile spends more time on objects per entry
than the decompression takes.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from array import array
from pathlib import Path
from typing import Final, NamedTuple

from engine.columns import DataError

_END: Final = struct.Struct("<4s4H2LH")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64: Final = struct.Struct("<4sLQL")
_LOCAL_SIZE: Final = 30
_LENGTHS: Final = struct.Struct("<2H")
_MAX_COMMENT: Final = 1 << 16
_LARGE: Final = 0xFFFFFFFF  # "see the zip64 field": some of LEAN's writers say that of every entry
_MANY: Final = 0xFFFF
_ZIP64_FIELD: Final = 1
# A further field that our generator writes beside an entry: CRC of the content, rows, times of the first and last row.
_NOTE_FIELD: Final = 0x4B42
_NOTE: Final = struct.Struct("<4L")
_STORED: Final = 0
_DEFLATED: Final = 8


class Entry(NamedTuple):
    """Where one file lies inside the archive; `extra` is where its further fields lie in the archive's directory."""

    method: int
    crc: int
    packed_size: int
    size: int
    offset: int
    extra: int
    extra_size: int


class Archive:
    """A zip file read once; entries by name."""

    def __init__(self, path: Path, name: str) -> None:
        """Read the directory of `path`; name is how errors call the file.  Raises FileNotFoundError and DataError."""
        self.name = name
        with path.open("rb") as file:
            try:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError:  # an empty file cannot be mapped
                raise self._broken("an empty file") from None
        self._directory = b""
        try:
            self.entries = self._read_entries()
        except (struct.error, UnicodeDecodeError):
            raise self._broken("a damaged zip directory") from None

    @property
    def fingerprint(self) -> int:
        """Return a checksum over names and contents, free of time stamps and of the way it was packed."""
        sums = array("L", [entry.crc for entry in self.entries.values()])
        return zlib.crc32(sums.tobytes(), zlib.crc32("\n".join(self.entries).encode()))

    def read(self, name: str) -> bytes:
        """Return the content of an entry; raises KeyError without it, DataError when it is damaged."""
        entry = self.entries[name]
        try:
            if _LARGE in entry[2:5]:
                entry = self._enlarged(entry)
            start = entry.offset + _LOCAL_SIZE
            name_size, extra_size = _LENGTHS.unpack_from(self._data, start - _LENGTHS.size)
            start += name_size + extra_size
            with memoryview(self._data)[start : start + entry.packed_size] as packed:
                if entry.method == _DEFLATED:
                    text = zlib.decompress(packed, -zlib.MAX_WBITS, max(entry.size, 1))
                elif entry.method == _STORED:
                    text = bytes(packed)
                else:
                    raise self._broken(f"compression method {entry.method} in {name}")
        except (struct.error, zlib.error):
            raise self._broken(f"damaged content in {name}") from None
        if len(text) != entry.size or zlib.crc32(text) != entry.crc:
            raise self._broken(f"damaged content in {name}")
        return text

    def row_note(self, name: str) -> tuple[int, int, int] | None:
        """Return rows, first and last time (ms of day) of an entry whose archive tells them, without unpacking it.

        The note carries the checksum of the content that it describes, so one that outlived its content is not one.
        """
        entry = self.entries.get(name)
        if entry is None or not entry.extra_size:
            return None
        position = self._further_field(entry, _NOTE_FIELD, _NOTE.size)
        if position < 0:
            return None
        crc, rows, first, last = _NOTE.unpack_from(self._directory, position)
        return (rows, first, last) if crc == entry.crc and rows else None

    def _further_field(self, entry: Entry, wanted: int, least: int = 0) -> int:
        """Return where the content of a further field of an entry lies in the directory, -1 where there is none."""
        position, end = entry.extra, entry.extra + entry.extra_size
        while position + _LENGTHS.size <= end:
            kind, size = _LENGTHS.unpack_from(self._directory, position)
            position += _LENGTHS.size
            if kind == wanted and size >= least:
                return position
            position += size
        return -1

    def _read_entries(self) -> dict[str, Entry]:
        data = self._data
        at = data.rfind(b"PK\x05\x06", max(0, len(data) - _MAX_COMMENT - _END.size))
        if at < 0:
            raise self._broken("no zip directory (a truncated file?)")
        _, _, _, _, count, size, start, _ = _END.unpack_from(data, at)
        if count == _MANY or size == _LARGE or start == _LARGE:
            _, _, place, _ = _LOCATOR_64.unpack_from(data, at - _LOCATOR_64.size)
            count, size, start = _END_64.unpack_from(data, place)[-3:]
        directory = self._directory = data[start : start + size]
        entries: dict[str, Entry] = {}
        position = 0
        unpack = _ENTRY.unpack_from
        for _ in range(count):
            (magic, _, _, flags, method, _, _, crc, packed, full, name_size, extra, comment, _, _, _, offset) = unpack(
                directory, position
            )
            if magic != b"PK\x01\x02" or flags & 1:
                raise self._broken("an encrypted or damaged zip directory")
            position += _ENTRY.size
            name = directory[position : position + name_size].decode()
            position += name_size
            entries[name] = Entry(method, crc, packed, full, offset, position, extra)
            position += extra + comment
        return entries

    def _enlarged(self, entry: Entry) -> Entry:
        """Return the entry with the numbers of its zip64 field; raises struct.error when that is missing."""
        position = self._further_field(entry, _ZIP64_FIELD)
        if position < 0:
            raise struct.error("no zip64 field")
        wanted = [name for name in ("size", "packed_size", "offset") if getattr(entry, name) == _LARGE]
        numbers = struct.unpack_from(f"<{len(wanted)}Q", self._directory, position)
        return entry._replace(**dict(zip(wanted, numbers, strict=True)))

    def _broken(self, found: str) -> DataError:
        return DataError(f"{self.name}: found {found}, expected a zip file. Write the file again, or delete it.")
