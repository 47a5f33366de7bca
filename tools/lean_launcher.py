"""Find what a native run on LEAN needs: the launcher folder, dotnet, a Python library, Python packages."""

from __future__ import annotations

import glob
import os
import re
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from tools.errors import BulkheadUsageError

LAUNCHER_DLL = "QuantConnect.Lean.Launcher.dll"
HOW_TO_GET_ONE = (
    "Take the launcher folder of a LEAN installation or copy it out of QuantConnect's Docker image, then name it with "
    "--lean DIR, the environment variable BULKHEAD_LEAN or the file ~/.bulkhead/lean"
)


@dataclass(frozen=True, slots=True)
class Installation:
    """What starts LEAN on this machine; all paths are absolute."""

    launcher: Path
    dotnet: Path
    python_library: Path
    packages: Path
    """A virtual environment or site-packages folder with what LEAN's own Python files and the algorithm import."""

    @property
    def version(self) -> str:
        return engine_version(self.launcher)


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


def find_installation(named: Path | None = None) -> Installation:
    """Return what a run needs.

    Raises BulkheadUsageError when there is no launcher, no dotnet, or no Python library that LEAN can load.
    """
    launcher = find_launcher(named)
    if launcher is None:
        raise BulkheadUsageError(f"--engine lean: no LEAN launcher folder is named on this machine. {HOW_TO_GET_ONE}.")
    dotnet = shutil.which("dotnet")
    if dotnet is None:
        raise BulkheadUsageError("--engine lean: expected the command dotnet on PATH. Install the .NET runtime.")
    return Installation(launcher, Path(dotnet), python_library(), packages())


def engine_version(launcher: Path) -> str:
    """Return the version that QuantConnect.Common.dll carries (2.5.0.0), "unknown" where it carries none."""
    try:
        content = (launcher / "QuantConnect.Common.dll").read_bytes()
    except OSError:
        return "unknown"
    # The version resource of a Windows library: UTF-16 text, the value after its name and padding.
    match = re.search("FileVersion".encode("utf-16-le") + rb"\0+((?:[0-9.]\0)+)", content)
    return match.group(1).decode("utf-16-le") if match is not None else "unknown"


def python_library() -> Path:
    """Return the shared library of Python 3.11 that LEAN embeds: PYTHONNET_PYDLL, this Python's, or the system's."""
    named = os.environ.get("PYTHONNET_PYDLL")
    if named:
        if not Path(named).is_file():
            raise BulkheadUsageError(
                f"PYTHONNET_PYDLL = {named}: expected the shared library of Python 3.11. Correct it."
            )
        return Path(named)
    found: list[str] = []
    for folder in (sysconfig.get_config_var("LIBDIR"), Path(sys.base_prefix) / "lib", sys.base_prefix):
        names = ("libpython3.11.so.1.0", "libpython3.11.so", "libpython3.11.dylib", "python311.dll")
        found += [os.path.join(str(folder), name) for name in names]
    found += sorted(glob.glob("/usr/lib/*/libpython3.11.so*")) + sorted(glob.glob("/usr/lib*/libpython3.11.so*"))
    for path in found:
        if os.path.isfile(path):
            return Path(path)
    raise BulkheadUsageError(
        "--engine lean: no shared library of Python 3.11 found. Install it (Debian: libpython3.11), or name it in "
        "PYTHONNET_PYDLL."
    )


def packages() -> Path:
    """Return the environment whose packages LEAN's Python sees: BULKHEAD_LEAN_VENV, else the one that runs us.

    Ours by default: the same numpy and scipy as under the embedded engine give the same last digits.
    """
    named = os.environ.get("BULKHEAD_LEAN_VENV")
    if named and not (Path(named) / "pyvenv.cfg").is_file():
        raise BulkheadUsageError(
            f"BULKHEAD_LEAN_VENV = {named}: expected a virtual environment (pyvenv.cfg). Correct or unset it."
        )
    folder = _site_packages(Path(named)) if named else Path(sysconfig.get_path("purelib"))
    return folder.absolute()


def _site_packages(venv: Path) -> Path:
    windows = venv / "Lib" / "site-packages"
    return windows if windows.is_dir() else venv / "lib" / "python3.11" / "site-packages"


def _checked(folder: Path, source: str) -> Path:
    folder = folder.expanduser().absolute()
    if not (folder / LAUNCHER_DLL).is_file():
        raise BulkheadUsageError(f"{source} = {folder}: expected a folder that holds {LAUNCHER_DLL}. {HOW_TO_GET_ONE}.")
    return folder
