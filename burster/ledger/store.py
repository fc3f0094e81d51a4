"""The ledger's file: SQLite in WAL mode, one transaction per engine step, one writer.

The runtime appends after each step; `burster why`, `spend`, `history`, reports and replay read. What can't be written raises
LedgerUnwritableError: the runtime turns that into LedgerHealth(writable=False), and nothing new is started. This module never
decides, and never changes what is written.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from burster.ledger import schema
from burster.model.decisions import Decision
from burster.model.errors import BursterError, InputError
from burster.model.stimuli import Spend, Stimulus


#: how long a write may wait for another process's lock; it waits on the event loop, so it is short
BUSY_TIMEOUT_MS: Final = 250
DECISIONS_LIMIT: Final = 10_000
PROBLEMS_MAX: Final = 20

_encode = msgspec.msgpack.Encoder().encode
_decode_stimulus = msgspec.msgpack.Decoder(Stimulus).decode
_decode_decision = msgspec.msgpack.Decoder(Decision).decode


class LedgerUnwritableError(BursterError):
    """A step could not be recorded: nothing of it is in the ledger."""


class LedgerStep(msgspec.Struct, frozen=True, kw_only=True):
    """One engine step as it was recorded. ``run`` counts the times a controller was started on this ledger."""

    step: int
    run: int
    at_ms: int
    stimuli: tuple[Stimulus, ...]
    decisions: tuple[Decision, ...]


class RecordedStimulus(msgspec.Struct, frozen=True, kw_only=True):
    """A stimulus with the moment it entered the engine."""

    at_ms: int
    stimulus: Stimulus


class Ledger:
    """One ledger file, open for writing (`open`) or for reading (`read`). A context manager; close it."""

    def __init__(self, connection: sqlite3.Connection, path: Path, run: int) -> None:
        self.path = path
        self._connection = connection
        self._run = run
        self._closed = False
        self._step: int = self._scalar("SELECT coalesce(max(step), 0) FROM steps")

    @classmethod
    def open(cls, path: str | Path, *, seed: int | None = None, policy_hash: str = "") -> Self:
        """Open for writing, making the file (and its folder) where there is none; every opening starts a new run.

        Raises InputError where the path holds something else, LedgerUnwritableError where it can't be written.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
        except (OSError, sqlite3.Error) as error:
            raise LedgerUnwritableError(_unwritable(path, error)) from error
        try:
            schema.recognise(connection, path, may_be_empty=True)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            if not schema.is_ledger(connection):
                schema.create(connection)
            run = schema.begin_run(connection, seed, policy_hash)
            return cls(connection, path, run)
        except sqlite3.Error as error:
            connection.close()
            raise LedgerUnwritableError(_unwritable(path, error)) from error
        except InputError:
            connection.close()
            raise

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Open for reading only. Raises InputError where there is no readable ledger of a known schema."""
        path = Path(path)
        if path.is_dir():
            raise InputError(f"{path} is a folder: name the ledger's file, for example {path / 'ledger.sqlite'}")
        if not path.exists():
            raise InputError(
                f"{path}: there is no ledger here: a finished demo or simulation leaves one in its run directory"
            )
        if not path.is_file():
            raise InputError(f"{path} is not a ledger: it is no ordinary file")
        uri = path.resolve().as_uri()
        # A ledger in a folder that may not be written has no place for WAL's shared memory; nobody writes it then either.
        for query in ("mode=ro", "mode=ro&immutable=1"):
            connection: sqlite3.Connection | None = None
            try:
                connection = sqlite3.connect(f"{uri}?{query}", uri=True, isolation_level=None)
                schema.recognise(connection, path, may_be_empty=False)
                return cls(connection, path, 0)
            except InputError:
                if connection is not None:
                    connection.close()
                raise
            except sqlite3.Error as error:
                if connection is not None:
                    connection.close()
                failure = error
        raise InputError(f"{path}: the ledger can't be read: {failure}")

    def append_step(
        self,
        at_ms: int,
        stimuli: Sequence[Stimulus],
        decisions: Sequence[Decision],
        spends: Sequence[Spend] = (),
    ) -> int:
        """Record one engine step, all of it or nothing, and return its number. Raises LedgerUnwritableError."""
        execute, number = self._connection.execute, self._step + 1
        try:
            execute("BEGIN IMMEDIATE")
            execute(
                "INSERT INTO steps VALUES (?,?,?,?,?,?)",
                (number, self._run, at_ms, len(stimuli), len(decisions), len(spends)),
            )
            for one in stimuli:
                execute(
                    "INSERT INTO stimuli (step, at_ms, kind, subject, body) VALUES (?,?,?,?,?)",
                    (number, at_ms, type(one).__name__, schema.subject_of(one), _encode(one)),
                )
            for decision in decisions:
                execute(
                    "INSERT INTO decisions (step, at_ms, policy, subject, verdict, code, burst, body) VALUES (?,?,?,?,?,?,?,?)",
                    (number, *_columns(decision), _encode(decision)),
                )
            for spend in spends:
                execute(
                    "INSERT INTO spend (step, at_ms, burst, uid, policy, target, micro_usd) VALUES (?,?,?,?,?,?,?)",
                    (number, spend.at_ms, spend.burst, spend.uid, spend.policy, spend.target, spend.micro_usd),
                )
            execute("COMMIT")
        except (sqlite3.Error, OverflowError) as error:
            self._roll_back()
            raise LedgerUnwritableError(_unwritable(self.path, error)) from error
        except BaseException:
            self._roll_back()
            raise
        self._step = number
        return number

    def decisions(
        self,
        *,
        policy: str | None = None,
        subject: str | None = None,
        burst: str | None = None,
        verdict: str | None = None,
        since: int | None = None,
        limit: int = DECISIONS_LIMIT,
    ) -> tuple[Decision, ...]:
        """Return the latest ``limit`` decisions that match every filter given, oldest first; ``since`` is epoch ms."""
        clauses, values = ["1"], list[Any]()
        for clause, value in (
            ("policy = ?", policy),
            ("subject = ?", subject),
            ("burst = ?", burst),
            ("verdict = ?", verdict),
            ("at_ms >= ?", since),
        ):
            if value is not None:
                clauses.append(clause)
                values.append(value)
        query = f"SELECT body FROM decisions WHERE {' AND '.join(clauses)} ORDER BY id DESC LIMIT ?"  # noqa: S608 -- fixed clauses
        rows = self._connection.execute(query, (*values, limit)).fetchall()
        return tuple(_decode_decision(body) for (body,) in reversed(rows))

    def subjects(self) -> tuple[str, ...]:
        """Return every key that a decision is about (pods, bursts, VMs) and every policy that decided, each once, sorted."""
        rows = self._connection.execute("SELECT subject FROM decisions UNION SELECT policy FROM decisions ORDER BY 1")
        return tuple(subject for (subject,) in rows if subject)

    def policies(self) -> tuple[str, ...]:
        """Return the key of every policy that decided anything, sorted."""
        rows = self._connection.execute("SELECT DISTINCT policy FROM decisions ORDER BY 1")
        return tuple(policy for (policy,) in rows if policy)

    def stimuli(self, *, subject: str | None = None, kinds: Sequence[str] = ()) -> Iterator[RecordedStimulus]:
        """Yield recorded stimuli in order, of one subject and of some kinds where given."""
        clauses, values = ["1"], list[str]()
        if subject is not None:
            clauses.append("subject = ?")
            values.append(subject)
        if kinds:
            clauses.append(f"kind IN ({','.join('?' * len(kinds))})")
            values.extend(kinds)
        query = f"SELECT at_ms, body FROM stimuli WHERE {' AND '.join(clauses)} ORDER BY id"  # noqa: S608 -- fixed clauses
        for at_ms, body in self._connection.execute(query, values):
            yield RecordedStimulus(at_ms=at_ms, stimulus=_decode_stimulus(body))

    def steps(self) -> Iterator[LedgerStep]:
        """Yield every step in order: what replay feeds to the engine."""
        stimuli = self._connection.execute("SELECT body FROM stimuli ORDER BY step, id")
        decisions = self._connection.execute("SELECT body FROM decisions ORDER BY step, id")
        query = "SELECT step, run, at_ms, stimuli, decisions FROM steps ORDER BY step"
        for step, run, at_ms, stimuli_count, decisions_count in self._connection.execute(query):
            yield LedgerStep(
                step=step,
                run=run,
                at_ms=at_ms,
                stimuli=tuple(_decode_stimulus(body) for (body,) in islice(stimuli, stimuli_count)),
                decisions=tuple(_decode_decision(body) for (body,) in islice(decisions, decisions_count)),
            )

    def spend(self) -> tuple[Spend, ...]:
        """Return what was settled, one entry per burst, oldest first.

        A controller that dies between recording a settlement and saying so settles again after its restart. Such a burst counts
        once, with the larger amount: money is never under-counted.
        """
        query = (
            "SELECT burst, uid, policy, target, at_ms, max(micro_usd) FROM spend "
            "GROUP BY coalesce(nullif(uid, ''), burst) ORDER BY min(id)"
        )
        return tuple(
            Spend(burst=burst, uid=uid, policy=policy, target=target, at_ms=at_ms, micro_usd=micro_usd)
            for burst, uid, policy, target, at_ms, micro_usd in self._connection.execute(query)
        )

    def decisions_sha256(self) -> str:
        """Return the hash of all decisions in order, as canonical JSON, a line each: same seed, same hash."""
        digest = hashlib.sha256()
        for (body,) in self._connection.execute("SELECT body FROM decisions ORDER BY id"):
            digest.update(canonical_json(_decode_decision(body)) + b"\n")
        return digest.hexdigest()

    def counts(self) -> dict[str, int]:
        """Return how many steps, stimuli, decisions and settled amounts there are."""
        return {
            table: self._scalar(f"SELECT count(*) FROM {table}")  # noqa: S608 -- fixed names
            for table in ("steps", "stimuli", "decisions", "spend")
        }

    def verdicts(self) -> dict[tuple[str, str], int]:
        """Return how often each (verdict, settling code) was decided."""
        rows = self._connection.execute(
            "SELECT verdict, code, count(*) FROM decisions GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
        )
        return {(verdict, code): count for verdict, code, count in rows}

    def span_ms(self) -> tuple[int, int]:
        """Return the first and the last step's time; (0, 0) for an empty ledger."""
        return self._connection.execute("SELECT coalesce(min(at_ms), 0), coalesce(max(at_ms), 0) FROM steps").fetchone()

    def meta(self) -> dict[str, str]:
        """Return what the latest run noted about itself: engine_version, seed, policy_hash."""
        rows = self._connection.execute("SELECT key, value FROM meta WHERE run = (SELECT max(run) FROM meta)")
        return dict(rows.fetchall())

    def integrity(self) -> tuple[str, ...]:
        """Return what is wrong with the file, each in a sentence, at most twenty; empty where all is well."""
        problems = [
            f"SQLite says: {row[0]}"
            for row in self._connection.execute(f"PRAGMA integrity_check({PROBLEMS_MAX})")
            if row[0] != "ok"
        ]
        for table in ("stimuli", "decisions"):
            query = (
                f"SELECT s.step, s.{table}, count(r.id) FROM steps s LEFT JOIN {table} r ON r.step = s.step "  # noqa: S608
                f"GROUP BY s.step HAVING s.{table} <> count(r.id) LIMIT {PROBLEMS_MAX}"
            )
            problems += [
                f"step {step} recorded {wanted} {table}, the file holds {found}"
                for step, wanted, found in self._connection.execute(query)
            ]
        gaps = self._connection.execute("SELECT count(*), coalesce(max(step), 0) FROM steps").fetchone()
        if gaps[0] != gaps[1]:
            problems.append(f"{gaps[1] - gaps[0]} of {gaps[1]} steps are missing")
        if not problems:
            problems += self._undecodable()
        return tuple(problems[:PROBLEMS_MAX])

    def _undecodable(self) -> Iterator[str]:
        for table, decode in (("stimuli", _decode_stimulus), ("decisions", _decode_decision)):
            for row, body in self._connection.execute(f"SELECT id, body FROM {table}"):  # noqa: S608 -- fixed names
                try:
                    decode(body)
                except msgspec.DecodeError as error:
                    yield f"record {row} of {table} can't be decoded: {error}"

    def close(self) -> None:
        """Close the file; a second time does nothing.

        A writer leaves one plain file behind, without WAL's companions, which can be copied and read anywhere; where somebody reads
        it at this moment it stays in WAL mode until the next writer closes it.
        """
        if self._run and not self._closed:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA journal_mode = DELETE")
        self._closed = True
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _scalar(self, query: str) -> int:
        return self._connection.execute(query).fetchone()[0]

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            # the disk that refused the write may refuse this too; SQLite rolls back by itself at the next opening
            return


def canonical_json(decision: Decision) -> bytes:
    """Return the one JSON text of a decision: fields in declared order, numbers sorted by name."""
    return msgspec.json.encode(decision, order="deterministic")


def _columns(decision: Decision) -> tuple[int, str, str, str, str, str]:
    code = decision.reasons[0].code if decision.reasons else ""
    return (decision.at_ms, decision.policy, decision.subject, decision.verdict, code, decision.burst)


def _unwritable(path: Path, error: Exception) -> str:
    return (
        f"{path}: the ledger can't be written ({error}): give it a writable folder with free space, or another --ledger"
    )
