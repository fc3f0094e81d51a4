"""Ledgers in SQLite files: WAL mode, one writer, a file a segment. ``ledger.sqlite`` is the first, ``ledger.000002.sqlite`` the second.

Files are never renamed once they are written, as a reader may have them open; the newest is the one with the highest number. A rotation
prepares the next segment aside, seals the old one and puts the new one in its place: whichever of the three a crash comes after, the next
opening finishes or undoes it.
"""

import contextlib
import os
import re
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from burster.ledger import schema
from burster.ledger.backend import LedgerUnwritableError, Row, Rows, StaleEpochError, check_epoch
from burster.ledger.rows import NOTHING_BEFORE, insert, rows_of_opening
from burster.model.errors import InputError


#: how long a write may wait for another process's lock; it waits on the event loop, so it is short
BUSY_TIMEOUT_MS: Final = 250
_ASIDE: Final = ".new"
_PROBLEMS_MAX: Final = 20
_SEALED_MODE: Final = 0o440


class SqliteSegment:
    """One file."""

    def __init__(self, number: int, path: Path, connection: sqlite3.Connection) -> None:
        self.number = number
        self.path = path
        self.name = str(path)
        self.connection = connection

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return what a SELECT finds."""
        try:
            return self.connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise InputError(f"{self.name}: the ledger can't be read: {error}") from error

    def problems(self, *, quick: bool = False) -> list[str]:
        """Return what SQLite finds wrong with the file."""
        check = "PRAGMA quick_check(1)" if quick else f"PRAGMA integrity_check({_PROBLEMS_MAX})"
        try:
            found = self.connection.execute(check).fetchall()
        except sqlite3.DatabaseError as error:
            return [f"SQLite says: {error}"]
        return [f"SQLite says: {' '.join(row[0].split())}" for row in found if row[0] != "ok"]


class SqliteBackend:
    """All segments of one ledger; ``path`` is the first one's, also where it has been removed since."""

    def __init__(self, path: Path, *, writing: bool) -> None:
        self.path = path
        self.where = str(path)
        self._writing = writing
        self._open: dict[int, SqliteSegment] = {}
        self._closed = False

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open for writing, making the file (and its folder) where there is none.

        Raises InputError where the path holds something else, LedgerUnwritableError where it can't be written.
        """
        backend = cls(path, writing=True)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            backend._recover()
        except (OSError, sqlite3.Error) as error:
            backend.close()
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                raise InputError(f"{path}: the ledger can't be read: {error}") from error
            raise _unwritable(path, error) from error
        except InputError:
            backend.close()
            raise
        return backend

    @classmethod
    def read(cls, path: Path) -> Self:
        """Open for reading only. Raises InputError where there is no readable ledger of a known schema."""
        if path.is_dir():
            raise InputError(f"{path} is a folder: name the ledger's file, for example {path / 'ledger.sqlite'}")
        backend = cls(path, writing=False)
        if not backend._files():
            if path.exists():
                raise InputError(f"{path} is not a ledger: it is no ordinary file")
            raise InputError(
                f"{path}: there is no ledger here; a run directory has one, and --ledger of a controller names its own"
            )
        backend.segments()
        return backend

    def segments(self) -> list[SqliteSegment]:
        """Return the segments; for a reader as they are at this moment."""
        if self._writing:
            return list(self._open.values())
        found: list[SqliteSegment] = []
        for number, path in self._files().items():
            known = self._open.get(number)
            if known is None:
                try:
                    known = self._open[number] = SqliteSegment(number, path, _connect_to_read(path))
                except FileNotFoundError:
                    continue  # removed since it was listed
            found.append(known)
        return found

    def begin(self, notes: Mapping[str, str], epoch: int | None) -> tuple[int, Mapping[str, str]]:
        """Begin a run."""
        execute = self._newest.connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            latest = execute("SELECT max(CAST(value AS INTEGER)) FROM meta WHERE key = 'epoch'").fetchone()[0]
            notes = {**notes, "epoch": str(check_epoch(self.where, latest or 0, epoch))}
            run: int = execute("SELECT coalesce(max(run), 0) + 1 FROM meta").fetchone()[0]
            self._insert(self._newest.connection, {"meta": [(run, key, value) for key, value in sorted(notes.items())]})
            execute("COMMIT")
        except sqlite3.Error as error:
            _roll_back(self._newest.connection)
            raise _unwritable(self.path, error) from error
        except BaseException:
            _roll_back(self._newest.connection)
            raise
        return run, notes

    def append(self, run: int, rows: Rows) -> None:
        """Write all rows or none."""
        connection = self._newest.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._check(connection, run)
            self._insert(connection, rows)
            connection.execute("COMMIT")
        except (sqlite3.Error, OverflowError) as error:
            _roll_back(connection)
            raise _unwritable(self.path, error) from error
        except BaseException:
            _roll_back(connection)
            raise

    def rotate(self, run: int, seal: Rows, opening: Rows) -> None:
        """Seal the newest segment and open the next."""
        old = self._newest
        number = old.number + 1
        path = self._path_of(number)
        aside = path.with_name(path.name + _ASIDE)
        try:
            aside.unlink(missing_ok=True)
            self._prepare(aside, opening)
        except (OSError, sqlite3.Error) as error:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise _unwritable(self.path, error) from error
        if not old.rows("SELECT 1 FROM seal"):  # else an earlier attempt came as far as that
            self.append(run, seal)
        try:
            aside.rename(path)
            _settle_folder(path.parent)
            self._open[number] = SqliteSegment(number, path, _connect_to_write(path))
        except (OSError, sqlite3.Error) as error:
            raise _unwritable(self.path, error) from error
        self._lay_down(old)

    def drop(self, number: int) -> None:
        """Remove a sealed segment."""
        segment = self._open.pop(number)
        segment.connection.close()
        with contextlib.suppress(OSError):
            for end in ("", "-wal", "-shm"):
                segment.path.with_name(segment.path.name + end).unlink(missing_ok=True)

    def size_bytes(self) -> int:
        """Return the newest file's size; what is in WAL only is not counted."""
        connection = self._newest.connection
        pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
        return pages * connection.execute("PRAGMA page_size").fetchone()[0]

    def close(self) -> None:
        """Close all files; a second time does nothing.

        A writer leaves plain files behind, without WAL's companions, which can be copied and read anywhere; where somebody reads one
        at this moment it stays in WAL mode until the next writer closes it.
        """
        if not self._closed:
            self._closed = True
            if self._writing and self._open:
                with contextlib.suppress(sqlite3.Error):
                    self._newest.connection.execute("PRAGMA journal_mode = DELETE")
        for segment in self._open.values():
            segment.connection.close()

    @property
    def _newest(self) -> SqliteSegment:
        return self._open[max(self._open)]

    def _path_of(self, number: int) -> Path:
        return self.path if number == 1 else self.path.with_name(f"{self.path.stem}.{number:06d}{self.path.suffix}")

    def _files(self) -> dict[int, Path]:
        """Return the files of this ledger by their number, in order."""
        later = re.compile(rf"{re.escape(self.path.stem)}\.(\d{{6,}}){re.escape(self.path.suffix)}")
        found = {1: self.path} if self.path.is_file() else {}
        try:
            for entry in os.scandir(self.path.parent):
                if (named := later.fullmatch(entry.name)) and entry.is_file():
                    found[int(named[1])] = self.path.with_name(entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return found
        return dict(sorted(found.items()))

    def _recover(self) -> None:
        """Open every segment; finish or undo a rotation that a crash has cut short."""
        files = self._files() or {1: self.path}
        newest = max(files)
        for number, path in files.items():
            connect = _connect_to_write if number == newest else _connect_to_read
            self._open[number] = SqliteSegment(number, path, connect(path))
        connection = self._open[newest].connection
        if not schema.is_ledger(connection):
            opening, _ = rows_of_opening((1, 0, 0, 0), None, NOTHING_BEFORE)
            _create(connection, opening)
        following = self._path_of(newest + 1)
        aside = following.with_name(following.name + _ASIDE)
        sealed = connection.execute("SELECT step, at_ms, sha256 FROM seal").fetchone()
        if sealed is None:
            aside.unlink(missing_ok=True)
            return
        if not aside.is_file():
            raise InputError(
                f"{self._open[newest].path} is sealed, and the segment that follows, {following}, is missing"
            )
        aside.rename(following)
        _settle_folder(following.parent)
        self._open[newest + 1] = SqliteSegment(newest + 1, following, _connect_to_write(following))
        self._lay_down(self._open[newest])

    @staticmethod
    def _prepare(path: Path, opening: Rows) -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            _create(connection, opening)

    def _lay_down(self, old: SqliteSegment) -> None:
        """Leave a sealed segment as one plain file that nobody writes by accident; a reader may be in the way of that."""
        with contextlib.suppress(sqlite3.Error, OSError):
            mode = old.connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
            if mode == "delete":
                old.path.chmod(_SEALED_MODE)
        old.connection.close()
        old.connection = _connect_to_read(old.path)

    @staticmethod
    def _check(connection: sqlite3.Connection, run: int) -> None:
        latest: int = connection.execute("SELECT max(run) FROM meta").fetchone()[0]
        if latest != run:
            raise StaleEpochError(f"run {latest} has begun to write this ledger; this is run {run}")

    @staticmethod
    def _insert(connection: sqlite3.Connection, rows: Rows) -> None:
        for table, values in rows.items():
            if values:
                connection.executemany(insert(table), values)


def _create(connection: sqlite3.Connection, opening: Rows) -> None:
    """Make the tables in an empty file, in one transaction: a crash in between leaves an empty file, not half a ledger."""
    connection.executescript(f"BEGIN IMMEDIATE;\n{schema.sqlite_ddl()}")
    for table, values in opening.items():
        connection.executemany(insert(table), values)
    connection.execute("COMMIT")


def _connect_to_write(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
    try:
        schema.recognise(connection, path, may_be_empty=True)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a file for reading only. Raises InputError, FileNotFoundError where it has gone."""
    uri = path.resolve().as_uri()
    failure: sqlite3.Error | None = None
    # A ledger in a folder that may not be written has no place for WAL's shared memory; nobody writes it then either.
    for query in ("mode=ro", "mode=ro&immutable=1"):
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(f"{uri}?{query}", uri=True, isolation_level=None)
            schema.recognise(connection, path, may_be_empty=False)
        except InputError:
            if connection is not None:
                connection.close()
            raise
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            failure = error
        else:
            return connection
    if not path.exists():
        raise FileNotFoundError(path)
    raise InputError(f"{path}: the ledger can't be read: {failure}")


def _settle_folder(folder: Path) -> None:
    """Have a new name survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _roll_back(connection: sqlite3.Connection) -> None:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        # the disk that refused the write may refuse this too; SQLite rolls back by itself at the next opening
        return


def _unwritable(path: Path, error: Exception) -> LedgerUnwritableError:
    return LedgerUnwritableError(
        f"{path}: the ledger can't be written ({error}): give it a writable folder with free space, or another --ledger"
    )
