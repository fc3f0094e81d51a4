"""Where a ledger may be, said before anything is begun."""

import sqlite3
from pathlib import Path

import pytest

from burster.ledger import Ledger, LedgerPlace
from burster.model.errors import InputError


def make_foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        pytest.param(lambda path: path.mkdir(), "is a folder", id="a folder"),
        pytest.param(lambda path: path.write_text("x" * 200), "it is no SQLite file", id="a text file"),
        pytest.param(make_foreign, "a file of something else", id="another database"),
        pytest.param(lambda path: path.symlink_to("/dev/full"), "no file that may be", id="a device"),
    ],
)
def test_what_can_be_no_ledger_is_said_and_left_alone(path, make, sentence):
    make(path)
    with pytest.raises(InputError, match=sentence):
        LedgerPlace(path=path).check()


def test_a_folder_that_is_a_file_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="give it a writable folder"):
        LedgerPlace(path=tmp_path / "file" / "ledger.sqlite").check()


def test_looking_changes_nothing(path):
    place = LedgerPlace(path=path.parent / "new" / "ledger.sqlite")
    place.check()
    assert list(place.path.parent.iterdir()) == []
    with place.open(1) as ledger:
        ledger.append_step(1, [], [])
        before = ledger.head
        place.check()
        assert ledger.head == before
    place.check()
    with Ledger.read(place.path) as reader:
        assert reader.meta()["epoch"] == "1"
