"""A ledger leaves the object store whole or not at all."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tools.errors import RunFailedError
from tools.ledger_chunks import join_chunks


@given(
    st.lists(st.binary(min_size=1, max_size=40).map(lambda raw: raw.replace(b"\n", b".") + b"\n"), min_size=1),
    st.sampled_from((0, 1)),
)
@example([b"%d\n" % n for n in range(12)], 0)
def test_chunks_are_joined_by_number_not_by_name(chunks: list[bytes], first: int) -> None:
    store = {f"bulkhead/0a1b2c3d/ledger-{first + n}": chunk for n, chunk in enumerate(chunks)}
    backwards = dict(sorted(store.items(), reverse=True))
    assert join_chunks({**backwards, "bulkhead/0a1b2c3d/state-a": b"{}"}) == b"".join(chunks)


def test_a_chunk_without_its_last_newline_does_not_swallow_the_next_line() -> None:
    assert join_chunks({"bulkhead/r/ledger-0": b"a", "bulkhead/r/ledger-1": b"b\n"}) == b"a\nb\n"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ([], "left no ledger"),
        (["bulkhead/r/state-a"], "left no ledger"),
        (["bulkhead/r/ledger-0", "bulkhead/s/ledger-0"], r"ledgers of 2 runs \(r, s\)"),
        (["bulkhead/r/ledger-0", "bulkhead/r/ledger-2"], "chunks 1 of run r are missing"),
        (["bulkhead/r/ledger-3"], "chunks 0, 1, 2 of run r are missing"),
    ],
)
def test_a_ledger_with_a_hole_is_refused(keys: list[str], said: str) -> None:
    with pytest.raises(RunFailedError, match=said):
        join_chunks(dict.fromkeys(keys, b"{}\n"))
