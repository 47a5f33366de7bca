"""Load main.py for an algorithm that builds on it, under another name: the engine calls whatever it runs `main`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_ROOT = Path(__file__).resolve().parents[2]


def load_main() -> ModuleType:
    """Return main.py as a module; only inside of an engine, which is where AlgorithmImports is."""
    known = sys.modules.get("bulkhead_main")
    if known is not None:
        return known
    spec = importlib.util.spec_from_file_location("bulkhead_main", _ROOT / "main.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["bulkhead_main"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
