"""An exit plan as a snapshot holds it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, get_type_hints

from core.errors import StateError
from core.vocabulary import ExitPlan

_TIMES = frozenset(name for name, kind in get_type_hints(ExitPlan).items() if kind is datetime)
_NAMES = frozenset(spec.name for spec in fields(ExitPlan))


def plan_to_text(plan: ExitPlan) -> dict[str, Any]:
    """Return an exit plan as JSON can hold it."""
    values = {name: getattr(plan, name) for name in sorted(_NAMES)}
    return {name: value.isoformat() if name in _TIMES else value for name, value in values.items()}


def plan_from_text(stored: Mapping[str, Any]) -> ExitPlan:
    """Return the plan that was stored.  Raises StateError for one that cannot be read; its trade is frozen."""
    unknown = sorted(set(stored) - _NAMES)
    if unknown:
        raise StateError(f"exit plan: this program does not know {', '.join(unknown)}; the trade is frozen.")
    try:
        values: dict[str, Any] = dict(stored)
        values |= {name: datetime.fromisoformat(values[name]) for name in _TIMES & values.keys()}
        return ExitPlan(**values)
    except (TypeError, ValueError) as error:
        raise StateError(f"exit plan {dict(stored)!r} cannot be read ({error}); the trade is frozen.") from error
