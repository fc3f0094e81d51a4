"""How a check of the rules says no: at a field below the one that is checked, or at a place within a text.

Raised by validators of the schema, where pydantic knows only the model or the field; ``problems`` turns them into problems with the exact
path, line and column. All are ValueErrors, as pydantic wants them.
"""

import msgspec

from burster.policy.yaml_nodes import Path


class PlacedError(ValueError):
    """Something wrong inside a text of several words: a condition, a formula. Line and column count from 1 within the text."""

    def __init__(self, message: str, *, line: int = 0, column: int = 0, excerpt: str = "") -> None:
        super().__init__(message)
        self.line, self.column, self.excerpt = line, column, excerpt


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong with a field, named from the model that is checked; within its text where ``cause`` says where."""

    path: Path
    message: str
    cause: PlacedError | None = None


class FieldErrors(ValueError):  # noqa: N818 (it holds several)
    """What is wrong with several fields taken together, each with the path of the one to change."""

    def __init__(self, found: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(finding.message for finding in found))
        self.found = found


class Findings:
    """Collects what is wrong while a model is checked, so that all of it is told at once."""

    def __init__(self) -> None:
        self._found: list[Finding] = []

    def at(self, *path: str | int, message: str, cause: PlacedError | None = None) -> None:
        """Note a problem at a field, named as people write it."""
        self._found.append(Finding(path, message, cause))

    def add(self, errors: FieldErrors, *path: str | int) -> None:
        """Note what a checker of a field has found."""
        self._found += [Finding((*path, *found.path), found.message, found.cause) for found in errors.found]

    def raise_any(self) -> None:
        """Raise FieldErrors if anything was noted."""
        if self._found:
            raise FieldErrors(tuple(self._found))
