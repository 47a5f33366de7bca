"""`./bulkhead audit`: the independent auditor; its verbs lie in `audit.commands`."""

from __future__ import annotations

from audit.commands import audit as command

__all__ = ["command"]
