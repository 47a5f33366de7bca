"""The register of planted violations: each a small, seeded damage that one named rule must see.

Those with a broken chain leave the chain as they found it; the others chain anew and make dependent fields fit, so that
neither the chain nor a sum does the rule's work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.audit.damage import Ledger

Damage = Callable[[Ledger], "list[bytes] | None"]
"""Returns the damaged lines, None where this ledger has nothing that could be damaged so."""

LONG: Final = frozenset({"QQQ", "TQQQ"})


@dataclass(frozen=True, slots=True)
class Planted:
    """A kind of violation: the rule that must see it, and the world it needs."""

    name: str
    rule: str
    damage: Damage
    world: str = "any"


KINDS: Final[list[Planted]] = []


def plants(name: str, rule: int, world: str = "any") -> Callable[[Damage], Damage]:
    """Register a damage under its name, with the number of the rule that must see it."""

    def add(damage: Damage) -> Damage:
        KINDS.append(Planted(name, f"AU-{rule:02d}", damage, world))
        return damage

    return add
