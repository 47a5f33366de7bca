"""`self.universe_manager`: the universes of the option chains, without those of what an algorithm adds by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.errors import EngineUnsupported

if TYPE_CHECKING:
    from engine.selection import ChainUniverse
    from engine.symbols import Symbol


class UniverseManager:
    """Universes by the canonical symbol of their chain."""

    def __init__(self, chains: Mapping[Symbol, ChainUniverse]) -> None:
        self._chains = chains

    def __getitem__(self, symbol: Symbol) -> Universe:
        return Universe(self._chains[symbol])

    def contains_key(self, symbol: Symbol) -> bool:
        return symbol in self._chains

    def __getattr__(self, name: str) -> object:
        raise EngineUnsupported(f"QCAlgorithm.universe_manager.{name}")


class Universe:
    """One universe as an algorithm sees it."""

    __slots__ = ("_chain",)

    def __init__(self, chain: ChainUniverse) -> None:
        self._chain = chain

    @property
    def selected(self) -> list[Symbol] | None:
        """The choice of the last selection, which LEAN's filter begins with the underlying; None before the first."""
        return self._chain.selected

    def __getattr__(self, name: str) -> object:
        raise EngineUnsupported(f"Universe.{name}")
