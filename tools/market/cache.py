"""Generated markets that are kept: made at the first use, found at the next, without loading what makes them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tools.market.spec import MarketManifest, MarketSpec, cache_key

Progress = Callable[[int, int], None]


def cached_market(spec: MarketSpec, root: Path, progress: Progress | None = None, jobs: int | None = None) -> Path:
    """Return the folder of the market below `root`, made now unless it is there already.

    It is made beside its place and moved there when whole: an interrupted run leaves no half market behind.
    """
    key = cache_key(spec)
    place = root / key
    known = MarketManifest.load(place)
    if known is not None and known.key == key:
        return place
    from tools.market.generator import generate

    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=root))
    try:
        generate(spec, draft, progress, jobs)
        if place.exists():
            shutil.rmtree(place)
        try:
            draft.rename(place)
        except OSError:
            # Another process was faster; its market has the same bytes.
            if MarketManifest.load(place) is None:
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place
