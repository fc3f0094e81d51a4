"""What a conversion says beside the policy it makes: what was assumed, what changed, and what could not be carried over."""

from typing import Any, Literal, cast

import msgspec

from burster.policy.errors import Problem
from burster.policy.problems import problem_at
from burster.policy.yaml_nodes import Path, YamlDocument


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence about one field of the KEDA object."""

    kind: Literal["assumed", "changed", "dropped"]
    source: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        """Return ``file:line:column: field: sentence``."""
        return f"{self.source}:{self.line}:{self.column}: {self.path}: {self.message}"


class Converted(msgspec.Struct, frozen=True, kw_only=True):
    """A KEDA object and the policy it became; no policy where nothing of it could be carried over."""

    kind: str
    name: str
    source: str
    line: int
    policy: dict[str, Any] | None
    notes: tuple[Note, ...]


class Notes:
    """Collects the notes about one document."""

    def __init__(self, source: str, document: YamlDocument) -> None:
        self.source, self._document = source, document
        self._notes: list[Note] = []

    def dropped(self, path: Path, message: str) -> None:
        """Say that something is not carried over."""
        self._add("dropped", path, message)

    def changed(self, path: Path, message: str) -> None:
        """Say that something is carried over in another form."""
        self._add("changed", path, message)

    def assumed(self, path: Path, message: str) -> None:
        """Say that something was decided without being asked for."""
        self._add("assumed", path, message)

    def problem(self, path: Path, message: str) -> Problem:
        """Return a problem at a field of the object."""
        return problem_at(self.source, path, message, self._document)

    def all(self) -> tuple[Note, ...]:
        """Return the notes in the order of the text."""
        return tuple(sorted(self._notes, key=lambda note: (note.line, note.column)))

    def _add(self, kind: Literal["assumed", "changed", "dropped"], path: Path, message: str) -> None:
        place = problem_at(self.source, path, message, self._document, key=True)
        self._notes.append(
            Note(
                kind=kind,
                source=self.source,
                line=place.line,
                column=place.column,
                path=place.path,
                message=message,
            )
        )


def mapping_of(value: object) -> dict[str, Any]:
    """Return a mapping as it is, and an empty one for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """Return a list as it is, and an empty one for anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def text_of(value: object) -> str:
    """Return a scalar as the text that KEDA's string-valued metadata would hold."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
