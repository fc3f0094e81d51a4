"""The kinds of values that fields of the rules can have: each knows how to check itself and how its JSON Schema reads.

Used as annotations by the schema. A field keeps the text a person wrote (so that it can be shown again); compilation turns it into
integers. Every refusal is a ValueError whose message is a sentence about the value; the field's path is added by the caller.
"""

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from burster.model.quantities import format_duration_ms, parse_duration_ms, parse_micro_usd
from burster.policy.fields.patterns import PATTERN_LENGTH_MAX, check_pattern


INT32_MAX: Final = 2**31 - 1
_DURATION_PATTERN: Final = r"^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+)$"
_MONEY_PATTERN: Final = r"^[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,2})?$"
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_KEY: Final = re.compile(r"([a-z0-9][-a-z0-9.]{0,252}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
LABEL_LENGTH_MAX: Final = 63
SUBDOMAIN_LENGTH_MAX: Final = 253


class Kind(ABC):
    """A kind of value: how to check what was written, and how that reads as a JSON Schema. A kind that lacks one can't be made."""

    __slots__ = ()

    @abstractmethod
    def _check(self, value: Any) -> Any:
        """Return what to keep of what was written, or raise ValueError."""

    @abstractmethod
    def _json_schema(self) -> JsonSchemaValue:
        """Return the structural JSON Schema of what may be written."""

    def checked(self, value: Any) -> Any:
        """Return what to keep of a value. Raises ValueError, for the caller's validator."""
        return self._check(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        del schema, handler
        return self._json_schema()


def number_as_text(value: Any) -> str | None:
    """Return a number's text, as written or as it reads; None for what is neither number nor text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    return value if isinstance(value, str) else repr(value)


def number_schema(pattern: str, **bounds: int) -> JsonSchemaValue:
    """Return the schema of a number that may be text: of the text by its pattern, of the number by bounds (0 or more unless given).

    Structural schemas can't say "number or string" by type; pattern binds only strings and minimum only numbers.
    """
    return {
        "pattern": pattern,
        "minimum": 0,
        **bounds,
        "x-kubernetes-preserve-unknown-fields": True,
        "x-editor-type": ["number", "string"],
    }


@dataclass(frozen=True, slots=True)
class DurationBetween(Kind):
    """A duration such as ``30s`` or ``1h30m``, within bounds."""

    least: str
    most: str

    def _check(self, value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f'{value} is no duration: write for example "30s", "5m" or "1h30m"')
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise ValueError(f'{value} has no unit: write "{value}s" for seconds, "{value}m" for minutes')  # noqa: TRY004 (pydantic reports ValueError)
        if not isinstance(value, str):
            return value
        duration_ms = parse_duration_ms(value)
        if not parse_duration_ms(self.least) <= duration_ms <= parse_duration_ms(self.most):
            found = format_duration_ms(duration_ms)
            raise ValueError(f"{found} is out of bounds: write a duration from {self.least} to {self.most}")
        return value

    def _json_schema(self) -> JsonSchemaValue:
        return {"type": "string", "pattern": _DURATION_PATTERN, "maxLength": 32}


@dataclass(frozen=True, slots=True)
class Money(Kind):
    """An amount in USD, as a number or as text; kept as text."""

    def _check(self, value: Any) -> Any:
        text = number_as_text(value)
        if text is None:
            raise ValueError(f'{shown(value)} is no amount of money: write USD as a number, for example "12.50"')
        parse_micro_usd(text)
        return text

    def _json_schema(self) -> JsonSchemaValue:
        return number_schema(_MONEY_PATTERN)


@dataclass(frozen=True, slots=True)
class WholeNumber(Kind):
    """A whole number, also as text (KEDA's trigger metadata is text); kept as a number."""

    least: int
    most: int

    def _check(self, value: Any) -> Any:
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,10}", value):
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and not self.least <= value <= self.most:
            raise ValueError(f"{value} is out of bounds: write a whole number from {self.least} to {self.most}")
        return value

    def _json_schema(self) -> JsonSchemaValue:
        return {
            "x-kubernetes-int-or-string": True,
            "minimum": self.least,
            "maximum": self.most,
            "pattern": "^-?[0-9]+$",
        }


@dataclass(frozen=True, slots=True)
class Matching(Kind):
    """Text of a given form; ``expected`` says in words which. With ``numbers`` a number or boolean is taken for the text it reads as."""

    pattern: str
    length: int
    expected: str
    numbers: bool = False

    def _check(self, value: Any) -> Any:
        if self.numbers and isinstance(value, bool | int | float):
            value = str(value).lower() if isinstance(value, bool) else repr(value)
        if isinstance(value, str) and (len(value) > self.length or not re.fullmatch(self.pattern, value, re.ASCII)):
            raise ValueError(f"{shown(value)} is not {self.expected}")
        return value

    def _json_schema(self) -> JsonSchemaValue:
        if self.numbers:
            return {
                "pattern": f"^{self.pattern}$",
                "x-kubernetes-preserve-unknown-fields": True,
                "x-editor-type": ["number", "boolean", "string"],
            }
        return {"type": "string", "pattern": f"^{self.pattern}$", "maxLength": self.length, "minLength": 1}


@dataclass(frozen=True, slots=True)
class SafePattern(Kind):
    """A regular expression that is cheap on every name."""

    def _check(self, value: Any) -> Any:
        if isinstance(value, str):
            check_pattern(value)
        return value

    def _json_schema(self) -> JsonSchemaValue:
        return {"type": "string", "minLength": 1, "maxLength": PATTERN_LENGTH_MAX}


def shown(value: object) -> str:
    """Return a value as an error shows it: never longer than a line."""
    text = repr(value)
    return text if len(text) <= LABEL_LENGTH_MAX else f"{text[:LABEL_LENGTH_MAX]}…"


def unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse a list that names something twice."""
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"names {value!r} twice: remove one")
    return values


def label_key(text: str) -> bool:
    """Say whether a text is a label's key."""
    return _LABEL_KEY.fullmatch(text) is not None


def label_value(text: str) -> bool:
    """Say whether a text can be a label's value."""
    return _LABEL_VALUE.fullmatch(text) is not None


def _label_map(values: dict[str, str]) -> dict[str, str]:
    for key, value in values.items():
        if not label_key(key):
            raise ValueError(
                f'{shown(key)} is no label key: write it as Kubernetes does, for example "app.kubernetes.io/name"'
            )
        if not label_value(value):
            raise ValueError(
                f"{shown(value)} is no value for label {key}: at most 63 letters, digits, '-', '_' and '.', alphanumeric at both ends"
            )
    return values


def _form(pattern: re.Pattern[str], length: int, expected: str) -> Matching:
    return Matching(pattern.pattern, length, expected)


_EXPECTED_LABEL = "a Kubernetes name: at most 63 lower-case letters, digits and '-', alphanumeric at both ends"
_EXPECTED_SHORT = (
    "a name for a label's value: at most 63 lower-case letters, digits, '-' and '.', alphanumeric at both ends"
)
_EXPECTED_NAME = "a Kubernetes name: at most 253 lower-case letters, digits, '-' and '.', alphanumeric at both ends"

Usd = Annotated[str, Money()]
NamePattern = Annotated[str, SafePattern()]
DnsLabel = Annotated[str, _form(_LABEL, LABEL_LENGTH_MAX, _EXPECTED_LABEL)]
DnsName = Annotated[str, _form(_SUBDOMAIN, SUBDOMAIN_LENGTH_MAX, _EXPECTED_NAME)]
#: a name that cloud pods carry as a label
DnsShortName = Annotated[str, _form(_SUBDOMAIN, LABEL_LENGTH_MAX, _EXPECTED_SHORT)]
_LabelValue = Annotated[str, WithJsonSchema({"type": "string", "maxLength": LABEL_LENGTH_MAX})]
Labels = Annotated[dict[str, _LabelValue], Field(max_length=32), AfterValidator(_label_map)]
