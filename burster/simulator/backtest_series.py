"""A trigger's value at each step of a range, as Prometheus remembers it: a number, or missing.

Called by ``backtest``. A range query leaves out the steps at which an instant query would have been empty, and those at which there was
no Prometheus; ``up``, which every Prometheus has, tells the two apart.
"""

import math
from typing import Any, Final, cast

import msgspec

from burster.engine.autoscale.arithmetic import milli_of
from burster.model.errors import InputError
from burster.model.triggers import PrometheusTrigger
from burster.simulator.traces.record import PrometheusServer, Range, pieces


#: 1 wherever Prometheus scraped anything at all
_PRESENCE: Final = "max(up >= bool 0)"
_SECOND_MS: Final = 1_000


class Readings(msgspec.Struct, frozen=True):
    """The value at each step in milli-units; None: missing."""

    milli: tuple[int | None, ...]


def read_presence(server: PrometheusServer, span: Range) -> tuple[bool, ...]:
    """Return at which steps Prometheus was there."""
    found = _samples(server, _PRESENCE, span, "up")
    return tuple(value is not None for value in found)


def read_trigger(
    server: PrometheusServer, trigger: PrometheusTrigger, span: Range, presence: tuple[bool, ...]
) -> Readings:
    """Return a trigger's values. Raises InputError where a query gave more than one series at a time: KEDA refuses that too."""
    found = _samples(server, trigger.query, span, trigger.name)
    return Readings(
        tuple(
            _reading(value, there=there, ignore_null=trigger.ignore_null_values)
            for value, there in zip(found, presence, strict=True)
        )
    )


def _reading(value: float | None, *, there: bool, ignore_null: bool) -> int | None:
    """Return a value as the engine would have had it; NaN and the infinities are as good as an empty answer."""
    if value is not None and math.isfinite(value):
        return milli_of(value)
    return 0 if ignore_null and (there or value is not None) else None


def _samples(server: PrometheusServer, query: str, span: Range, what: str) -> list[float | None]:
    steps = (span.end_ms - span.start_ms) // span.step_ms + 1
    values: list[float | None] = [None] * steps
    taken = [False] * steps
    for start_ms, end_ms in pieces(span):
        for series in server.ask(query, start_ms, end_ms, span.step_ms):
            for at_s, text in _pairs(series, server.url):
                index, offset = divmod(round(at_s * _SECOND_MS) - span.start_ms, span.step_ms)
                # Prometheus counts its steps from the second that it was asked for
                if offset > span.step_ms // 2:
                    index += 1
                if not 0 <= index < steps:
                    continue
                if taken[index]:
                    raise InputError(
                        f"the query of trigger {what} gives more than one series, for example {_labels(series)}; a trigger takes"
                        " exactly one number: wrap it in sum(...) or max(...)"
                    )
                taken[index] = True
                values[index] = text
    return values


def _pairs(series: dict[str, Any], url: str) -> list[tuple[float, float]]:
    try:
        return [(float(at_s), float(text)) for at_s, text in cast("list[Any]", series["values"])]
    except (TypeError, ValueError):
        raise InputError(f"{url} does not answer as a Prometheus does; check the address") from None


def _labels(series: dict[str, Any]) -> str:
    labels = cast("dict[str, Any]", series["metric"])
    return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))[:120] + "}"
