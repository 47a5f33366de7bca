"""`./bulkhead data`: write a synthetic market, or validate any LEAN-format folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path

import click

from tools.dates import DAY


@click.group("data", short_help="Write or validate a LEAN-format data folder.")
def command() -> None:
    """Write a synthetic market, or validate any LEAN-format data folder."""
