"""The engine's state as bytes, and back: to keep it, to look at it, to go on from it elsewhere.

Explicit and versioned: only the classes that ``State`` is made of are written and read, by name, so that bytes from anywhere can at worst
be refused. Things that the state refers to from two places are one thing again after reading. A snapshot is no substitute for the ledger:
the ledger says how a state came to be, a snapshot only what it is.
"""

import dataclasses
import sys
import typing
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec

from burster.engine.state import State
from burster.model.errors import InputError


#: Raised whenever a state of the former form could be misread.
VERSION: Final = 4
#: An object that was written before, by its number.
_AGAIN: Final = "@"


class SnapshotError(InputError):
    """Bytes that are no snapshot, or one of another version."""


def dump(state: State) -> bytes:
    """Return a state as bytes, the same for the same state."""
    return msgspec.json.encode({"version": VERSION, "state": _Writer().write(state)})


def restore(data: bytes) -> State:
    """Return the state that ``dump`` was given. Raises SnapshotError."""
    try:
        value = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise SnapshotError(f"this is no snapshot: {error}") from None
    if not isinstance(value, dict) or cast("dict[str, Any]", value).get("version") != VERSION:
        found = cast("dict[str, Any]", value).get("version") if isinstance(value, dict) else None
        raise SnapshotError(
            f"this is a snapshot of version {found}, and version {VERSION} is read: replay the ledger instead"
        )
    try:
        state = _Reader().read(cast("dict[str, Any]", value).get("state"))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        raise SnapshotError(f"this snapshot is damaged: {error!r}") from None
    if not isinstance(state, State):
        raise SnapshotError("this snapshot holds no state")
    return state


def _classes(root: type[Any]) -> dict[str, type[Any]]:
    """Return every class of burster's that a value of ``root`` may hold, by name."""
    found: dict[str, type[Any]] = {}
    waiting: list[Any] = [root]
    while waiting:
        hint = waiting.pop()
        waiting.extend(typing.get_args(hint))
        if not isinstance(hint, type) or found.get(hint.__name__) is hint:
            continue
        if dataclasses.is_dataclass(hint) or issubclass(hint, msgspec.Struct):
            if hint.__name__ in found:
                raise TypeError(f"a state holds two classes that are called {hint.__name__}: they can't be told apart")
            found[hint.__name__] = hint
            waiting.extend(typing.get_type_hints(hint).values())
    return found


_CLASSES: Final = _classes(State)


def _fields(one: type[Any]) -> tuple[str, ...]:
    if dataclasses.is_dataclass(one):
        return tuple(field.name for field in dataclasses.fields(one) if not field.metadata.get("derived"))
    return cast("tuple[str, ...]", one.__struct_fields__)


_FIELDS: Final = {name: _fields(one) for name, one in _CLASSES.items()}


#: Values that never change may be written twice: whether two places share one is nobody's business.
_FROZEN: Final = frozenset(
    name for name, one in _CLASSES.items() if issubclass(one, msgspec.Struct) and one.__struct_config__.frozen
)


class _Writer:
    """Writes values as JSON: ``[kind, …]`` for all that JSON has no word for."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no address is used again
        self._frozen = 0  #: how deep it is inside of something that never changes

    def write(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, tuple):
            return ["t", *map(self.write, cast("tuple[Any, ...]", value))]
        if type(value).__name__ in _FROZEN:
            self._frozen += 1
            written = self._write_new(value)
            self._frozen -= 1
            return written
        if not self._frozen:
            number = self._numbers.get(id(value))
            if number is not None:
                return [_AGAIN, number]
            self._numbers[id(value)] = len(self._kept)
            self._kept.append(value)
        return self._write_new(value)

    def _write_new(self, value: Any) -> Any:
        match value:
            case list():
                return ["l", *map(self.write, cast("list[Any]", value))]
            case deque():
                return ["q", value.maxlen, *map(self.write, cast("deque[Any]", value))]
            case set() | frozenset():
                # sorted, as the order of a set is nobody's: equal states are equal bytes
                items = sorted(map(self.write, cast("set[Any]", value)), key=repr)
                return ["f" if isinstance(value, frozenset) else "s", *items]
            case dict():
                pairs = cast("dict[Any, Any]", value).items()
                return ["d", *([self.write(key), self.write(item)] for key, item in pairs)]
            case _:
                name = type(value).__name__
                if _CLASSES.get(name) is not type(value):
                    raise TypeError(f"a state can't hold a {name}")
                return [name, *(self.write(getattr(value, field)) for field in _FIELDS[name])]


class _Reader:
    """Reads what a writer wrote."""

    def __init__(self) -> None:
        self._made: list[Any] = []
        self._frozen = 0

    def _note(self, made: Any) -> None:
        if not self._frozen:
            self._made.append(made)

    def read(self, written: Any) -> Any:
        if isinstance(written, str):
            return sys.intern(written)  # so that what equals a default is left out of messages as before
        if not isinstance(written, list):
            return written
        kind, *parts = cast("list[Any]", written)
        if kind == _AGAIN:
            return self._made[parts[0]]
        if kind == "t":
            return tuple(map(self.read, parts))
        return self._BUILDERS[kind](self, parts) if kind in self._BUILDERS else self._object(kind, parts)

    def _list(self, parts: list[Any]) -> list[Any]:
        made: list[Any] = []
        self._note(made)
        made.extend(map(self.read, parts))
        return made

    def _deque(self, parts: list[Any]) -> deque[Any]:
        made: deque[Any] = deque(maxlen=parts[0])
        self._note(made)
        made.extend(map(self.read, parts[1:]))
        return made

    def _set(self, parts: list[Any]) -> set[Any]:
        made: set[Any] = set()
        self._note(made)
        made.update(map(self.read, parts))
        return made

    def _frozenset(self, parts: list[Any]) -> frozenset[Any]:
        made = frozenset(self._set(parts))
        if not self._frozen:
            self._made[-1] = made  # its items are never numbered: they are text and numbers
        return made

    def _dict(self, parts: list[Any]) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        self._note(made)
        for key, item in parts:
            made[self.read(key)] = self.read(item)
        return made

    def _object(self, name: str, parts: list[Any]) -> Any:
        one, fields = _CLASSES[name], _FIELDS[name]
        if name in _FROZEN:
            self._frozen += 1
            values = dict(zip(fields, map(self.read, parts), strict=True))
            self._frozen -= 1
            return one(**values)
        place = len(self._made)
        self._note(None)
        made = one(**dict(zip(fields, map(self.read, parts), strict=True)))
        if not self._frozen:
            self._made[place] = made
        return made

    _BUILDERS: Final[dict[str, Callable[["_Reader", list[Any]], Any]]] = {
        "l": _list,
        "q": _deque,
        "s": _set,
        "f": _frozenset,
        "d": _dict,
    }
