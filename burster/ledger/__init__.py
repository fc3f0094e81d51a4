"""The append-only record of stimuli, decisions and spend: written by the runtime, read by people and by replay."""

from burster.ledger.store import Ledger, LedgerStep, LedgerUnwritableError, RecordedStimulus


__all__ = ["Ledger", "LedgerStep", "LedgerUnwritableError", "RecordedStimulus"]
