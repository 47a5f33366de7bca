"""Write a table of the store as CSV or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from typing import Final

from audit.store import Store, tables

FORMATS: Final = ("csv", "jsonl")


def export_table(store: Store, table: str, form: str) -> str:
    """Return all rows of a table. Raises ValueError for a name that no table has."""
    known = tables()
    if table not in known:
        raise ValueError(f"{table}: expected one of {', '.join(known)}.")
    cursor = store.connection.execute(f'SELECT * FROM "{table}"')
    names = [column[0] for column in cursor.description]
    out = io.StringIO()
    if form == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(cursor)
    else:
        for row in cursor:
            out.write(json.dumps(dict(zip(names, row, strict=True))) + "\n")
    return out.getvalue()
