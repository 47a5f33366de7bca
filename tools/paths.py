"""Where things are on this machine: the project, its run folders, the user's cache."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "backtests"
MAIN = ROOT / "main.py"


def cache_dir() -> Path:
    """Return the folder for what can be made again: BULKHEAD_CACHE, else where this system keeps caches."""
    named = os.environ.get("BULKHEAD_CACHE")
    if named:
        return Path(named).expanduser().absolute()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
        return base / "bulkhead" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "bulkhead"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bulkhead"


def markets_dir() -> Path:
    """Return the folder that holds generated markets, one per `cache_key`."""
    return cache_dir() / "markets"
