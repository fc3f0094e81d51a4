"""PostgreSQL that restarts, crashes or freezes under a writer: bounded waits, nothing twice, nothing lost that was said to be written."""

import time

import psycopg
import pytest

from burster.ledger import Ledger, LedgerUnwritableError, PostgresAddress, StaleEpochError
from burster.ledger.postgres_link import FIRST_S
from burster.model.errors import InputError
from burster.model.stimuli import Tick
from tests.contract.ledger.test_keeping import a_decision, a_spend


def tries(ledger, number, *, for_s=20.0):
    """Write a step as the loop does: again at the next occasion, as long as it can't be written; return how often it could not."""
    until, failures = time.monotonic() + for_s, 0
    while True:
        try:
            ledger.append_step(number, [Tick(kind="gc")], [a_decision()], [a_spend(uid=f"u-{number}")])
        except LedgerUnwritableError:
            failures += 1
            assert time.monotonic() < until, "it never came back"
            time.sleep(0.1)
        else:
            return failures


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restart_in_the_middle_costs_what_came_in_between(in_postgres, how):
    with in_postgres.open(epoch=1) as ledger:
        assert tries(ledger, 1) == 0
        getattr(in_postgres.server, how)()
        began = time.monotonic()
        with pytest.raises(LedgerUnwritableError):
            ledger.append_step(2, [Tick(kind="gc")], [])
        assert time.monotonic() - began < 3
        in_postgres.server.start()
        tries(ledger, 3)
        assert tries(ledger, 4) == 0
        assert [step.at_ms for step in ledger.steps()] == [1, 3, 4]
        assert ledger.integrity() == ()


def test_a_database_that_freezes_is_waited_for_no_longer_than_the_deadline(in_postgres):
    with in_postgres.open(epoch=1) as ledger:
        assert tries(ledger, 1) == 0
        in_postgres.server.pause()
        began = time.monotonic()
        with pytest.raises(LedgerUnwritableError, match="no answer within 2s") as raised:
            ledger.append_step(2, [Tick(kind="gc")], [a_decision()], [a_spend(uid="u-2")])
        assert raised.value.unknown
        assert 1.9 < time.monotonic() - began < 3
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(LedgerUnwritableError, match="no connection at the moment"):
                ledger.append_step(2, [Tick(kind="gc")], [])
            assert time.monotonic() - began < 0.5, "known to be down: nobody waits again"
        in_postgres.server.pause(goes_on=True)
        tries(ledger, 3)
        assert tries(ledger, 4) == 0
        # the second step may have been written after all: then once, and the chain knows of it
        moments = [step.at_ms for step in ledger.steps()]
        assert moments in ([1, 3, 4], [1, 2, 3, 4])
        assert ledger.integrity() == ()
        assert {one.uid for one in ledger.spend()} == {f"u-{moment}" for moment in moments}


def test_a_write_that_nobody_saw_the_end_of_is_found_and_not_done_twice(in_postgres):
    with in_postgres.open(epoch=1) as ledger:
        assert tries(ledger, 1) == 0
        backend = ledger._backend
        really = backend.append

        def answers_too_late(run, rows):
            really(run, rows)
            raise LedgerUnwritableError("no answer within 2s", unknown=True)

        backend.append = answers_too_late
        with pytest.raises(LedgerUnwritableError):
            ledger.append_step(2, [Tick(kind="gc")], [a_decision()])
        backend.append = really
        assert ledger.append_step(3, [Tick(kind="gc")], [a_decision()]) == 3
        assert [(step.step, step.at_ms) for step in ledger.steps()] == [(1, 1), (2, 2), (3, 3)]
        assert ledger.integrity() == ()


def test_a_writer_that_was_cut_off_finds_that_another_has_begun_meanwhile(in_postgres):
    with in_postgres.open(epoch=1) as old:
        assert tries(old, 1) == 0
        in_postgres.server.stop()
        in_postgres.server.start()
        with in_postgres.open(epoch=2) as new:
            assert tries(new, 2) == 0
            with pytest.raises(StaleEpochError):
                tries(old, 3)
            assert tries(new, 4) == 0
            assert [step.at_ms for step in new.steps()] == [1, 2, 4]


def test_whoever_locks_the_writers_row_holds_nobody_up_for_long(in_postgres):
    with in_postgres.open(epoch=1) as ledger, psycopg.connect(in_postgres.server.url) as other:
        other.execute(f"SELECT * FROM {in_postgres.address.schema}.writer FOR UPDATE")  # noqa: S608 - a fixed name
        began = time.monotonic()
        with pytest.raises(LedgerUnwritableError):
            ledger.append_step(1, [Tick(kind="gc")], [])
        assert time.monotonic() - began < 3
        other.rollback()
        tries(ledger, 2)
        assert ledger.integrity() == ()


def test_where_no_database_answers_it_is_said_at_once(tmp_path):
    address = PostgresAddress(url=f"postgresql:///burster?host={tmp_path}")
    began = time.monotonic()
    with pytest.raises(LedgerUnwritableError, match=r"postgresql:///burster#burster: the ledger can't be written"):
        Ledger.connect(address)
    with pytest.raises(InputError):
        Ledger.read_from(address)
    assert time.monotonic() - began < FIRST_S


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://db/burster", "no address of a database"),
        ("postgresql://db", "no address of a database"),
        ("postgresql://burster:secret@127.0.0.1/burster", "must not carry a password"),
        ("postgresql://burster@127.0.0.1/burster?password=secret", "must not carry a password"),
        ("postgresql://burster@db.bank.example:5432/burster", "nothing says how the connection is protected"),
        ("postgresql:///burster?host=db.bank.example", "nothing says how the connection is protected"),
        ("postgresql://localhost,db.bank.example/burster", r"db\.bank\.example is another machine"),
    ],
)
def test_an_address_that_would_not_do_is_refused_before_anything_is_sent(url, sentence):
    with pytest.raises(ValueError, match=sentence) as raised:
        PostgresAddress(url=url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://burster@db.bank.example:5432/burster?sslmode=verify-full&sslrootcert=/etc/burster/ca.crt",
        "postgresql://burster@127.0.0.1:5432/burster",
        "postgresql://burster@[::1]:5432/burster",
        "postgresql:///burster?host=/run/postgresql",
        "postgresql://mesh.example/burster?sslmode=disable",
    ],
)
def test_an_address_that_does(url):
    assert PostgresAddress(url=url).where.startswith("postgresql://")


@pytest.mark.parametrize("name", ["Ledger", "a-b", "x; DROP TABLE steps", "1st", "a" * 41, ""])
def test_a_name_within_the_database_is_a_plain_word(name):
    with pytest.raises(ValueError, match="no name for a schema"):
        PostgresAddress(url="postgresql:///burster", schema=name)
