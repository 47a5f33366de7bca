"""`self.securities`: all securities of a run by symbol."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from engine.clock import EngineClock
from engine.data_dictionary import KeyValuePair
from engine.securities import Security
from engine.symbols import Symbol


class SecurityManager:
    """All securities by symbol.

    LEAN keeps two collections: iteration sees the active ones, direct keys also reach those that were removed or
    delisted (an expired contract between its last slice and its settlement).
    """

    def __init__(self, clock: EngineClock) -> None:
        self._clock = clock
        self._active: dict[Symbol, Security] = {}
        self._all: dict[Symbol, Security] = {}

    def add(self, security: Security) -> None:
        self._active.setdefault(security.symbol, security)
        self._all[security.symbol] = self._active[security.symbol]

    def hide(self, symbol: Symbol) -> None:
        """Take a security out of iteration; its key keeps working."""
        self._active.pop(symbol, None)

    @property
    def utc_time(self) -> datetime:
        return self._clock.utc

    @property
    def active(self) -> dict[Symbol, Security]:
        return self._active

    @property
    def total(self) -> list[Security]:
        return list(self._all.values())

    def find(self, symbol: object) -> Security | None:
        """Return a security by symbol, or by ticker text as LEAN allows."""
        found = self._all.get(symbol)  # type: ignore[call-overload]
        if found is None and isinstance(symbol, str):
            for candidate in self._all.values():
                if candidate.symbol.value == symbol.upper():
                    return candidate
        return found  # type: ignore[no-any-return]

    def __getitem__(self, symbol: Symbol | str) -> Security:
        found = self._all.get(symbol)  # type: ignore[arg-type]
        if found is None:
            found = self.find(symbol)
        if found is None:
            raise KeyError(
                f"This asset symbol ({symbol}) was not found in your security list. Please add this security or check "
                "it exists before using it with 'securities.contains_key(...)'"
            )
        return found

    def get(self, symbol: Symbol | str, default: Security | None = None) -> Security | None:
        found = self.find(symbol)
        return default if found is None else found

    def contains_key(self, symbol: Symbol | str) -> bool:
        return self.find(symbol) is not None

    def __contains__(self, symbol: object) -> bool:
        return self.find(symbol) is not None

    def keys(self) -> list[Symbol]:
        return list(self._active)

    def values(self) -> list[Security]:
        return list(self._active.values())

    def items(self) -> list[tuple[Symbol, Security]]:
        return list(self._active.items())

    def __iter__(self) -> Iterator[KeyValuePair[Security]]:
        return iter([KeyValuePair(symbol, security) for symbol, security in self._active.items()])

    def __len__(self) -> int:
        return len(self._active)

    @property
    def count(self) -> int:
        return len(self._active)
