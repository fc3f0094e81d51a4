"""Pages of a ledger's file that are not what was written: refused in a sentence, never a traceback, never an amount that nobody settled."""

import random

import pytest

from burster.ledger import Ledger
from burster.model.errors import InputError
from tests.ledger.test_crashes_and_full_disks import fill


@pytest.mark.parametrize("seed", range(24))
def test_a_torn_page_is_never_taken_for_an_amount(path, seed):
    with Ledger.open(path) as ledger:
        fill(ledger, 400)
        spent = ledger.spend()
    chance = random.Random(seed)
    data = bytearray(path.read_bytes())
    at = chance.randrange(0, len(data) - 1_024)
    data[at : at + 1_024] = chance.randbytes(1_024)
    path.write_bytes(data)
    try:
        with Ledger.open(path) as ledger:
            assert ledger.spend() == spent  # it was in what nobody uses
            ledger.append_step(500, [], [])
    except InputError as error:
        assert "the ledger is damaged" in str(error) or "is not a ledger" in str(error) or "can't be read" in str(error)  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017


def test_a_reader_of_a_torn_file_is_told_so(path):
    with Ledger.open(path) as ledger:
        fill(ledger, 400)
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half:] = random.Random(1).randbytes(len(data) - half)
    path.write_bytes(data)
    with (
        Ledger.read(path) as ledger,
        pytest.raises(InputError, match="the ledger can't be read: database disk image is malformed"),
    ):
        ledger.spend()


def test_the_log_before_the_file_stays_small_however_long_it_is_written(path):
    with Ledger.open(path) as ledger:
        fill(ledger, 3_000)
        # SQLite copies it into the file at every thousand pages, and begins it anew
        assert path.with_name("ledger.sqlite-wal").stat().st_size < 8 * 1024**2
        assert path.stat().st_size > 2 * 1024**2


def test_a_reader_that_stays_makes_it_grow_and_its_end_makes_it_shrink(path, monkeypatch):
    with Ledger.open(path) as ledger:
        fill(ledger, 10)
        ledger._backend._newest.connection.execute("PRAGMA journal_size_limit = 4194304")
        with Ledger.read(path) as reader:
            connection = reader._backend.segments()[0].connection
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM steps").fetchone()
            fill(ledger, 3_000)
            grown = path.with_name("ledger.sqlite-wal").stat().st_size
            connection.execute("COMMIT")
        fill(ledger, 1_500)
        assert path.with_name("ledger.sqlite-wal").stat().st_size <= 4_194_304 < grown
