"""Records of the hot path: immutable by type, not by run-time check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """Make a record that the type checker holds to be frozen.

    It has the hash of its fields, as a frozen dataclass has; but that one sets every field through a call: 6 us for a
    snapshot, 0.3 us here.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
