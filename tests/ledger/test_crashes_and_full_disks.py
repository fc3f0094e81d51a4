"""A rotation that is cut short at any point is finished or undone; a disk that is full costs steps, never the ledger."""

import shutil
import sqlite3

import pytest

from burster.ledger import Ledger, LedgerUnwritableError
from burster.model.decisions import Decision, Reason
from burster.model.errors import InputError
from burster.model.stimuli import Spend, Tick


class Died(BaseException):
    """The process ends here."""


def fill(ledger, steps):
    reason = Reason(code="Demand", sentence="x" * 500)
    for at_ms in range(1, steps + 1):
        decision = Decision(at_ms=at_ms, verdict="Burst", policy="bank/p", subject="bank/a", reasons=(reason,))
        spend = Spend(burst="b", uid=f"u{at_ms}", policy="bank/p", target="azure", at_ms=at_ms, micro_usd=1)
        ledger.append_step(at_ms, [Tick(kind="gc")], [decision], [spend])


@pytest.mark.parametrize("point", ["before the next is ready", "before the seal", "before the new name", "after it"])
def test_a_rotation_that_is_cut_short_is_finished_or_undone(path, tmp_path, monkeypatch, point):
    from burster.ledger import sqlite

    def dies(*_):
        raise Died

    ledger = Ledger.open(path)
    fill(ledger, 3)
    if point == "before the next is ready":
        monkeypatch.setattr(sqlite.SqliteBackend, "_prepare", dies)
    elif point == "before the seal":
        monkeypatch.setattr(sqlite.SqliteBackend, "append", dies)
    elif point == "before the new name":
        monkeypatch.setattr(sqlite.Path, "rename", dies)
    else:
        monkeypatch.setattr(sqlite, "_settle_folder", dies)
    with pytest.raises(Died):
        ledger.rotate(10, b"state")
    monkeypatch.undo()
    # what a dead process leaves: the files as they are, whoever had them open
    (tmp_path / "left").mkdir()
    for file in path.parent.glob("ledger*"):
        shutil.copy(file, tmp_path / "left" / file.name)
    left = tmp_path / "left" / "ledger.sqlite"
    with Ledger.read(left) as reader:
        assert (reader.counts()["steps"], len(reader.spend())) == (3, 3)
    with Ledger.open(left) as successor:
        assert successor.append_step(11, [Tick(kind="gc")], []) == 4
        assert successor.integrity() == ()
        successor.rotate(12, b"state")
        assert successor.append_step(13, [Tick(kind="gc")], []) == 5
        assert successor.integrity() == ()
    assert not list((tmp_path / "left").glob("*.new"))
    ledger.close()


def test_a_segment_that_is_missing_at_the_end_is_not_written_over(path):
    with Ledger.open(path) as ledger:
        fill(ledger, 3)
        ledger.rotate(4, b"state")
    path.with_name("ledger.000002.sqlite").unlink()
    with pytest.raises(InputError, match=r"ledger\.000002\.sqlite, is missing"):
        Ledger.open(path)


def test_sealed_files_are_plain_and_read_only(path):
    with Ledger.open(path) as ledger:
        fill(ledger, 3)
        ledger.rotate(4, b"state")
        assert path.stat().st_mode & 0o777 == 0o440
        assert not path.with_name("ledger.sqlite-wal").exists()
    assert sorted(file.name for file in path.parent.iterdir()) == ["ledger.000002.sqlite", "ledger.sqlite"]


def test_a_full_disk_refuses_whole_steps_and_what_is_there_stays(path):
    with Ledger.open(path) as ledger:
        fill(ledger, 10)
        connection = ledger._backend._newest.connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        # SQLite's own bound answers as a full disk does
        connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(LedgerUnwritableError, match="full"):
            fill(ledger, 100)
        written = ledger.counts()["steps"]
        assert written < 110
        assert ledger.integrity() == ()
        with pytest.raises(LedgerUnwritableError, match="full"):
            fill(ledger, 100)
        connection.execute("PRAGMA max_page_count = 1000000")
        fill(ledger, 5)
        assert ledger.counts()["steps"] >= written + 5
        assert ledger.integrity() == ()


def test_a_rotation_for_which_there_is_no_room_changes_nothing(path, monkeypatch):
    from burster.ledger import sqlite

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    with Ledger.open(path) as ledger:
        fill(ledger, 3)
        with monkeypatch.context() as broken:
            broken.setattr(sqlite.SqliteBackend, "_prepare", full)
            with pytest.raises(LedgerUnwritableError, match="full"):
                ledger.rotate(4, b"state")
        assert ledger.append_step(5, [Tick(kind="gc")], []) == 4
        assert ledger.rotate(6, b"state") == (2, ())
        assert ledger.integrity() == ()
