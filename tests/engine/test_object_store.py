"""The object store: keys, what reaches the disk and when."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from engine.object_store import Flush, ObjectStore, ObjectStoreError, ObjectStoreKeyError

START = datetime(2025, 1, 3, 15, 0)


@pytest.mark.parametrize("key", ["bulkhead/state.json", "a b", "deep/er/k", "UPPER", "x" * 250, "ledger-00001"])
def test_keys_that_lean_takes(key: str) -> None:
    store = ObjectStore()

    assert store.save(key, "text")
    assert store.read(key) == "text"
    assert store.contains_key(key)


@pytest.mark.parametrize("key", ["a:b", "x.y.z", "..", "a/../b", "ключ", ""])
def test_keys_that_lean_refuses(key: str) -> None:
    with pytest.raises(ObjectStoreError, match="expected letters"):
        ObjectStore().save(key, "text")


def test_a_missing_key_is_a_key_error() -> None:
    with pytest.raises(ObjectStoreKeyError, match="was not found"):
        ObjectStore().read("missing")


def test_a_save_reaches_the_disk_with_the_next_flush_after_five_seconds(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    store.save("a", "1")
    store.tick(START)
    assert (tmp_path / "a").read_text() == "1"

    store.save("a", "2")
    store.tick(START + timedelta(seconds=4))
    assert (tmp_path / "a").read_text() == "1"
    assert store.read("a") == "2"

    store.tick(START + timedelta(seconds=5))
    assert (tmp_path / "a").read_text() == "2"


def test_asking_for_the_path_makes_a_save_durable(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path, flush=Flush.WHEN_TOLD)
    store.save("deep/a", "1")
    assert not (tmp_path / "deep/a").exists()

    assert Path(store.get_file_path("deep/a")).read_text() == "1"


def test_a_store_in_memory_can_hand_out_paths_too() -> None:
    store = ObjectStore()
    store.save("a", "1")

    assert Path(store.get_file_path("a")).read_text() == "1"
    assert store.contents() == {"a": b"1"}


def test_a_new_process_reads_what_the_old_one_flushed_and_nothing_else(tmp_path: Path) -> None:
    old = ObjectStore(tmp_path, flush=Flush.WHEN_TOLD)
    old.save("kept", "1")
    old.get_file_path("kept")
    old.save("lost", "2")

    new = ObjectStore(tmp_path)

    assert new.keys == ["kept"]
    assert new.read("kept") == "1"
    assert not new.contains_key("lost")
    assert old.flushed() == {"kept": b"1"}


def test_deleting_removes_the_file(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path, flush=Flush.AT_ONCE)
    store.save("a", "1")

    assert store.delete("a")
    assert not store.contains_key("a")
    assert not (tmp_path / "a").exists()
    assert not store.delete("a")


def test_iterating_yields_keys_and_bytes() -> None:
    store = ObjectStore(initial={"a": b"1", "b": b"2"})

    assert [(entry.key, entry.value) for entry in store] == [("a", b"1"), ("b", b"2")]
    assert store.read_json("a") == 1
