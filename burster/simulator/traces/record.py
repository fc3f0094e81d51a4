"""Records a trace from a real Prometheus that scrapes kube-state-metrics.

Called by `burster trace record`. A pod's arrival is kube_pod_created, its run time is kube_pod_completion_time less kube_pod_start_time
(or less its creation, where that metric is not kept), its size is the sum of its containers' requests. Pods that were there before the
range or did not complete in it are dropped and counted. Reads only; keeps no secret.
"""

import ast
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self, cast
from urllib.parse import urlsplit

import msgspec

from burster.model.errors import InputError
from burster.model.pods import Resources
from burster.model.quantities import MILLIS_PER_SECOND
from burster.simulator.traces.model import ENTRIES_MAX, NAME, Trace, TraceEntry


CREATED: Final = "kube_pod_created"
STARTED: Final = "kube_pod_start_time"
COMPLETED: Final = "kube_pod_completion_time"
REQUESTS: Final = "kube_pod_container_resource_requests"
#: Prometheus refuses more than 11,000 points of a series in one answer.
_POINTS_MAX: Final = 10_000
_REQUESTS_MAX: Final = 10_000
_TIMEOUT_SECONDS: Final = 30
_CLOSED: Final = (401, 403)
_TIME_MS_MAX: Final = 1 << 53

BEFORE: Final = "created before the range"
UNFINISHED: Final = "not completed within the range, so the run time is unknown"
DISORDERED: Final = "completed before it started, by the metrics"
UNNAMED: Final = "no usable pod name or creation time in the metrics"


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """What to read: from when to when, and how far apart the samples are. A pod that lives for less than a step can be missed."""

    start_ms: int
    end_ms: int
    step_ms: int


class _Pod(msgspec.Struct, kw_only=True):
    """What the metrics say of one pod, as it comes in."""

    namespace: str
    name: str
    created_ms: int | None = None
    started_ms: int | None = None
    completed_ms: int | None = None
    requests: dict[tuple[str, str], int] = {}


def record(url: str, span: Range, *, token: str = "", selector: str = "") -> Trace:
    """Return the trace of the pods that were created and completed in the range.

    ``selector`` narrows the metrics, for example ``namespace="batch"``. Raises InputError if the range makes no sense, if the server
    doesn't answer as a Prometheus does, or if it knows nothing of pods.
    """
    check_question(url, span)
    pods: dict[str, _Pod] = {}
    with PrometheusServer(url, token) as server:
        for metric, take in (
            (CREATED, _take_time("created_ms")),
            (STARTED, _take_time("started_ms")),
            (COMPLETED, _take_time("completed_ms")),
            (REQUESTS, _take_request),
        ):
            for labels, value in server.last_values(f"{metric}{{{selector}}}" if selector else metric, span):
                uid = labels.get("uid") or f"{labels.get('namespace')}/{labels.get('pod')}"
                if uid not in pods:
                    if len(pods) >= ENTRIES_MAX:
                        raise InputError(
                            f"{url} knows more than {ENTRIES_MAX} pods in this range; choose a shorter one"
                        )
                    pods[uid] = _Pod(namespace=labels.get("namespace", ""), name=labels.get("pod", ""))
                take(pods[uid], labels, value)
    if not any(pod.created_ms is not None for pod in pods.values()):
        hint = "check the range, and that kube-state-metrics is scraped"
        raise InputError(f"{url} holds no {CREATED} samples in this range; {hint}")
    return _trace(url, span, pods)


def _trace(url: str, span: Range, pods: dict[str, _Pod]) -> Trace:
    dropped: dict[str, int] = {}
    entries: list[TraceEntry] = []
    names: dict[tuple[str, str], int] = {}
    usable = sorted(pods.values(), key=lambda pod: (pod.created_ms or 0, pod.namespace, pod.name))
    for pod in usable:
        entry = _entry(pod, span)
        if isinstance(entry, str):
            dropped[entry] = dropped.get(entry, 0) + 1
            continue
        key = (entry.namespace, entry.name)
        names[key] = names.get(key, 0) + 1
        if names[key] > 1:  # a StatefulSet's pods use their names again
            entry = msgspec.structs.replace(entry, name=f"{entry.name}-again-{names[key]}")
        entries.append(entry)
    if not entries:
        why = "; ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))
        raise InputError(f"none of the {len(pods)} pods that {url} knows can be used ({why}); choose a longer range")
    start_ms = entries[0].arrival_ms
    return Trace(
        source=url,
        format="csv",
        entries=tuple(msgspec.structs.replace(entry, arrival_ms=entry.arrival_ms - start_ms) for entry in entries),
        rows_read=len(pods),
        dropped=dropped,
        rebased_from_ms=start_ms,
    )


def _entry(pod: _Pod, span: Range) -> TraceEntry | str:
    if pod.created_ms is None or not NAME.fullmatch(pod.name) or not NAME.fullmatch(pod.namespace):
        return UNNAMED
    if pod.created_ms < span.start_ms:
        return BEFORE
    if pod.completed_ms is None:
        return UNFINISHED
    duration_ms = pod.completed_ms - (pod.created_ms if pod.started_ms is None else pod.started_ms)
    if duration_ms < 0:
        return DISORDERED
    total = {"cpu": 0, "memory": 0, "gpu": 0}
    for (_, resource), amount in pod.requests.items():
        total[resource] += amount
    return TraceEntry(
        arrival_ms=pod.created_ms,
        name=pod.name,
        namespace=pod.namespace,
        duration_ms=duration_ms,
        requests=Resources(cpu_millicores=total["cpu"], memory_bytes=total["memory"], gpus=total["gpu"]),
    )


def _take_time(field: str) -> Callable[[_Pod, dict[str, str], float], None]:
    def take(pod: _Pod, _labels: dict[str, str], value: float) -> None:
        at_ms = round(value * MILLIS_PER_SECOND)
        if 0 < at_ms < _TIME_MS_MAX:
            setattr(pod, field, at_ms)

    return take


def _take_request(pod: _Pod, labels: dict[str, str], value: float) -> None:
    resource = labels.get("resource", "")
    key = "gpu" if resource.endswith("_gpu") else resource
    if key not in {"cpu", "memory", "gpu"} or not 0 <= value < _TIME_MS_MAX:
        return
    amount = -int(-value * 1000 // 1) if key == "cpu" else round(value)
    # a fresh dict for each pod: the default is shared
    pod.requests = {**pod.requests, (labels.get("container", ""), key): amount}


def pieces(span: Range) -> Iterator[tuple[int, int]]:
    """Yield a range in pieces that Prometheus accepts, each from its first to its last sample."""
    chunk_ms = span.step_ms * _POINTS_MAX
    for start_ms in range(span.start_ms, span.end_ms + 1, chunk_ms):
        yield start_ms, min(start_ms + chunk_ms - span.step_ms, span.end_ms)


class PrometheusServer:
    """One Prometheus, asked in pieces that it accepts; every request has a deadline."""

    def __init__(self, url: str, token: str) -> None:
        from prometheus_api_client import PrometheusConnect  # pyright: ignore[reportMissingTypeStubs]
        from urllib3.util.retry import Retry

        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        retry = Retry(total=1, backoff_factor=0.2, status_forcelist=(502, 503, 504), raise_on_status=False)
        connect = cast("Any", PrometheusConnect)
        self.client: Any = connect(url=self.url, headers=headers, retry=retry, timeout=_TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def last_values(self, query: str, span: Range) -> Iterator[tuple[dict[str, str], float]]:
        """Yield each series' labels and its last finite value, one answer after the other."""
        for start_ms, end_ms in pieces(span):
            for series in self.ask(query, start_ms, end_ms, span.step_ms):
                value = _last_finite(series)
                if value is not None:
                    yield cast("dict[str, str]", series["metric"]), value

    def ask(self, query: str, start_ms: int, end_ms: int, step_ms: int) -> list[dict[str, Any]]:
        """Return the series of one range query, as Prometheus gives them. Raises InputError with what to do."""
        from prometheus_api_client.exceptions import (  # pyright: ignore[reportMissingTypeStubs]
            PrometheusApiClientException,
        )
        from requests.exceptions import JSONDecodeError, RequestException, Timeout

        try:
            answer: Any = self.client.custom_query_range(
                query=query,
                start_time=_moment(start_ms),
                end_time=_moment(end_ms),
                # as seconds: of durations it takes none with a fraction
                step=f"{step_ms / MILLIS_PER_SECOND:.3f}",
            )
        except Timeout:
            raise InputError(
                f"{self.url} did not answer within {_TIMEOUT_SECONDS} s; choose a shorter range or a longer step"
            ) from None
        except PrometheusApiClientException as error:
            text = str(error)
            closed = any(f"HTTP Status Code {code}" in text for code in _CLOSED)
            todo = "give a token that may query it" if closed else "check the address and the query"
            raise InputError(f"{self.url} refused the query {query} ({_reason(text)[:200]}); {todo}") from None
        except (JSONDecodeError, KeyError, TypeError):
            raise InputError(f"{self.url} does not answer as a Prometheus does; check the address") from None
        except RequestException as error:
            kind = type(error).__name__
            raise InputError(
                f"{self.url} can't be reached ({kind}); check the address, and that it is a Prometheus"
            ) from None
        if not isinstance(answer, list) or not all(_is_series(item) for item in cast("list[Any]", answer)):
            raise InputError(f"{self.url} does not answer as a Prometheus does; check the address")
        return cast("list[dict[str, Any]]", answer)


class _Refusal(msgspec.Struct):
    error: str


def _reason(text: str) -> str:
    """Return why Prometheus refused, in its own words: the client gives its answer as ``HTTP Status Code 400 (b'{...}')``."""
    status, _, body = text.partition(" (")
    try:
        refusal = msgspec.json.decode(ast.literal_eval(body.removesuffix(")")), type=_Refusal)
    except (ValueError, SyntaxError, msgspec.MsgspecError):
        return text
    return f"{status}: {refusal.error}"


def _is_series(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    series = cast("dict[str, Any]", item)
    return isinstance(series.get("metric"), dict) and isinstance(series.get("values"), list)


def _last_finite(series: dict[str, Any]) -> float | None:
    """Return the last value that is a number: a stale marker or a NaN is a gap, not a fact."""
    for sample in reversed(cast("list[Any]", series["values"])):
        try:
            value = float(sample[1])
        except (TypeError, ValueError, IndexError, KeyError):
            continue
        if value - value == 0:
            return value
    return None


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms)


def check_question(url: str, span: Range) -> None:
    """Raise InputError unless the address is one and the range can be asked for."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError(f"{url!r} is no address of a Prometheus; write for example http://prometheus:9090")
    if span.end_ms <= span.start_ms:
        raise InputError("--end is not after --start; give the range from the earlier to the later time")
    if span.step_ms < MILLIS_PER_SECOND:
        raise InputError("--step is less than a second; write for example 60s")
    if (span.end_ms - span.start_ms) // (span.step_ms * _POINTS_MAX) > _REQUESTS_MAX:
        raise InputError("the range has too many steps; choose a shorter range or a longer step")
