"""Recording from something that answers /api/v1/query_range as a Prometheus does."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from burster.model.errors import InputError
from burster.model.pods import Resources
from burster.simulator.traces.record import BEFORE, DISORDERED, UNFINISHED, UNNAMED, Range, record


START_S = 1_767_600_000
SPAN = Range(start_ms=START_S * 1000, end_ms=(START_S + 3600) * 1000, step_ms=60_000)
Answer = Callable[[str, dict[str, str]], tuple[int, Any]]


class FakePrometheus(ThreadingHTTPServer):
    """Serves whatever ``answer`` says; remembers what it was asked."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked: list[dict[str, str]] = []
        self.tokens: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FakePrometheus

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        arguments = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.server.asked.append(arguments)
        self.server.tokens.append(self.headers.get("Authorization"))
        status, body = self.server.answer(url.path, arguments)
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def prometheus() -> Iterator[Callable[[Answer], FakePrometheus]]:
    running: list[tuple[FakePrometheus, threading.Thread]] = []

    def start(answer: Answer) -> FakePrometheus:
        server = FakePrometheus(answer)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def series(labels: dict[str, str], *values: object) -> dict[str, Any]:
    return {"metric": labels, "values": [[START_S + 60 * n, str(value)] for n, value in enumerate(values)]}


def matrix(*found: dict[str, Any]) -> tuple[int, Any]:
    return 200, {"status": "success", "data": {"resultType": "matrix", "result": list(found)}}


def pod(name: str, uid: str) -> dict[str, str]:
    return {"namespace": "batch", "pod": name, "uid": uid}


def requests(name: str, uid: str, container: str, resource: str, amount: object) -> dict[str, Any]:
    return series({**pod(name, uid), "container": container, "resource": resource}, amount)


def a_cluster(path: str, arguments: dict[str, str]) -> tuple[int, Any]:
    assert path == "/api/v1/query_range"
    metric = arguments["query"].partition("{")[0]
    names = ("job-a", "u1"), ("job-b", "u2"), ("old", "u3"), ("running", "u4"), ("job-a", "u5"), ("odd", "u6")
    created = (300, 100, -50, 200, 900, 400)
    if metric == "kube_pod_created":
        found = [series(pod(*name), START_S + at) for name, at in zip(names, created, strict=True)]
        return matrix(*found, series(pod("Not_A_Name", "u7"), START_S))
    if metric == "kube_pod_start_time":
        return matrix(series(pod("job-a", "u1"), START_S + 310), series(pod("odd", "u6"), START_S + 500))
    if metric == "kube_pod_completion_time":
        ends = {"u1": 430, "u2": 160, "u3": 10, "u5": 905, "u6": 450}
        return matrix(*(series(pod(name, uid), START_S + ends[uid], "NaN") for name, uid in names if uid in ends))
    return matrix(
        requests("job-a", "u1", "main", "cpu", "1.5"),
        requests("job-a", "u1", "sidecar", "cpu", "0.1"),
        requests("job-a", "u1", "main", "memory", 2 << 30),
        requests("job-a", "u1", "main", "nvidia_com_gpu", 1),
        requests("job-a", "u1", "main", "ephemeral_storage", 7),
        requests("job-b", "u2", "main", "cpu", "NaN"),
    )


def test_pods_that_lived_within_the_range_become_a_trace(prometheus):
    server = prometheus(a_cluster)
    trace = record(server.url, SPAN, token="secret", selector='namespace="batch"')
    assert [(entry.name, entry.arrival_ms, entry.duration_ms) for entry in trace.entries] == [
        ("job-b", 0, 60_000),
        ("job-a", 200_000, 120_000),
        ("job-a-again-2", 800_000, 5_000),
    ]
    assert trace.entries[1].requests == Resources(cpu_millicores=1600, memory_bytes=2 << 30, gpus=1)
    assert trace.entries[0].requests == Resources()
    assert trace.dropped == {BEFORE: 1, UNFINISHED: 1, DISORDERED: 1, UNNAMED: 1}
    assert {asked["query"].partition("{")[2] for asked in server.asked} == {'namespace="batch"}'}
    assert set(server.tokens) == {"Bearer secret"}


def test_a_long_range_is_asked_for_in_pieces_that_prometheus_accepts(prometheus):
    server = prometheus(a_cluster)
    record(server.url, Range(start_ms=SPAN.start_ms, end_ms=SPAN.start_ms + 25_000_000, step_ms=1000))
    pieces = [
        (float(asked["end"]) - float(asked["start"])) / 1
        for asked in server.asked
        if asked["query"] == "kube_pod_created"
    ]
    assert len(pieces) == 3
    assert all(points <= 11_000 for points in pieces)


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        (lambda _path, _arguments: matrix(), "holds no kube_pod_created samples"),
        (lambda _path, _arguments: (400, {"status": "error", "error": "bad query"}), "refused the query"),
        (lambda _path, _arguments: (401, b"who are you"), "refused the query"),
        (lambda _path, _arguments: (200, b"<html>"), "does not answer as a Prometheus does"),
        (lambda _path, _arguments: (200, {"data": {}}), "does not answer as a Prometheus does"),
        (
            lambda _path, _arguments: (200, {"data": {"result": [{"metric": 1}]}}),
            "does not answer as a Prometheus does",
        ),
        (lambda _path, _arguments: matrix(series(pod("old", "u"), START_S - 5)), "none of the 1 pods"),
    ],
    ids=["nothing known", "query refused", "no rights", "a web page", "other JSON", "odd series", "nothing usable"],
)
def test_what_goes_wrong_is_told(prometheus, answer, want):
    server = prometheus(answer)
    with pytest.raises(InputError, match=want):
        record(server.url, SPAN)


def test_nobody_there():
    with pytest.raises(InputError, match="can't be reached"):
        record("http://127.0.0.1:1", SPAN)


@pytest.mark.parametrize(
    ("url", "span", "want"),
    [
        ("prometheus:9090", SPAN, "no address of a Prometheus"),
        ("http://p", Range(start_ms=5, end_ms=5, step_ms=1000), "not after --start"),
        ("http://p", Range(start_ms=5, end_ms=9, step_ms=10), "less than a second"),
        ("http://p", Range(start_ms=0, end_ms=10**13, step_ms=1000), "too many steps|choose a shorter range"),
    ],
)
def test_a_question_that_makes_no_sense_is_not_asked(url, span, want):
    with pytest.raises(InputError, match=want):
        record(url, span)
