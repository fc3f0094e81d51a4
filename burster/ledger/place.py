"""Where one controller's ledger is kept, and for how long: opened for each lead anew."""

import os
from pathlib import Path
from typing import Final

import msgspec

from burster.ledger.postgres_address import PostgresAddress
from burster.ledger.rotation import Rotation
from burster.ledger.store import Ledger
from burster.model.errors import InputError


_CURE: Final = "give it a writable folder with free space, or another --ledger"


class LedgerPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A file, or with an ``address`` a database that several replicas reach."""

    path: Path
    address: PostgresAddress | None = None
    rotation: Rotation = Rotation()
    dry_run: bool = False  #: whoever writes decides only: its runs are marked, and count for nothing later

    @property
    def shared(self) -> bool:
        """Whether a replica elsewhere can go on with it."""
        return self.address is not None

    def check(self) -> None:
        """Say early what would stop a lead: raises InputError where a file can't be a ledger; a database is asked when it is needed."""
        if self.address is not None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.path}: the ledger can't be written ({error}): {_CURE}") from error
        if not os.access(self.path.parent, os.W_OK):
            raise InputError(f"{self.path}: the ledger can't be written (its folder may not be): {_CURE}")
        if not self.path.exists():
            return
        if self.path.is_dir() or (self.path.is_file() and self.path.stat().st_size):
            Ledger.read(self.path).close()
        if not self.path.is_file() or not os.access(self.path, os.W_OK):
            raise InputError(f"{self.path}: the ledger can't be written (it is no file that may be): {_CURE}")

    def open(self, epoch: int | None) -> Ledger:
        """Open for writing. Raises LedgerUnwritableError, StaleEpochError, InputError."""
        if self.address is not None:
            return Ledger.connect(self.address, epoch=epoch, rotation=self.rotation, dry_run=self.dry_run)
        return Ledger.open(self.path, epoch=epoch, rotation=self.rotation, dry_run=self.dry_run)
