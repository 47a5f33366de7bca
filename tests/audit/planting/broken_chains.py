"""Damage that leaves the chain broken: bytes and lines changed where they stand."""

from __future__ import annotations

from tests.audit.damage import Ledger
from tests.audit.planting.registry import plants


@plants("byte flip", 2)
def _byte_flip(ledger: Ledger) -> list[bytes] | None:
    lines = ledger.lines()
    place = ledger.rng.randrange(len(lines))
    line = bytearray(lines[place])
    at = ledger.rng.randrange(len(line))
    line[at] ^= 1 << ledger.rng.randrange(8)
    lines[place] = bytes(line)
    return _resplit(lines)


def _resplit(lines: list[bytes]) -> list[bytes]:
    """Cut the bytes into lines as a file is read: at line feeds alone."""
    *whole, rest = b"".join(lines).split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])


@plants("line deleted, chain broken", 2)
def _line_gone(ledger: Ledger) -> list[bytes] | None:
    lines = ledger.lines()
    del lines[ledger.rng.randrange(len(lines) - 1)]
    return lines


@plants("lines swapped", 2)
def _swapped(ledger: Ledger) -> list[bytes] | None:
    lines = ledger.lines()
    at = ledger.rng.randrange(len(lines) - 1)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    return lines


@plants("line repeated", 2)
def _repeated(ledger: Ledger) -> list[bytes] | None:
    lines = ledger.lines()
    at = ledger.rng.randrange(len(lines))
    return [*lines[: at + 1], *lines[at:]]


@plants("tail cut", 7)
def _tail_cut(ledger: Ledger) -> list[bytes] | None:
    lines = ledger.lines()
    kept = lines[: ledger.rng.randrange(1, len(lines))]
    if ledger.rng.random() < 0.5:
        kept[-1] = kept[-1][: ledger.rng.randrange(1, len(kept[-1]))]
    return kept
