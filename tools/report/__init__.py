"""The page of a run: self-contained, offline, made from the run folder's ledger and summary alone."""

from __future__ import annotations

from tools.report.page import build

__all__ = ["build"]
