"""The files that are the algorithm: what runs in the cloud, and whose hash stands in the ledger's header."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

from tools.paths import ROOT

PACKAGES = ("core", "risk", "strategies", "helpers")


def shipped_files(root: Path = ROOT) -> list[Path]:
    """Return main.py and every Python file of the packages that it imports, in the order of their names."""
    files = [root / "main.py"]
    for package in PACKAGES:
        files += sorted((root / package).rglob("*.py"))
    return [path for path in files if "__pycache__" not in path.parts]


def code_hash(root: Path = ROOT) -> str:
    """Return one hash over names and contents of the shipped files; line endings do not count."""
    digest = hashlib.sha256()
    for path in shipped_files(root):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def version(root: Path = ROOT) -> str:
    """Return the version of the project."""
    with (root / "pyproject.toml").open("rb") as handle:
        return str(tomllib.load(handle)["project"]["version"])
