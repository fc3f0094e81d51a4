"""The ledger's tables, how a file is recognised as a ledger, and what of a record is indexed.

Only burster.ledger.store uses this. Triggers make the file append-only for everybody, not only for those who use our code: a record
of money and security that can be edited without a trace is none.
"""

import sqlite3
from typing import Final

from burster.model import stimuli
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
