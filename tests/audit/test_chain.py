"""Lines: canonical form, hash, sequence, time, fields; what may not be told apart from damage is damage."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.chain import Chain
from audit.verdict import Verdict, judge_lines
from tests.audit.chaining import Record, canonical, chained
from tests.audit.worlds import clean

ALERT = {"v": 1, "seq": 0, "time": "2025-11-28T18:00:00.000000Z", "kind": "ALERT", "book": "", "severity": "INFO"}


def alert(**fields: Any) -> Record:
    return ALERT | {"code": "NOTE", "text": "all is well"} | fields


def complaints(lines: list[bytes]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    chain = Chain(lambda rule, seq, us, text: found.append((rule, text)))
    list(chain.walk(lines))
    return found


def rules(lines: list[bytes]) -> set[str]:
    return {rule for rule, _ in complaints(lines)}


def raw(body: bytes) -> bytes:
    """Return a line with that content and its true hash."""
    return body[:-1] + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def test_a_whole_run_has_nothing_to_complain_about() -> None:
    assert complaints(chained(clean(1, sessions=1))) == []


@pytest.mark.parametrize(
    "text", ["plain", 'tab\tquote"back\\slash', "ünïcode", "line\nfeed", "\x7f", "\u2028", "🙂", "\x00"]
)
def test_text_of_any_kind_is_canonical_when_python_wrote_it(text: str) -> None:
    assert complaints(chained([alert(text=text)])) == []


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_whatever_the_writer_encodes_is_canonical(text: str) -> None:
    assert complaints(chained([alert(text=text)])) == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"seq":0}',
        canonical(alert(prev_hash="0" * 64)).replace(b'"INFO"', b'"\\u0049NFO"'),
        canonical(alert(prev_hash="0" * 64)).replace(b'"v":1', b'"v":1.0'),
        canonical(alert(prev_hash="0" * 64)).replace(b'"seq":0', b'"seq":-0'),
        canonical(alert(prev_hash="0" * 64)).replace(b'"seq":0', b'"seq":0,"seq":0'),
        canonical(alert(prev_hash="0" * 64)).replace(b'"text"', b'"a":null,"text"'),
        canonical(alert(prev_hash="0" * 64)).replace(b"all is well", "schön".encode()),
        canonical(alert(prev_hash="0" * 64)).replace(b"all is well", b"\x7f"),
        b'{"v":1,' + canonical(alert(prev_hash="0" * 64))[1:].replace(b',"v":1', b""),
        b"[1]",
        b"nothing",
        b"",
    ],
)
def test_a_line_in_another_form_is_found(body: bytes) -> None:
    assert "AU-01" in rules([raw(body)])


@pytest.mark.parametrize("value", [2**63, -(2**63), 2**64, 10**30])
def test_a_number_of_more_than_64_bits_is_found(value: int) -> None:
    record = alert() | {"kind": "EVENT_QUARANTINED", "order": "", "cause": "SIDE", "symbol": "", "qty": value}
    for name in ("severity", "code", "text"):
        del record[name]
    assert rules(chained([record])) == {"AU-01"}
    assert rules(chained([record | {"qty": 2**62}])) == set()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"severity": ""}, "AU-01"),
        ({"severity": 1}, "AU-01"),
        ({"severity": True}, "AU-01"),
        ({"note": "x"}, "AU-01"),
        ({"kind": "ALERTS"}, "AU-01"),
        ({"kind": ["ALERT"]}, "AU-01"),
        ({"kind": 7}, "AU-01"),
        ({"time": "2025-11-28T18:00:00Z"}, "AU-01"),
        ({"time": 5}, "AU-01"),
        ({"book": None}, "AU-01"),
        ({"v": 0}, "AU-01"),
        ({"v": True}, "AU-01"),
    ],
)
def test_a_record_that_is_none_is_found(change: dict[str, Any], rule: str) -> None:
    assert rule in rules(chained([alert(**change)]))


def test_time_may_stand_still_and_never_runs_back() -> None:
    earlier = alert(time="2025-11-28T17:59:59.999999Z")
    assert rules(chained([alert(), alert(), alert()])) == set()
    assert rules(chained([alert(), earlier])) == {"AU-03"}


def test_a_gap_in_seq_is_one_complaint() -> None:
    records = [alert(seq=number) for number in (0, 1, 3, 4)]
    assert [rule for rule, _ in complaints(chained(records, renumber=False))] == ["AU-03"]


def test_a_missing_line_feed_at_the_end_is_found() -> None:
    lines = chained([alert(), alert()])
    assert {"AU-01", "AU-02"} <= rules([lines[0], lines[1][:-1]])
    assert {"AU-01", "AU-02"} <= rules([lines[0], lines[1][:-1] + b"\r\n"])


@pytest.mark.parametrize("at", [-2, -3, -68, -69, -70, -76])
def test_a_flip_in_the_frame_around_the_hash_breaks_the_chain_as_well(at: int) -> None:
    line = bytearray(chained([alert()])[0])
    line[at] ^= 1
    assert "AU-02" in rules([bytes(line)])


def test_a_newer_schema_is_neither_clean_nor_violated() -> None:
    records = clean(1, sessions=1)
    for change in ({"v": 2, "shape": "new"}, {"schema": 2, "shape": "new"}):
        newer = [records[0] | change, *({**record, "news": 1} for record in records[1:])]
        judgement = judge_lines(chained(newer))
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert "newer schema" in judgement.causes[0].text


def test_anchors_are_compared_with_the_lines_they_name() -> None:
    lines = chained(clean(1, sessions=1))
    head = lines[5][-67:-3].decode()
    assert judge_lines(lines, anchors={5: head}).verdict is Verdict.CLEAN
    assert judge_lines(lines, anchors={5: "0" * 64}).verdict is Verdict.VIOLATED
    assert judge_lines(lines, anchors={10**6: head}).verdict is Verdict.VIOLATED


def test_a_complete_rewrite_shows_against_an_anchor_alone() -> None:
    records = clean(1, sessions=1)
    before = chained(records)
    rewritten = chained([records[0] | {"engine_version": "2"}, *records[1:]])
    assert judge_lines(rewritten).verdict is Verdict.CLEAN
    anchor = {len(before) - 1: before[-1][-67:-3].decode()}
    assert judge_lines(rewritten, anchors=anchor).verdict is Verdict.VIOLATED
