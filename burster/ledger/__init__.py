"""The append-only record of stimuli, decisions and spend: written by the runtime, read by people and by replay."""

from burster.ledger.backend import LedgerUnwritableError, StaleEpochError
from burster.ledger.place import LedgerPlace
from burster.ledger.postgres_address import PostgresAddress
from burster.ledger.rotation import Rotation
from burster.ledger.steps import LedgerStep
from burster.ledger.store import Ledger, RecordedStimulus


__all__ = [
    "Ledger",
    "LedgerPlace",
    "LedgerStep",
    "LedgerUnwritableError",
    "PostgresAddress",
    "RecordedStimulus",
    "Rotation",
    "StaleEpochError",
]
