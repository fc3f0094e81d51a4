"""What a place that keeps ledgers must be able to do: SQLite (``burster.ledger.sqlite``) and PostgreSQL (``burster.ledger.postgres``).

A backend keeps *segments*: sets of the same tables, numbered from 1, of which only the newest is written; the others are sealed. It runs
queries and transactions and knows no stimulus and no decision: what rows mean is ``burster.ledger.rows``' and ``store``'s. A later run
fences an earlier one off: whoever has begun a run that is not the newest any more can't write another row.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from burster.model.errors import BursterError


Row = tuple[Any, ...]
#: table -> rows in the order of ``rows.COLUMNS``; written in the order of the mapping, in one transaction
Rows = Mapping[str, Sequence[Row]]


class LedgerUnwritableError(BursterError):
    """A step could not be recorded: nothing of it is in the ledger, or (``unknown``) nobody can say whether it is."""

    def __init__(self, message: str, *, unknown: bool = False) -> None:
        super().__init__(message)
        self.unknown = unknown


class StaleEpochError(BursterError):
    """Somebody else has begun to write this ledger since: whoever gets this is not the leader any more and must stop at once.

    ``latest``: the epoch that was found, where that is what was wrong.
    """

    def __init__(self, message: str, *, latest: int = 0) -> None:
        super().__init__(message)
        self.latest = latest


class Segment(Protocol):
    """One set of tables."""

    number: int
    name: str  #: for people: the file, or the schema

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return what a SELECT finds; ``?`` stands for a value. Queries are such that every backend understands them."""
        ...

    def problems(self, *, quick: bool = False) -> list[str]:
        """Return what the database itself finds wrong with this segment, each in a sentence; ``quick``: one at most, without indexes."""
        ...


class Backend(Protocol):
    """Where a ledger is kept. Everything may raise LedgerUnwritableError; for a reader, InputError."""

    where: str  #: for people; never a password

    def segments(self) -> Sequence[Segment]:
        """Return the segments that are there, the oldest first, the newest last; a writer always has one."""
        ...

    def begin(self, notes: Mapping[str, str], epoch: int | None) -> tuple[int, Mapping[str, str]]:
        """Begin a run; return its number and its notes with the epoch among them. ``epoch`` None: the latest one goes on.

        Raises StaleEpochError where a run with a higher epoch has begun.
        """
        ...

    def append(self, run: int, rows: Rows) -> None:
        """Write all rows or none. Raises StaleEpochError where ``run`` is not the newest any more."""
        ...

    def rotate(self, run: int, seal: Rows, opening: Rows) -> None:
        """Seal the newest segment and open the next with these rows: both, or neither. Raises as ``append`` does."""
        ...

    def drop(self, number: int) -> None:
        """Remove a sealed segment for good."""
        ...

    def size_bytes(self) -> int:
        """Return about how large the newest segment is."""
        ...

    def close(self) -> None:
        """Let go of it; a second time does nothing."""
        ...


def check_epoch(where: str, latest: int, mine: int | None) -> int:
    """Return the epoch to go on with. Raises StaleEpochError where one later than mine has begun to write."""
    if mine is not None and latest > mine:
        raise StaleEpochError(f"{where}: epoch {latest} has begun to write this ledger, {mine} is older", latest=latest)
    return latest if mine is None else mine
