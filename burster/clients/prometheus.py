"""Prometheus' HTTP API, as far as one number needs it: an instant query, and what its answer says. Thanos and Mimir speak the same.

Called by ``burster.sources.metrics``. KEDA's rules: no series or one, NaN and the infinities are no value. Beyond KEDA: a scalar is a
number as well, and an answer that says of itself that data are missing (Thanos: partial response) is none. No ``time`` is sent: the
server's own clock knows best what "now" is.
"""

import math
from typing import Final

import msgspec

from burster.clients.metric_errors import MetricError
from burster.clients.metric_http import Answer, Get, checked, printable
from burster.model.triggers import PrometheusTrigger
from burster.policy.endpoints import endpoint_of


_PATH: Final = "/api/v1/query"
#: a float64 written without an exponent has no more characters
_NUMBER_LENGTH_MAX: Final = 400
#: How Prometheus begins remarks on the query itself, which say nothing about missing data.
_REMARK: Final = "PromQL"


class Found(msgspec.Struct, frozen=True):
    """The number, or why there is none although the question was answered."""

    value: float | None
    why: str = ""


class _Data(msgspec.Struct, rename="camel"):
    result_type: str = ""
    result: msgspec.Raw = msgspec.Raw(b"null")


class _Answer(msgspec.Struct, rename="camel"):
    status: str = ""
    data: _Data | None = None
    error_type: str = ""
    error: str = ""
    warnings: list[str] | None = None


class _Series(msgspec.Struct):
    value: tuple[float, str] | None = None


_answer: Final = msgspec.json.Decoder(_Answer)
_vector: Final = msgspec.json.Decoder(list[_Series])
_scalar: Final = msgspec.json.Decoder(tuple[float, str])


def instant_query(trigger: PrometheusTrigger) -> Get:
    """Return the request. Raises MetricError for what burster can't ask."""
    if trigger.aws_region or trigger.identity_owner:
        raise MetricError("unsupported", "burster signs no requests for Amazon Managed Prometheus (awsRegion)")
    if "apiKey" in trigger.access.auth_modes:
        raise MetricError("unsupported", "a Prometheus takes no apiKey: use bearer, basic, custom or tls")
    if "?" in trigger.server_address or "#" in trigger.server_address:
        raise MetricError("unsupported", "serverAddress may not have a query: write it into queryParameters")
    namespace = (("namespace", trigger.namespace),) if trigger.namespace else ()
    return Get(
        url=f"{trigger.server_address.rstrip('/')}{_PATH}",
        params=(("query", trigger.query), *namespace, *trigger.query_parameters.items()),
        headers=tuple(trigger.access.headers.items()),
        modes=trigger.access.auth_modes,
        unsafe_ssl=trigger.access.unsafe_ssl,
        timeout_ms=trigger.access.timeout_ms,
    )


def number(trigger: PrometheusTrigger, answer: Answer) -> Found:
    """Return what an answer says. Raises MetricError for everything that is neither one number nor none."""
    endpoint = endpoint_of(trigger.server_address)
    try:
        told = _answer.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        checked(answer, endpoint)
        raise MetricError("protocol", f"{endpoint}: the answer is none of Prometheus' API") from None
    checked(answer, endpoint, told.error)
    if told.status != "success" or told.data is None:
        raise MetricError("protocol", f"{endpoint}: the query failed: {printable(told.error or told.status)}")
    missing = next((each for each in told.warnings or () if not each.startswith(_REMARK)), None)
    if missing is not None:
        raise MetricError("partial", f"{endpoint}: the answer is not whole: {printable(missing)}")
    try:
        return _value(told.data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MetricError("protocol", f"{endpoint}: the answer is none of Prometheus' API") from None


def _value(data: _Data) -> Found:
    if data.result_type == "scalar":
        return _read(_scalar.decode(data.result)[1])
    if data.result_type != "vector":
        kind = printable(data.result_type)
        raise MetricError(
            "wrong_type", f"the query gives a {kind}, where one number is needed: aggregate it, as by sum()"
        )
    series = _vector.decode(data.result)
    if len(series) > 1:
        raise MetricError("several_series", f"the query gives {len(series)} series, where one is needed: aggregate it")
    if not series:
        return Found(None, "the query finds no series")
    if series[0].value is None:
        raise MetricError("wrong_type", "the query gives a histogram, where one number is needed")
    return _read(series[0].value[1])


def _read(text: str) -> Found:
    try:
        value = float(text) if len(text) <= _NUMBER_LENGTH_MAX else math.nan
    except ValueError:
        raise MetricError("protocol", f"the value {printable(text)} is no number") from None
    return Found(value) if math.isfinite(value) else Found(None, f"the value is {printable(text)}")
