"""The ledger's tables in both dialects, and how a file is recognised as a ledger.

Only the backends use this. Triggers make the tables append-only for everybody, not only for those who use our code: a record of money and
security that can be edited without a trace is none. A sealed segment takes nothing any more.
"""

import sqlite3
from pathlib import Path
from typing import Final

import burster
from burster.ledger.rows import COLUMNS
from burster.model.errors import InputError


SCHEMA_VERSION: Final = 2
#: "burs" in ASCII: tells a ledger from any other SQLite file
APPLICATION_ID: Final = 0x62757273
TABLES: Final = tuple(COLUMNS)
_REFUSAL: Final = "the ledger is append-only"
_SEALED: Final = "this segment of the ledger is sealed"

#: {key}: a number that the database gives; {blob}, {text}, {int}, {end}: the dialect's words
_DDL: Final = """
CREATE TABLE steps (
    step {int} PRIMARY KEY,
    run {int} NOT NULL,
    at_ms {int} NOT NULL,
    stimuli {int} NOT NULL,
    decisions {int} NOT NULL,
    spends {int} NOT NULL,
    snapshot {blob},
    sha256 {blob} NOT NULL
) {end};
CREATE TABLE stimuli (
    id {key},
    step {int} NOT NULL,
    at_ms {int} NOT NULL,
    kind {text} NOT NULL,
    subject {text} NOT NULL,
    body {blob} NOT NULL
) {end};
CREATE TABLE decisions (
    id {key},
    step {int} NOT NULL,
    at_ms {int} NOT NULL,
    policy {text} NOT NULL,
    subject {text} NOT NULL,
    verdict {text} NOT NULL,
    code {text} NOT NULL,
    burst {text} NOT NULL,
    body {blob} NOT NULL
) {end};
CREATE TABLE spend (
    id {key},
    step {int} NOT NULL,
    at_ms {int} NOT NULL,
    burst {text} NOT NULL,
    uid {text} NOT NULL,
    policy {text} NOT NULL,
    target {text} NOT NULL,
    micro_usd {int} NOT NULL
) {end};
CREATE TABLE carried (
    id {key},
    at_ms {int} NOT NULL,
    burst {text} NOT NULL,
    uid {text} NOT NULL,
    policy {text} NOT NULL,
    target {text} NOT NULL,
    micro_usd {int} NOT NULL
) {end};
CREATE TABLE meta (
    run {int} NOT NULL,
    key {text} NOT NULL,
    value {text} NOT NULL,
    PRIMARY KEY (run, key)
) {end};
CREATE TABLE opening (
    segment {int} PRIMARY KEY,
    run {int} NOT NULL,
    step {int} NOT NULL,
    at_ms {int} NOT NULL,
    snapshot {blob},
    previous {blob} NOT NULL,
    sha256 {blob} NOT NULL
) {end};
CREATE TABLE seal (
    step {int} PRIMARY KEY,
    at_ms {int} NOT NULL,
    sha256 {blob} NOT NULL
) {end};
CREATE INDEX stimuli_step ON stimuli (step);
CREATE INDEX stimuli_subject ON stimuli (subject);
CREATE INDEX decisions_step ON decisions (step);
CREATE INDEX decisions_subject ON decisions (subject);
CREATE INDEX decisions_burst ON decisions (burst) WHERE burst <> '';
CREATE INDEX decisions_policy ON decisions (policy, at_ms);
"""
_SQLITE: Final = {"key": "INTEGER PRIMARY KEY", "int": "INTEGER", "text": "TEXT", "blob": "BLOB", "end": "STRICT"}
#: "C": in the order of bytes, as SQLite has it
_POSTGRES: Final = {
    "key": "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "int": "bigint",
    "text": 'text COLLATE "C"',
    "blob": "bytea",
    "end": "",
}


def sqlite_ddl() -> str:
    """Return what makes a segment in an empty file, without a transaction around it."""
    guards = "".join(
        f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END;\n"
        for table in TABLES
        for verb in ("UPDATE", "DELETE")
    )
    guards += "".join(
        f"CREATE TRIGGER {table}_sealed BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM seal) "  # noqa: S608 - fixed names
        f"BEGIN SELECT RAISE(ABORT, '{_SEALED}'); END;\n"
        for table in TABLES
    )
    marks = f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {SCHEMA_VERSION};\n"
    return _DDL.format(**_SQLITE) + guards + marks


def postgres_ddl(schema: str) -> str:
    """Return what makes a segment in a schema of that name, which must not be there yet. The name is checked by the caller."""
    guards = f"""
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$;
CREATE FUNCTION refuse_sealed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT 1 FROM {schema}.seal) THEN RAISE EXCEPTION '{_SEALED}'; END IF;
    RETURN NULL;
END $$;
"""  # noqa: S608 - a checked name
    guards += "".join(
        f"CREATE TRIGGER {table}_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION refuse();\n"
        f"CREATE TRIGGER {table}_sealed BEFORE INSERT ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION refuse_sealed();\n"
        for table in TABLES
    )
    return f"CREATE SCHEMA {schema};\nSET LOCAL search_path TO {schema};\n{_DDL.format(**_POSTGRES)}{guards}"


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
    if ours:
        check_version(str(path), version)


def check_version(where: str, version: int) -> None:
    """Raise InputError unless a ledger's schema is the one that is read and written here."""
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{where}: this ledger has schema {version}, this burster ({burster.__version__}) knows {SCHEMA_VERSION}: "
            "read it with the burster that wrote it, or a newer one"
        )
    if version < SCHEMA_VERSION:
        raise InputError(
            f"{where}: this ledger has schema {version}, from before its steps were chained, and this burster "
            f"({burster.__version__}) knows {SCHEMA_VERSION}: keep it to be read with the burster that wrote it, and begin a new one "
            "elsewhere (BURSTER_LEDGER_PATH, or --ledger), which knows of the past what Burst records still tell"
        )
