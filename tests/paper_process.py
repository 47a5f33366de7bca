"""One process of a paper run, to be killed at any moment: lives from a moment to the end, and says each minute.

python -m tests.paper_process NAME FOLDER FROM
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from engine.host import Host
from tests.paper_run import PaperRun, broker_orders


def _bear_witness(run: PaperRun, host: Host) -> Callable[[], None]:
    """Append each broker order that is new or has been filled to a file: what the kernel has survives a SIGKILL."""
    transactions = host.engine.transactions
    save = transactions.on_account_changed
    assert save is not None
    told: set[str] = set()

    def save_and_tell() -> None:
        save()
        fresh = [text for order in broker_orders(host) if (text := order.to_text()) not in told]
        told.update(fresh)
        with run.witness.open("a") as file:
            file.writelines(f"{text}\n" for text in fresh)

    return save_and_tell


def main(name: str, folder: str, since: str) -> None:
    run = PaperRun(name, Path(folder))
    host = run.start(datetime.fromisoformat(since))
    host.engine.transactions.on_account_changed = _bear_witness(run, host)
    moment, last = datetime.fromisoformat(since), datetime.fromisoformat(since).replace(hour=11, minute=30)
    while moment < last:
        moment += timedelta(minutes=1)
        # Said before it is lived: whoever takes over begins no earlier than where this one may have been.
        print(moment.isoformat(), flush=True)
        host.advance(until=moment)
    print("ended", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
