"""The same ledger in a file and in a real PostgreSQL: every test here runs on both."""

import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from burster.ledger import Ledger, PostgresAddress
from tests.support.postgres import MISSING, Postgres, find_server


_number = itertools.count(1)


class InAFile:
    """A ledger's place: a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, **options: Any) -> Ledger:
        return Ledger.open(self.path, **options)

    def read(self) -> Ledger:
        return Ledger.read(self.path)

    def _file(self, segment: int) -> Path:
        return self.path if segment == 1 else self.path.with_name(f"ledger.{segment:06d}.sqlite")

    def execute(self, statement: str, *, segment: int = 1) -> None:
        """What somebody else does with the tables, by the database's own means."""
        connection = sqlite3.connect(self._file(segment))
        try:
            connection.execute(statement)
            connection.commit()
        finally:
            connection.close()

    def tamper(self, table: str, statement: str, *, segment: int = 1) -> None:
        """What somebody does who may do anything."""
        self._file(segment).chmod(0o600)
        connection = sqlite3.connect(self._file(segment))
        try:
            for verb in ("update", "delete", "sealed"):
                connection.execute(f"DROP TRIGGER {table}_{verb}")
            connection.execute(statement)
            connection.commit()
        finally:
            connection.close()

    refusals: tuple[type[Exception], ...] = (sqlite3.IntegrityError,)


class InPostgres:
    """A ledger's place: a name in a database."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.address = PostgresAddress(url=server.url, schema=f"ledger{next(_number)}")

    def open(self, **options: Any) -> Ledger:
        options.pop("seed", None)
        return Ledger.connect(self.address, **options)

    def read(self) -> Ledger:
        return Ledger.read_from(self.address)

    def execute(self, statement: str, *, segment: int = 1) -> None:
        with psycopg.connect(self.server.url) as connection:
            connection.execute(f"SET search_path TO {self.address.schema}_{segment:06d}")
            connection.execute(statement)

    def tamper(self, table: str, statement: str, *, segment: int = 1) -> None:
        with psycopg.connect(self.server.url) as connection:
            connection.execute(f"SET search_path TO {self.address.schema}_{segment:06d}")
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            connection.execute(statement)

    refusals: tuple[type[Exception], ...] = (psycopg.errors.RaiseException,)


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    programs = find_server()
    if programs is None:
        pytest.skip(MISSING)
    server = Postgres(programs)
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> InAFile | InPostgres:
    if request.param == "sqlite":
        return InAFile(tmp_path / "ledger.sqlite")
    return InPostgres(request.getfixturevalue("server"))


@pytest.fixture
def in_postgres(server: Postgres) -> Iterator[InPostgres]:
    """A place whose server the test may stop; it runs again afterwards."""
    yield InPostgres(server)
    server.stop()
    server.start()
