"""All planted violations, in the order of the specification's table."""

from __future__ import annotations

from tests.audit.planting import broken_chains, headers, money, options, orders, principles, process
from tests.audit.planting.registry import KINDS, Planted

__all__ = ["KINDS", "Planted", "broken_chains", "headers", "money", "options", "orders", "principles", "process"]
