"""The kinds of numbers that rules have beyond counts and money: thresholds, percentages, quantities, switches, milliseconds.

KEDA's trigger metadata is text, and people write numbers there all the same: both are taken, and kept as text. Used as annotations by the
schema; ``compile`` turns the text into integers by the functions beside each kind. Called by the schema and by ``compile`` only.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Annotated, Any, Final, Literal

from pydantic.json_schema import JsonSchemaValue

from burster.model.errors import QuantityError
from burster.model.quantities import parse_cpu_millicores, parse_duration_ms, parse_memory_bytes
from burster.policy.fields import Kind, number_as_text, number_schema, shown


MILLI: Final = 1_000
#: an int64 of milli-units, as the API of metrics has them, holds no more
METRIC_MAX: Final = 9_000_000_000_000_000
_NUMBER: Final = re.compile(r"\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_NUMBER_LENGTH_MAX: Final = 40
_PERCENT: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?")
_HUNDRED_PERCENT_MILLI: Final = 100_000
_QUANTITY: Final = r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3}|[numkMGTPE]|[KMGTPE]i)?$"
#: what Go's ParseBool takes
_TRUE: Final = ("1", "t", "T", "TRUE", "true", "True")
_FALSE: Final = ("0", "f", "F", "FALSE", "false", "False")
_MILLIS_MAX: Final = 60_000


@dataclass(frozen=True, slots=True)
class MetricNumber(Kind):
    """A threshold of a metric: a number that is at least a thousandth, or 0 too where ``zero``."""

    zero: bool = False

    def _check(self, value: Any) -> Any:
        what = "0 or more" if self.zero else "more than 0"
        text = number_as_text(value)
        if text is None:
            raise ValueError(f'{shown(value)} is no number: write a number that is {what}, for example "1.5"')
        if len(text) > _NUMBER_LENGTH_MAX or not _NUMBER.fullmatch(text):
            raise ValueError(f'{shown(text)} is no number: write a finite number that is {what}, for example "1.5"')
        number = Decimal(text)
        if number > METRIC_MAX:
            raise ValueError(f"{shown(text)} is too large: a metric is at most {METRIC_MAX}")
        if not self.zero and threshold_milli(text) == 0:
            raise ValueError(
                f"{shown(text)} is too small: write a number of at least 0.001, as metrics have three decimals"
            )
        return text

    def _json_schema(self) -> JsonSchemaValue:
        return number_schema(f"^{_NUMBER.pattern}$")


def threshold_milli(text: str) -> int:
    """Return a target in milli-units as KEDA makes it: parsed as a double, times 1000, truncated."""
    return int(float(text) * MILLI)


def activation_milli(text: str) -> int:
    """Return an activation threshold in milli-units.

    A value in whole milli-units is above the exact threshold just where it is above its floor.
    """
    return int((Decimal(text) * MILLI).to_integral_value(ROUND_FLOOR))


@dataclass(frozen=True, slots=True)
class Percentage(Kind):
    """A percentage from 0 to 100 with at most three decimals, as a number or as text; kept as text."""

    def _check(self, value: Any) -> Any:
        text = number_as_text(value)
        if text is None:
            raise ValueError(f'{shown(value)} is no percentage: write a number from 0 to 100, for example "12.5"')
        if not _PERCENT.fullmatch(text) or percent_milli(text) > _HUNDRED_PERCENT_MILLI:
            raise ValueError(
                f'{shown(text)} is no percentage: write a number from 0 to 100 with at most three decimals, for example "12.5"'
            )
        return text

    def _json_schema(self) -> JsonSchemaValue:
        return number_schema(f"^{_PERCENT.pattern}$", maximum=100)


def percent_milli(text: str) -> int:
    """Return a percentage in thousandths of a percent: 12.5 is 12,500."""
    return int(Decimal(text) * MILLI)


@dataclass(frozen=True, slots=True)
class Quantity(Kind):
    """A Kubernetes quantity of cpu (``500m``) or memory (``4Gi``), as text or as a whole number; kept as text."""

    of: Literal["cpu", "memory"]
    least: int = 0

    def _check(self, value: Any) -> Any:
        if isinstance(value, float) and math.isfinite(value) and self.of == "cpu":
            value = repr(value)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            example = "500m" if self.of == "cpu" else "4Gi"
            raise ValueError(  # noqa: TRY004 (pydantic reports ValueError)
                f'{shown(value)} is no amount of {self.of}: write it as Kubernetes does, for example "{example}"'
            )
        if self.of == "memory" and value.endswith("m"):
            raise ValueError(
                f'{shown(value)} is thousandths of a byte: write it as Kubernetes does, for example "{value[:-1]}Mi" or "4Gi"'
            )
        if self.parse(value) < self.least:
            raise ValueError(f"{shown(value)} is nothing: write an amount of {self.of} above 0")
        return value

    @property
    def parse(self) -> Callable[[str], int]:
        """What turns the text into millicores or bytes."""
        return parse_cpu_millicores if self.of == "cpu" else parse_memory_bytes

    def _json_schema(self) -> JsonSchemaValue:
        return number_schema(_QUANTITY)


@dataclass(frozen=True, slots=True)
class Switch(Kind):
    """True or false, also as text as KEDA's metadata has it; kept as a boolean."""

    def _check(self, value: Any) -> Any:
        if isinstance(value, str) and value in (*_TRUE, *_FALSE):
            return value in _TRUE
        if not isinstance(value, bool):
            raise ValueError(f'{shown(value)} is neither true nor false: write "true" or "false"')  # noqa: TRY004 (pydantic reports ValueError)
        return value

    def _json_schema(self) -> JsonSchemaValue:
        return {
            "pattern": f"^({'|'.join((*_TRUE, *_FALSE))})$",
            "x-kubernetes-preserve-unknown-fields": True,
            "x-editor-type": ["boolean", "string"],
        }


@dataclass(frozen=True, slots=True)
class Timeout(Kind):
    """Milliseconds, or a duration: KEDA's ``timeout``. Kept as milliseconds."""

    def _check(self, value: Any) -> Any:
        try:
            millis = _millis(value)
        except QuantityError:
            millis = None
        if millis is None:
            raise ValueError(
                f'{shown(value)} is no timeout: write milliseconds, for example "3000", or a duration, for example "3s"'
            )
        if not 1 <= millis <= _MILLIS_MAX:
            raise ValueError(f"{millis} ms is out of bounds: write a timeout from 1 ms to {_MILLIS_MAX} ms")
        return millis

    def _json_schema(self) -> JsonSchemaValue:
        return {
            "pattern": r"^([0-9]+|([0-9]+(\.[0-9]+)?(ms|s|m))+)$",
            "minimum": 1,
            "maximum": _MILLIS_MAX,
            "x-kubernetes-int-or-string": True,
        }


def _millis(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"[0-9]{1,9}", value) else parse_duration_ms(value)
    return None


Threshold = Annotated[str, MetricNumber()]
Activation = Annotated[str, MetricNumber(zero=True)]
Percent = Annotated[str, Percentage()]
Cpu = Annotated[str, Quantity("cpu")]
Memory = Annotated[str, Quantity("memory")]
TrueOrFalse = Annotated[bool, Switch()]
Millis = Annotated[int, Timeout()]
