"""Whose quotes a step reads: what is held, at work or was lately, and what is watched even where nothing is held."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter

from core.vocabulary import Instrument

_symbol = attrgetter("symbol")


class WatchList:
    """Knows the instruments of the last step, which nearly always are those of this one."""

    def __init__(self, instrument: Callable[[str], Instrument], always: Sequence[Instrument]) -> None:
        self._instrument = instrument
        self._always = tuple(always)
        self._always_symbols = frozenset(map(_symbol, always))
        self._held: Mapping[str, int] | None = None
        self._at_work: tuple[str, ...] = ()
        self._lately: frozenset[str] = frozenset()
        self._found: tuple[Instrument, ...] = ()

    def of(self, held: Mapping[str, int], at_work: tuple[str, ...], lately: frozenset[str]) -> Sequence[Instrument]:
        """Return instruments in the order of their symbols.

        Each of the three is made anew when it changes, so that the same objects name the same instruments.
        """
        if held is not self._held or at_work is not self._at_work or lately is not self._lately:
            others = {*held, *at_work, *lately}.difference(self._always_symbols)
            self._found = tuple(sorted([*self._always, *map(self._instrument, others)], key=_symbol))
            self._held, self._at_work, self._lately = held, at_work, lately
        return self._found
