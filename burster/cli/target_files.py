"""What commands about targets have in common: rules from files instead of the cluster's, and a line of progress."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from burster.cli.output import shown
from burster.model.errors import InputError


if TYPE_CHECKING:
    from burster.runtime.doctor import Rules


def rules_in(files: list[Path] | None, *, about: str) -> "Rules | None":
    """Return what files hold, None where none were named. ``about``: what is about targets. Raises InputError."""
    if not files:
        return None
    from burster.policy.errors import as_wrong_input
    from burster.policy.load import load_files
    from burster.runtime.doctor import rules_of

    with as_wrong_input():
        rules = rules_of(document.object for document in load_files([str(file) for file in files]))
    if not rules.targets:
        raise InputError(f"{', '.join(map(str, files))}: there is no BurstTarget in it, and {about}")
    return rules


def progress(what: str) -> None:
    """Say on a terminal what is being read, on one line that the next replaces; empty: clear it."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[Kreading {shown(what)} ..." if what else "\r\x1b[K")
        sys.stderr.flush()
