"""One hash that names the data of a run, the same on every machine and for both engines."""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from datetime import date
from pathlib import Path

from engine.archive import Archive
from engine.columns import DataError

_DATED = re.compile(r"(\d{8})[_.]")
# Larger loose files are named by their size: reading them would cost more than the run.
_READ_UP_TO_BYTES = 4 * 2**20


def data_manifest(folder: Path, start: date, end: date) -> str:
    """Return a hash over names, sizes and checksums of the files of a data folder.

    Files dated outside [start, end] (universes, minutes) count by name and size; all others by the checksums that their
    zip directory holds, or that their content has.  A broken zip counts by its size: the engine is who refuses it.
    """
    digest = hashlib.sha256()
    low, high = f"{start:%Y%m%d}", f"{end:%Y%m%d}"
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        size = path.stat().st_size
        dated = _DATED.match(path.name)
        inside = dated is None or low <= dated.group(1) <= high
        digest.update(f"{name}\0{size}\0{_checksum(path, size) if inside else ''}\n".encode())
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _checksum(path: Path, size: int) -> str:
    if path.suffix == ".zip":
        try:
            entries = Archive(path, path.name).entries
        except DataError:
            return "broken"
        return ",".join(f"{name}:{entry.crc:08x}" for name, entry in entries.items())
    return f"{zlib.crc32(path.read_bytes()):08x}" if size <= _READ_UP_TO_BYTES else ""
