"""Find the LEAN launcher folder of this machine: the one that holds QuantConnect.Lean.Launcher.dll."""

from __future__ import annotations

import os
from pathlib import Path

from tools.errors import BulkheadUsageError

LAUNCHER_DLL = "QuantConnect.Lean.Launcher.dll"
HOW_TO_GET_ONE = (
    "Take the launcher folder of a LEAN installation or copy it out of QuantConnect's Docker image, then name it with "
    "--lean DIR, the environment variable BULKHEAD_LEAN or the file ~/.bulkhead/lean"
)


def find_launcher(named: Path | None = None) -> Path | None:
    """Return the launcher folder, or None where nobody names one.

    Looked for in this order: `named` (--lean), BULKHEAD_LEAN, the file ~/.bulkhead/lean.
    Raises BulkheadUsageError when a named folder holds no launcher: a wrong path is never passed over in silence.
    """
    note = Path.home() / ".bulkhead" / "lean"
    if named is not None:
        return _checked(named, "--lean")
    if os.environ.get("BULKHEAD_LEAN"):
        return _checked(Path(os.environ["BULKHEAD_LEAN"]), "BULKHEAD_LEAN")
    if note.is_file():
        return _checked(Path(note.read_text(encoding="utf-8").strip()), str(note))
    return None


def _checked(folder: Path, source: str) -> Path:
    folder = folder.expanduser().absolute()
    if not (folder / LAUNCHER_DLL).is_file():
        raise BulkheadUsageError(f"{source} = {folder}: expected a folder that holds {LAUNCHER_DLL}. {HOW_TO_GET_ONE}.")
    return folder
