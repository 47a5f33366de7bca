"""LEAN's dictionaries from symbol to data, as algorithms use them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from engine.symbols import Symbol

T = TypeVar("T")


class KeyValuePair(Generic[T]):
    """What iterating a LEAN dictionary yields; unpacks into key and value."""

    __slots__ = ("key", "value")

    def __init__(self, key: Symbol, value: T) -> None:
        self.key = key
        self.value = value

    def __iter__(self) -> Iterator[Any]:
        return iter((self.key, self.value))


class DataDictionary(Generic[T]):
    """LEAN's dictionary from symbol to data; subclasses say how to find one entry and how to list all."""

    __slots__ = ("_all",)

    def __init__(self, entries: dict[Symbol, T] | None = None) -> None:
        self._all = entries

    def _entries(self) -> dict[Symbol, T]:
        if self._all is None:
            self._all = self._build()
        return self._all

    def _build(self) -> dict[Symbol, T]:
        return {}

    def _find(self, symbol: Symbol) -> T | None:
        return self._entries().get(symbol)

    def get(self, symbol: Symbol, default: T | None = None) -> T | None:
        found = self._find(symbol)
        return default if found is None else found

    def get_value(self, symbol: Symbol) -> T | None:
        return self._find(symbol)

    def __getitem__(self, symbol: Symbol) -> T:
        found = self._find(symbol) if self._all is None else self._all.get(symbol)
        if found is None:
            raise KeyError(
                f"'{symbol}' wasn't found in the {type(self).__name__} object, likely because there was no-data at "
                "this moment in time and it wasn't possible to fillforward historical data. Please check the data "
                "exists before accessing it."
            )
        return found

    def __contains__(self, symbol: object) -> bool:
        return self._find(symbol) is not None  # type: ignore[arg-type]

    def contains_key(self, symbol: Symbol) -> bool:
        return self._find(symbol) is not None

    def keys(self) -> list[Symbol]:
        return list(self._entries())

    def values(self) -> list[T]:
        return list(self._entries().values())

    def items(self) -> list[tuple[Symbol, T]]:
        return list(self._entries().items())

    def __iter__(self) -> Iterator[KeyValuePair[T]]:
        return iter([KeyValuePair(symbol, value) for symbol, value in self._entries().items()])

    def __len__(self) -> int:
        return len(self._entries())

    @property
    def count(self) -> int:
        return len(self._entries())
