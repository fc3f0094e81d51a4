"""The ledger's tables, how a file is recognised as a ledger, and what of a record is indexed.

Only burster.ledger.store uses this. Triggers make the file append-only for everybody, not only for those who use our code: a record
of money and security that can be edited without a trace is none.
"""

import sqlite3
from pathlib import Path
from typing import Final

import burster
from burster.model import stimuli
from burster.model.errors import InputError
from burster.model.stimuli import Stimulus


SCHEMA_VERSION: Final = 1
#: "burs" in ASCII: tells a ledger from any other SQLite file
APPLICATION_ID: Final = 0x62757273
_TABLES: Final = ("steps", "stimuli", "decisions", "spend", "meta")

_DDL: Final = """
CREATE TABLE steps (
    step INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    stimuli INTEGER NOT NULL,
    decisions INTEGER NOT NULL,
    spends INTEGER NOT NULL
) STRICT;
CREATE TABLE stimuli (
    id INTEGER PRIMARY KEY,
    step INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY,
    step INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    policy TEXT NOT NULL,
    subject TEXT NOT NULL,
    verdict TEXT NOT NULL,
    code TEXT NOT NULL,
    burst TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE spend (
    id INTEGER PRIMARY KEY,
    step INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    burst TEXT NOT NULL,
    uid TEXT NOT NULL,
    policy TEXT NOT NULL,
    target TEXT NOT NULL,
    micro_usd INTEGER NOT NULL
) STRICT;
CREATE TABLE meta (
    run INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, key)
) STRICT;
CREATE INDEX stimuli_subject ON stimuli (subject);
CREATE INDEX decisions_subject ON decisions (subject);
CREATE INDEX decisions_burst ON decisions (burst) WHERE burst <> '';
CREATE INDEX decisions_policy ON decisions (policy, at_ms);
"""


def create(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty file, in one transaction: a crash in between leaves an empty file, not half a ledger."""
    guards = "".join(
        f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;\n"
        for table in _TABLES
        for verb in ("UPDATE", "DELETE")
    )
    connection.executescript(
        f"BEGIN IMMEDIATE;\n{_DDL}{guards}"
        f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;"
    )


def is_ledger(connection: sqlite3.Connection) -> bool:
    """Say whether the file calls itself a ledger."""
    return connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID


def recognise(connection: sqlite3.Connection, path: Path, *, may_be_empty: bool) -> None:
    """Raise InputError unless this is a ledger of a known schema (or, where allowed, an empty file)."""
    try:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        ours = is_ledger(connection)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise InputError(f"{path} is not a ledger: it is no SQLite file ({error})") from error
    if not ours and not (may_be_empty and tables == 0):
        raise InputError(f"{path} is not a ledger: it is a file of something else; name another one")
    if ours and version > SCHEMA_VERSION:
        raise InputError(
            f"{path}: this ledger has schema {version}, this burster ({burster.__version__}) knows {SCHEMA_VERSION}: "
            "read it with the burster that wrote it, or a newer one"
        )


def begin_run(connection: sqlite3.Connection, seed: int | None, policy_hash: str) -> int:
    """Note a new run and what it runs with; return its number."""
    connection.execute("BEGIN IMMEDIATE")
    run: int = connection.execute("SELECT coalesce(max(run), 0) + 1 FROM meta").fetchone()[0]
    notes = {
        "engine_version": burster.__version__,
        "policy_hash": policy_hash,
        "seed": "" if seed is None else str(seed),
    }
    connection.executemany("INSERT INTO meta VALUES (?,?,?)", [(run, key, value) for key, value in notes.items()])
    connection.execute("COMMIT")
    return run


def subject_of(stimulus: Stimulus) -> str:
    """Return what a stimulus is about: the key of its burst, pod or policy, or a target's name; else the empty string."""
    match stimulus:
        case stimuli.PodSeen(pod=about) | stimuli.BurstSeen(burst=about) | stimuli.PolicySeen(policy=about):
            return about.key
        case stimuli.PodLeft(namespace=namespace, name=name):
            return f"{namespace}/{name}"
        case stimuli.CloudPodSeen() | stimuli.CloudPodGone() | stimuli.SandboxFailed():
            return stimulus.burst_key
        case stimuli.InstructionFailed(subject=subject):
            return subject
        case _:
            # the rest name their subject `key` (a burst or a policy) or `target`
            return str(getattr(stimulus, "key", "") or getattr(stimulus, "target", ""))
