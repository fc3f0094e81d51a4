"""The ledger: one transaction per engine step, chained by hashes, in segments that are sealed and one day removed.

The runtime appends after each step; `burster why`, `spend`, `history`, reports and replay read, over all segments at once. What can't be
written raises LedgerUnwritableError: the runtime turns that into LedgerHealth(writable=False), and nothing new is started. Where it is
kept is a backend's business. This module never decides, and never changes what is written.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

import msgspec

import burster
from burster.ledger import integrity, restoring
from burster.ledger.backend import Backend, LedgerUnwritableError
from burster.ledger.postgres_address import PostgresAddress
from burster.ledger.rotation import Rotation, Rotator
from burster.ledger.rows import decode_decision, decode_stimulus, digest_of_notes, rows_of_step, unpack
from burster.ledger.sqlite import SqliteBackend
from burster.ledger.steps import LedgerStep, steps_of
from burster.model.decisions import Decision
from burster.model.errors import InputError
from burster.model.stimuli import Original, Spend, Stimulus


DECISIONS_LIMIT: Final = 10_000
PROBLEMS_MAX: Final = 20
_PAGE: Final = 2_000


class RecordedStimulus(msgspec.Struct, frozen=True, kw_only=True):
    """A stimulus with the moment it entered the engine."""

    at_ms: int
    stimulus: Stimulus


class Ledger:
    """One ledger, open for writing (`open`, `connect`) or for reading (`read`, `read_from`). A context manager; close it."""

    def __init__(self, backend: Backend, *, rotation: Rotation | None = None) -> None:
        self._backend = backend
        self._run = 0
        self._notes = ""
        self._rotator = Rotator(backend, rotation or Rotation())
        self._step = 0
        self._head: bytes | None = None  #: the latest step's hash; None where it has to be read

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        seed: int | None = None,
        policy_hash: str = "",
        epoch: int | None = None,
        rotation: Rotation | None = None,
        dry_run: bool = False,
    ) -> Self:
        """Open a file for writing, making it (and its folder) where there is none; every opening starts a new run.

        ``epoch``: of the lead in which it is written; None: nobody elects leaders here, the latest one goes on.
        ``dry_run``: nothing of it is carried out; the run is marked so, and what it settles is never counted. Raises InputError where the
        path holds something else or a ledger that is damaged, LedgerUnwritableError where it can't be written, StaleEpochError where a
        higher epoch has begun to write it.
        """
        ledger = cls(SqliteBackend.open(Path(path)), rotation=rotation)
        ledger._begin(seed, policy_hash, epoch, dry_run=dry_run)
        return ledger

    @classmethod
    def connect(
        cls,
        address: PostgresAddress,
        *,
        policy_hash: str = "",
        epoch: int | None = None,
        rotation: Rotation | None = None,
        dry_run: bool = False,
    ) -> Self:
        """Open a PostgreSQL database for writing, as ``open`` does a file."""
        from burster.ledger.postgres import PostgresBackend

        ledger = cls(PostgresBackend.open(address), rotation=rotation)
        ledger._begin(None, policy_hash, epoch, dry_run=dry_run)
        return ledger

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Open a file for reading only. Raises InputError where there is no readable ledger of a known schema."""
        return cls(SqliteBackend.read(Path(path)))

    @classmethod
    def read_from(cls, address: PostgresAddress) -> Self:
        """Open a PostgreSQL database for reading only. Raises InputError where it holds no ledger or can't be reached."""
        from burster.ledger.postgres import PostgresBackend

        return cls(PostgresBackend.read(address))

    def _begin(self, seed: int | None, policy_hash: str, epoch: int | None, *, dry_run: bool) -> None:
        notes = {
            "engine_version": burster.__version__,
            "policy_hash": policy_hash,
            "seed": "" if seed is None else str(seed),
        }
        if dry_run:
            notes[restoring.DRY_RUN] = "true"
        try:
            self._refuse_damage()
            self._run, noted = self._backend.begin(notes, epoch)
            self._notes = digest_of_notes(noted)
            self._rotator.began(self._run, noted)
            self._read_head()
        except BaseException:
            self._backend.close()
            raise

    def _refuse_damage(self) -> None:
        """Raise InputError where what budgets would be told is not what was written, or nothing can be put behind what is there."""
        try:
            found = integrity.first_problem(self._backend.segments())
        except InputError as error:
            found = str(error)
        if found:
            raise InputError(
                f"{self.where}: the ledger is damaged ({found}), so nothing is decided by it. `burster history --verify` says more. Put"
                " back a copy from before; or move it away and let a new one begin, which knows of the past what Burst records still tell"
            )

    @property
    def path(self) -> Path:
        """The first segment's file; for PostgreSQL, what people call the database."""
        return Path(self._backend.where)

    @property
    def where(self) -> str:
        """Where it is kept, for people."""
        return self._backend.where

    @property
    def head(self) -> tuple[int, str]:
        """The latest step and its hash: whoever keeps them can tell later whether anything before was changed."""
        if self._head is None:
            self._read_head()
        return self._step, (self._head or b"").hex()

    def _read_head(self) -> bytes:
        newest = self._backend.segments()[-1]
        rows = newest.rows("SELECT step, sha256 FROM steps ORDER BY step DESC LIMIT 1") or newest.rows(
            "SELECT step, sha256 FROM opening"
        )
        self._step, self._head = rows[0][0], bytes(rows[0][1])
        return self._head

    def append_step(
        self,
        at_ms: int,
        stimuli: Sequence[Stimulus],
        decisions: Sequence[Decision],
        spends: Sequence[Spend] = (),
        *,
        snapshot: bytes | None = None,
    ) -> int:
        """Record one engine step, all of it or nothing, and return its number.

        ``snapshot``: the state after it, where steps before it could not be recorded. Raises LedgerUnwritableError, and StaleEpochError
        where somebody else writes by now.
        """
        previous = self._read_head() if self._head is None else self._head
        number = self._step + 1
        rows, head = rows_of_step(
            previous, (number, self._run, at_ms), (stimuli, decisions, spends), self._notes, snapshot
        )
        try:
            self._backend.append(self._run, rows)
        except LedgerUnwritableError as error:
            if error.unknown:
                self._head = None
            raise
        self._step, self._head = number, head
        return number

    def rotation_due(self, now_ms: int) -> bool:
        """Say whether the newest segment is full, or old enough to be sealed."""
        return self._rotator.due(now_ms)

    def rotate(self, now_ms: int, snapshot: bytes) -> tuple[int, tuple[int, ...]]:
        """Seal the newest segment and begin the next with the engine's state; remove segments that nobody has to keep.

        Returns the new segment's number and those of the removed ones. Raises LedgerUnwritableError (nothing has changed, and the old one
        goes on) and StaleEpochError.
        """
        previous = self._read_head() if self._head is None else self._head
        self._head = None  # until it is known
        self._rotator.rotate((self._step, previous), now_ms, snapshot, self.spend())
        removed = self._rotator.prune(now_ms)
        self._read_head()
        return self._backend.segments()[-1].number, removed

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
        clauses, values = ["1 = 1"], list[Any]()
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
        found: list[Decision] = []
        for segment in reversed(self._backend.segments()):
            if len(found) >= limit:
                break
            found += [decode_decision(body) for (body,) in segment.rows(query, (*values, limit - len(found)))]
        return tuple(reversed(found))

    def subjects(self) -> tuple[str, ...]:
        """Return every key that a decision is about (pods, bursts, VMs) and every policy that decided, each once, sorted."""
        return self._texts("SELECT subject FROM decisions UNION SELECT policy FROM decisions")

    def policies(self) -> tuple[str, ...]:
        """Return the key of every policy that decided anything, sorted."""
        return self._texts("SELECT DISTINCT policy FROM decisions")

    def _texts(self, query: str) -> tuple[str, ...]:
        return tuple(sorted({text for (text,) in self._everywhere(query) if text}))

    def _everywhere(self, query: str) -> Iterator[tuple[Any, ...]]:
        for segment in self._backend.segments():
            yield from segment.rows(query)

    def stimuli(self, *, subject: str | None = None, kinds: Sequence[str] = ()) -> Iterator[RecordedStimulus]:
        """Yield recorded stimuli in order, of one subject and of some kinds where given."""
        clauses, values = ["id > ?"], list[str]()
        if subject is not None:
            clauses.append("subject = ?")
            values.append(subject)
        if kinds:
            clauses.append(f"kind IN ({','.join('?' * len(kinds))})")
            values.extend(kinds)
        query = f"SELECT id, at_ms, body FROM stimuli WHERE {' AND '.join(clauses)} ORDER BY id LIMIT {_PAGE}"  # noqa: S608 -- fixed clauses
        for segment in self._backend.segments():
            last = 0
            while page := segment.rows(query, (last, *values)):
                for _, at_ms, body in page:
                    yield RecordedStimulus(at_ms=at_ms, stimulus=decode_stimulus(body))
                last = page[-1][0]

    def steps(self) -> Iterator[LedgerStep]:
        """Yield every step in order: what replay feeds to the engine."""
        for segment in self._backend.segments():
            for run, before in segment.rows("SELECT run, snapshot FROM opening"):
                yield from steps_of(segment, run, unpack(before))

    def spend(self) -> tuple[Spend, ...]:
        """Return what was settled, one entry per burst, oldest first.

        A controller that dies between recording a settlement and saying so settles again after its restart. Such a burst counts
        once, with the larger amount: money is never under-counted. What was settled in segments that have been removed is among them as
        far back as budgets look.
        """
        return restoring.spends(self._backend.segments())

    def decided_bursts(self, since_ms: int) -> tuple[str, ...]:
        """Return the keys of all bursts that were decided since then, sorted."""
        return restoring.decided_bursts(self._backend.segments(), since_ms)

    def originals(self, since_ms: int) -> tuple[Original, ...]:
        """Return what number each scaled workload had before its policy first set it; noted since then, and not given back."""
        return restoring.originals(self._backend.segments(), since_ms)

    def decisions_sha256(self) -> str:
        """Return the hash of all decisions in order, as canonical JSON, a line each: same seed, same hash."""
        digest = hashlib.sha256()
        for step in self.steps():
            for decision in step.decisions:
                digest.update(canonical_json(decision) + b"\n")
        return digest.hexdigest()

    def counts(self) -> dict[str, int]:
        """Return how many steps, stimuli, decisions and settled amounts there are."""
        return {
            table: sum(count for (count,) in self._everywhere(f"SELECT count(*) FROM {table}"))  # noqa: S608 -- fixed names
            for table in ("steps", "stimuli", "decisions", "spend")
        }

    def verdicts(self) -> dict[tuple[str, str], int]:
        """Return how often each (verdict, settling code) was decided."""
        counted: dict[tuple[str, str], int] = {}
        for verdict, code, count in self._everywhere("SELECT verdict, code, count(*) FROM decisions GROUP BY 1, 2"):
            counted[verdict, code] = counted.get((verdict, code), 0) + count
        return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))

    def span_ms(self) -> tuple[int, int]:
        """Return the first and the last step's time; (0, 0) for an empty ledger."""
        spans = [span for span in self._everywhere("SELECT min(at_ms), max(at_ms) FROM steps") if span[0] is not None]
        return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else (0, 0)

    def meta(self) -> dict[str, str]:
        """Return what the latest run noted about itself: engine_version, seed, policy_hash, epoch."""
        newest = self._backend.segments()[-1]
        return dict(newest.rows("SELECT key, value FROM meta WHERE run = (SELECT max(run) FROM meta)"))

    def integrity(self) -> tuple[str, ...]:
        """Return what is wrong with the ledger, each in a sentence, at most twenty; empty where all is well."""
        return tuple(integrity.problems(self._backend.segments(), at_most=PROBLEMS_MAX))

    def close(self) -> None:
        """Close it; a second time does nothing."""
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def canonical_json(decision: Decision) -> bytes:
    """Return the one JSON text of a decision: fields in declared order, numbers sorted by name."""
    return msgspec.json.encode(decision, order="deterministic")
