"""The one name of .NET's collections that an algorithm needs to tell a missing key."""

from __future__ import annotations

KeyNotFoundException = KeyError

__all__ = ["KeyNotFoundException"]
