"""Ledgers in PostgreSQL, for controllers that stand in for each other: a schema a segment, and one row that says who writes.

That row is locked and compared in the same transaction as every write: whoever has begun a run before somebody else did is refused, however
late it wakes up. An advisory lock could not do that: it is gone with its connection, and nobody asks it again at the next one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, LiteralString, Self, TypeVar, cast

import psycopg

from burster.ledger import schema as tables
from burster.ledger.backend import LedgerUnwritableError, Row, Rows, StaleEpochError, check_epoch
from burster.ledger.postgres_address import PostgresAddress
from burster.ledger.postgres_link import Connection, Link
from burster.ledger.rows import NOTHING_BEFORE, insert, rows_of_opening
from burster.model.errors import InputError


T = TypeVar("T")
#: how long the event loop may wait for a write; a transaction in the same town takes milliseconds
WRITE_S: Final = 2.0
READ_S: Final = 60.0
_STALE: Final = "BU001"
_HEAD: Final = """
CREATE TABLE {name}.writer (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), run bigint NOT NULL, epoch bigint NOT NULL, version bigint NOT NULL
);
INSERT INTO {name}.writer (run, epoch, version) VALUES (0, 0, {version});
CREATE FUNCTION {name}.hold(mine bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE latest bigint;
BEGIN
    SELECT run INTO STRICT latest FROM {name}.writer FOR UPDATE;
    IF latest <> mine THEN
        RAISE EXCEPTION 'run % has begun to write this ledger; this is run %', latest, mine USING ERRCODE = '{stale}';
    END IF;
END $$;
"""


class PostgresSegment:
    """One schema."""

    def __init__(self, number: int, name: str, ask: "Callable[[Callable[[Connection], list[Row]]], list[Row]]") -> None:
        self.number = number
        self.name = name
        self._ask = ask

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return what a SELECT finds."""

        def work(connection: Connection) -> list[Row]:
            with connection.transaction():
                connection.execute(_sql(f"SET LOCAL search_path TO {self.name}"))
                return connection.execute(_sql(query.replace("?", "%s")), tuple(values)).fetchall()

        return self._ask(work)

    def problems(self, *, quick: bool = False) -> list[str]:
        """Return nothing: PostgreSQL checks its pages as it reads them."""
        del quick
        return []


class PostgresBackend:
    """All segments of one ledger: schemas NAME_000001 and so on, beside the schema NAME that holds the writer's row."""

    def __init__(self, address: PostgresAddress, *, writing: bool) -> None:
        self.where = address.where
        self._name = address.schema
        self._writing = writing
        self._link = Link(address.url, deadline_s=WRITE_S if writing else READ_S)
        self._run = 0
        self._numbers: list[int] = []

    @classmethod
    def open(cls, address: PostgresAddress) -> Self:
        """Connect for writing, and make the ledger where there is none. Raises LedgerUnwritableError, InputError."""
        backend = cls(address, writing=True)
        try:
            backend._connected()
            backend._numbers = backend._ask(backend._create)
        except BaseException:
            backend.close()
            raise
        return backend

    @classmethod
    def read(cls, address: PostgresAddress) -> Self:
        """Connect for reading. Raises InputError where there is no ledger, or no database."""
        backend = cls(address, writing=False)
        try:
            backend._connected()
            backend._ask(backend._check_version)
        except LedgerUnwritableError as error:
            backend.close()
            raise InputError(str(error)) from error
        except BaseException:
            backend.close()
            raise
        return backend

    def segments(self) -> list[PostgresSegment]:
        """Return the segments; for a reader as they are at this moment."""
        if not self._numbers or not self._writing:
            self._numbers = self._ask(self._listed)
        return [PostgresSegment(number, self._schema(number), self._ask) for number in self._numbers]

    def begin(self, notes: Mapping[str, str], epoch: int | None) -> tuple[int, Mapping[str, str]]:
        """Begin a run."""

        def work(connection: Connection) -> tuple[int, int, list[int]]:
            with connection.transaction():
                found = connection.execute(_sql(f"SELECT run, epoch FROM {self._name}.writer FOR UPDATE")).fetchone()  # noqa: S608 - a checked name
                run, latest = found or (0, 0)
                mine = check_epoch(self.where, latest, epoch)
                run += 1
                connection.execute(_sql(f"UPDATE {self._name}.writer SET run = %s, epoch = %s"), (run, mine))  # noqa: S608 - the same
                # nobody else rotates from here on
                numbers = self._listed(connection)
                rows: Rows = {"meta": [(run, key, value) for key, value in sorted(noted(mine).items())]}
                self._insert(connection, numbers[-1], rows)
                return run, mine, numbers

        def noted(mine: int) -> Mapping[str, str]:
            return {**notes, "epoch": str(mine)}

        self._run, mine, self._numbers = self._ask(work)
        return self._run, noted(mine)

    def append(self, run: int, rows: Rows) -> None:
        """Write all rows or none."""

        def work(connection: Connection) -> None:
            with connection.pipeline(), connection.transaction():
                self._hold(connection, run)
                self._insert(connection, newest, rows)

        newest = self.segments()[-1].number
        self._ask(work)

    def rotate(self, run: int, seal: Rows, opening: Rows) -> None:
        """Seal the newest segment and open the next, in one transaction."""
        number = self.segments()[-1].number + 1

        def work(connection: Connection) -> None:
            with connection.transaction():
                self._hold(connection, run)
                self._insert(connection, number - 1, seal)
                connection.execute(_sql(tables.postgres_ddl(self._schema(number))))
                self._insert(connection, number, opening)

        self._ask(work)
        self._numbers = [*self._numbers, number]

    def drop(self, number: int) -> None:
        """Remove a sealed segment."""

        def work(connection: Connection) -> None:
            with connection.transaction():
                self._hold(connection, self._run)
                connection.execute(_sql(f"DROP SCHEMA {self._schema(number)} CASCADE"))

        self._ask(work)
        self._numbers = [one for one in self._numbers if one != number]

    def size_bytes(self) -> int:
        """Return how much room the newest segment's tables and indexes take."""
        query = (
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname = ?"
        )
        newest = self.segments()[-1]
        return newest.rows(query, (newest.name,))[0][0]

    def close(self) -> None:
        """Hang up."""
        self._link.close()

    def _connected(self) -> None:
        try:
            self._link.first()
        except LedgerUnwritableError as error:
            raise self._unwritable(error) from error

    def _ask(self, work: Callable[[Connection], T]) -> T:
        """Do something on the connection. Raises LedgerUnwritableError, StaleEpochError; InputError for a reader."""
        try:
            return self._link.call(work)
        except LedgerUnwritableError as error:
            raise self._failed(error, unknown=error.unknown) from error
        except psycopg.errors.UniqueViolation as error:
            # an earlier write that nobody could tell the end of has been done after all
            raise self._failed(error, unknown=True) from error
        except psycopg.Error as error:
            if error.sqlstate == _STALE:
                raise StaleEpochError(f"{self.where}: {error}".splitlines()[0]) from error
            raise self._failed(error, unknown=error.sqlstate is None) from error

    def _failed(self, error: Exception, *, unknown: bool) -> LedgerUnwritableError | InputError:
        if unknown:
            self._numbers = []  # a rotation may have been done after all
        if self._writing:
            return self._unwritable(error, unknown=unknown)
        return InputError(f"{self.where}: the ledger can't be read: {' '.join(str(error).split())}")

    def _unwritable(self, error: Exception, *, unknown: bool = False) -> LedgerUnwritableError:
        said = " ".join(str(error).split())
        return LedgerUnwritableError(f"{self.where}: the ledger can't be written ({said})", unknown=unknown)

    def _create(self, connection: Connection) -> list[int]:
        """Make a ledger where there is none; two that start at once take turns."""
        with connection.transaction():
            connection.execute(_sql("SELECT pg_advisory_xact_lock(hashtext(%s))"), (f"burster ledger {self._name}",))
            numbers = self._listed(connection)
            if not numbers:
                connection.execute(_sql(f"CREATE SCHEMA IF NOT EXISTS {self._name}"))
                head = _HEAD.format(name=self._name, version=tables.SCHEMA_VERSION, stale=_STALE)
                connection.execute(_sql(head))
                connection.execute(_sql(tables.postgres_ddl(self._schema(1))))
                opening, _ = rows_of_opening((1, 0, 0, 0), None, NOTHING_BEFORE)
                self._insert(connection, 1, opening)
                numbers = [1]
            self._check_version(connection)
        return numbers

    def _check_version(self, connection: Connection) -> None:
        if not self._listed(connection):
            raise InputError(f"{self.where}: there is no ledger here")
        found = connection.execute(_sql(f"SELECT version FROM {self._name}.writer")).fetchone()  # noqa: S608 - a checked name
        tables.check_version(self.where, found[0] if found else 0)

    def _listed(self, connection: Connection) -> list[int]:
        pattern = re.compile(rf"{self._name}_(\d{{6,}})")
        query = _sql("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)")
        names = (name for (name,) in connection.execute(query, (f"{self._name}_",)).fetchall())
        return sorted(int(named[1]) for name in names if (named := pattern.fullmatch(name)))

    def _schema(self, number: int) -> str:
        return f"{self._name}_{number:06d}"

    def _hold(self, connection: Connection, run: int) -> None:
        connection.execute(_sql(f"SELECT {self._name}.hold(%s)"), (run,))

    def _insert(self, connection: Connection, number: int, rows: Rows) -> None:
        connection.execute(_sql(f"SET LOCAL search_path TO {self._schema(number)}"))
        with connection.cursor() as cursor:
            for table, values in rows.items():
                if values:
                    cursor.executemany(_sql(insert(table).replace("?", "%s")), values)


def _sql(text: str) -> LiteralString:
    """Return a text as a query: names in it are this module's own and those that PostgresAddress has checked."""
    return cast("LiteralString", text)
