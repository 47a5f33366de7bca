"""LEAN's object store: memory first, written to disk a little later (Engine/Storage/LocalObjectStore.cs).

LEAN flushes every five seconds of wall time.  A simulated run has no wall clock, so the flush is a policy: every five
seconds of algorithm time (the default), at once, or only when told.  `get_file_path` writes at once, as in LEAN; so
does the end of a run.  What was saved but not flushed is lost when the process dies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from engine.errors import EngineError

_VALID_KEY: Final = re.compile(r"^\.?[a-zA-Z0-9\\/_#\-\$= ]+\.?[a-zA-Z0-9]*$")
FLUSH_INTERVAL: Final = timedelta(seconds=5)


class Flush(Enum):
    """When saved objects reach the disk."""

    EVERY_5_S = "every 5 s of algorithm time"
    AT_ONCE = "at every save"
    WHEN_TOLD = "only at get_file_path, flush and the end"


class ObjectStoreError(EngineError, ValueError):
    """A key that LEAN refuses; nothing was saved."""


class ObjectStoreKeyError(EngineError, KeyError):
    """A key that is not there (LEAN: KeyNotFoundException)."""

    def __str__(self) -> str:
        return str(self.args[0])


class StoreEntry:
    """What iterating a store yields."""

    __slots__ = ("key", "value")

    def __init__(self, key: str, value: bytes) -> None:
        self.key = key
        self.value = value


class ObjectStore:
    """Objects by key.  Without a folder everything stays in memory."""

    def __init__(
        self, root: Path | None = None, initial: dict[str, bytes] | None = None, flush: Flush = Flush.EVERY_5_S
    ) -> None:
        self._root = root
        self._policy = flush
        self._objects: dict[str, bytes] = dict(initial or {})
        self._dirty: dict[str, None] = {}
        self._deleted: dict[str, None] = {}
        self._next_flush = datetime.min
        self._scratch: TemporaryDirectory[str] | None = None
        self.max_size = 10 * 1024**3
        self.max_files = 10_000

    # What an algorithm calls.

    def contains_key(self, key: str) -> bool:
        key = _checked(key)
        if key in self._objects:
            return True
        return key not in self._deleted and self._on_disk(key) is not None

    def read_bytes(self, key: str) -> bytes:
        key = _checked(key)
        found = self._objects.get(key)
        if found is None and key not in self._deleted:
            path = self._on_disk(key)
            if path is not None:
                found = self._objects[key] = path.read_bytes()
        if found is None:
            raise ObjectStoreKeyError(
                f"Object with key '{key}' was not found in the current project. Please use "
                "object_store.contains_key(key) to check if an object exists before attempting to read."
            )
        return found

    def read(self, key: str) -> str:
        return self.read_bytes(key).decode("utf-8")

    read_string = read

    def read_json(self, key: str) -> Any:
        return json.loads(self.read(key))

    def save_bytes(self, key: str, contents: bytes) -> bool:
        key = _checked(key)
        self._objects[key] = bytes(contents)
        self._dirty[key] = None
        self._deleted.pop(key, None)
        if self._policy is Flush.AT_ONCE:
            self._write(key)
        return True

    def save(self, key: str, text: str | None = None) -> bool:
        """Save text; without text, what was written to `get_file_path(key)` is taken over, as in LEAN."""
        if text is None:
            path = self._on_disk(_checked(key))
            if path is None:
                raise ObjectStoreError(f"object_store.save({key!r}): no file was written there. Pass the text to save.")
            self._objects[_checked(key)] = path.read_bytes()
            return True
        return self.save_bytes(key, str(text).encode("utf-8"))

    save_string = save

    def save_json(self, key: str, value: Any) -> bool:
        return self.save(key, json.dumps(value))

    def delete(self, key: str) -> bool:
        key = _checked(key)
        existed = self.contains_key(key)
        self._objects.pop(key, None)
        self._dirty.pop(key, None)
        self._deleted[key] = None
        path = self._on_disk(key)
        if path is not None:
            path.unlink()
        return existed

    def get_file_path(self, key: str) -> str:
        """Return the path of an object's file, written first if it is not there yet: a durable save."""
        key = _checked(key)
        if self._root is None:
            # A store in memory gets a folder for as long as it lives; everything that is dirty stays so.
            self._scratch = TemporaryDirectory(prefix="object-store-")
            self._root = Path(self._scratch.name)
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        if key in self._dirty:
            self._write(key)
        return str(path)

    @property
    def keys(self) -> list[str]:
        names = dict.fromkeys(self._objects)
        if self._root is not None and self._root.is_dir():
            for path in sorted(self._root.rglob("*")):
                if path.is_file():
                    names.setdefault(path.relative_to(self._root).as_posix())
        return [name for name in names if name not in self._deleted]

    def __iter__(self) -> Iterator[StoreEntry]:
        return iter([StoreEntry(key, self.read_bytes(key)) for key in self.keys])

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def count(self) -> int:
        return len(self.keys)

    def clear(self) -> None:
        for key in self.keys:
            self.delete(key)

    # What the engine does.

    @property
    def is_dirty(self) -> bool:
        return bool(self._dirty)

    def tick(self, utc: datetime) -> None:
        """Flush if it is time."""
        if self._dirty and self._policy is Flush.EVERY_5_S and utc >= self._next_flush:
            self.flush()
            self._next_flush = utc + FLUSH_INTERVAL

    def flush(self) -> None:
        for key in list(self._dirty):
            self._write(key)

    def contents(self) -> dict[str, bytes]:
        """Return everything, flushed or not."""
        return {key: self.read_bytes(key) for key in self.keys}

    def flushed(self) -> dict[str, bytes]:
        """Return what would survive the death of the process."""
        return {key: self._objects[key] for key in self._objects if key not in self._dirty}

    def _write(self, key: str) -> None:
        self._dirty.pop(key, None)
        if self._root is None:
            return
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._objects[key])

    def _on_disk(self, key: str) -> Path | None:
        if self._root is None:
            return None
        path = self._root / key
        return path if path.is_file() else None


def _checked(key: str) -> str:
    """Return the key as LEAN stores it; raises ObjectStoreError for keys LEAN refuses."""
    if not key or not _VALID_KEY.match(key):
        raise ObjectStoreError(
            f"object store key {key!r}: expected letters, digits and _ - = $ # / and at most one dot. Rename it."
        )
    return key.replace("\\", "/").lstrip("/")
