"""Where the files are that come with burster: scenarios, traces, policies. In a checkout beside the package, in a wheel inside it."""

from pathlib import Path

from burster.model.errors import InputError


_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Return a shipped folder (``simulations``, ``policies``, ``deploy``). Raises InputError where the installation lacks it."""
    for root in (_PACKAGE.parent, _PACKAGE / "_shipped"):
        if (root / name).is_dir() and (root / name) != _PACKAGE / name:
            return root / name
    raise InputError(f"this installation of burster has no {name}: install it again, or run from a checkout")
