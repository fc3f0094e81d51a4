"""What `burster policy backtest` makes of a Prometheus's answers: the same of the stand-in and of a real one."""

import contextlib
import csv
import json
import math
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from burster.cli import main
from tests.support.prometheus import START_S, STEP_S, RealPrometheus, step_time


POLICY = """\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {{name: waiting, namespace: bank}}
spec:
  workload: {{ownerRef: {{kind: Deployment, name: cloud}}}}
  scaleTargetRef: {{name: cloud}}
  triggers:
  - type: prometheus
    name: waiting
    metadata: {{serverAddress: "https://prometheus:9090", query: "{query}", threshold: "1"}}
  maxReplicaCount: 4
  cooldownPeriod: 60
  placement: {{strategy: Scale, targets: [east]}}
"""


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))

    def command(url, *arguments, query="waiting", until_s=START_S + 60 * STEP_S, seconds=60 * STEP_S):
        path = tmp_path / "policy.yaml"
        path.write_text(POLICY.format(query=query))
        until = datetime.fromtimestamp(until_s, UTC).isoformat()
        options = ["--prometheus", url, "--days", f"{seconds / 86_400:.9f}", "--until", until, *arguments]
        with pytest.raises(SystemExit) as stopped:
            main(["policy", "backtest", str(path), *map(str, options)])
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return command


def told(result: tuple[int, str, str]) -> Any:
    code, out, err = result
    assert (code, err) == (0, "")
    return json.loads(out)


def spans(found: Any) -> list[tuple[str, str, float | None, int]]:
    return [(one["start"], one["end"], one["peaks"]["waiting"], one["replicas"]) for one in found["spans"]]


def test_a_value_that_rises_and_falls(run, prometheus):
    prometheus.load([({}, {step: (3 if 10 <= step < 20 else 0) for step in range(61)})])
    found = told(run(prometheus.url, "-o", "json"))
    assert spans(found) == [(step_time(10), step_time(22), 3.0, 3)]
    assert found["totals"]["missing_seconds"] == 0


def test_an_empty_answer_is_zero_and_no_prometheus_is_missing(run, prometheus):
    prometheus.load([({}, dict.fromkeys(range(10, 45), 2))], down=range(15, 40))
    found = told(run(prometheus.url, "-o", "json"))
    assert found["totals"]["missing_seconds"] == 25 * STEP_S
    assert spans(found) == [(step_time(10), step_time(47), 2.0, 2)]


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_what_is_no_number_counts_as_an_empty_answer(run, prometheus, value):
    prometheus.load([({}, {step: (2 if 10 <= step < 20 else value) for step in range(61)})])
    found = told(run(prometheus.url, "-o", "json"))
    assert found["totals"]["missing_seconds"] == 0
    assert spans(found) == [(step_time(10), step_time(22), 2.0, 2)]


def test_very_large_and_very_small_numbers_are_read(run, prometheus):
    prometheus.load([({}, {5: 1e15, 6: 1e15, 7: 0.0000001, 8: -4, 9: 0.5})])
    found = told(run(prometheus.url, "-o", "json"))
    assert spans(found) == [(step_time(5), step_time(12), 1e15, 4)]


def test_two_series_at_once_are_refused(run, prometheus):
    prometheus.load([({"pod": "a"}, dict.fromkeys(range(6), 1)), ({"pod": "b"}, dict.fromkeys(range(5, 61), 1))])
    code, out, err = run(prometheus.url)
    assert (code, out) == (2, "")
    assert "the query of trigger waiting gives more than one series, for example {" in err


def test_one_series_may_take_over_from_another(run, prometheus):
    prometheus.load([({"pod": "a"}, dict.fromkeys(range(30), 1)), ({"pod": "b"}, dict.fromkeys(range(30, 61), 1))])
    assert spans(told(run(prometheus.url, "-o", "json"))) == [(step_time(0), step_time(60), 1.0, 1)]


def test_a_step_of_a_second_and_a_half(run, prometheus):
    prometheus.load([({}, {step: (3 if 10 <= step < 20 else 0) for step in range(61)})])
    found = told(run(prometheus.url, "-o", "json", "--step", "1500ms"))
    assert found["totals"]["missing_seconds"] == 0
    ((start, end, peak, replicas),) = spans(found)
    # 3 until just before step 20, then 60 s of cooldown, which must have passed
    assert (start, end, peak, replicas) == (step_time(10), step_time(22), 3.0, 3)


def test_a_step_of_many_days(run, prometheus):
    prometheus.load([({}, dict.fromkeys(range(61), 3))])
    until_s = START_S // (1_234_567) * 1_234_567
    found = told(run(prometheus.url, "-o", "json", "--step", "1234567s", until_s=until_s, seconds=3 * 1_234_567))
    assert found["step_seconds"] == 1_234_567


def test_a_query_that_cannot_be_read_is_told_in_prometheus_words(run, prometheus):
    prometheus.load([({}, {0: 1})])
    code, out, err = run(prometheus.url, query="sum(waiting")
    assert (code, out) == (2, "")
    assert re.search(
        r"refused the query sum\(waiting \(HTTP Status Code 400: 1:\d+: parse error: unclosed left parenthesis\);"
        r" check the address and the query\n$",
        err,
    )


def test_a_long_range_is_asked_for_in_pieces(run, prometheus):
    prometheus.load([({}, {step: (3 if 820 <= step < 825 else 0) for step in range(840)})])
    found = told(run(prometheus.url, "-o", "json", "--step", "1s", until_s=START_S + 25_000, seconds=25_000))
    # the last moment at which it is above 0 is a second before step 825
    assert spans(found) == [(step_time(820), step_time(827), 3.0, 3)]


@pytest.mark.long
def test_an_outage_is_missing_from_the_end_of_the_look_back_on(run, real: RealPrometheus):
    """docs/known-limits.md: A short outage of Prometheus is not seen."""
    real.load([({}, dict.fromkeys(range(61), 2))], down=range(15, 40), look_back_ms=300_000)
    found = told(run(real.url, "-o", "json"))
    # known at steps 15 to 24: five minutes from step 14, the last sample; whether their very end counts depends on its version
    assert found["totals"]["missing_seconds"] in {15 * STEP_S, 16 * STEP_S}


class Exporter(ThreadingHTTPServer):
    """Tells how many wait, as long as it knows; counts how often it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Metrics)
        self.waiting: int | None = None
        self.asked = 0

    def serve(self, times: int) -> None:
        """Return when it has been scraped so many times more."""
        wanted = self.asked + times
        for _ in range(1200):
            if self.asked >= wanted:
                return
            time.sleep(0.05)
        raise AssertionError(f"scraped {self.asked} times in a minute")


class _Metrics(BaseHTTPRequestHandler):
    server: Exporter

    def do_GET(self) -> None:
        self.server.asked += 1
        text = "" if self.server.waiting is None else f"waiting {self.server.waiting}\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    server = Exporter()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.long
def test_what_was_really_scraped(run, real: RealPrometheus, exporter: Exporter, tmp_path: Path):
    """A series that its exporter drops ends with the next scrape, by the marker that the scrape leaves: 0, and not missing."""
    exporter.waiting = 3
    real.scrape(f"127.0.0.1:{exporter.server_address[1]}")
    exporter.serve(5)
    exporter.waiting = None
    exporter.serve(5)
    now_s = math.floor(time.time())
    with contextlib.chdir(tmp_path):
        code, _, err = run(real.url, "--step", "1s", "--out", "out", until_s=now_s, seconds=90)
    assert code == 0, err
    with (tmp_path / "out" / "backtest.csv").open() as lines:
        values = [line["waiting"] for line in csv.DictReader(lines)]
    # before the first scrape nothing is known; then 3; then nothing waits, and that is known
    before, known = values.count(""), values[values.count("") :]
    assert values[:before] == [""] * before
    assert before > 70
    three = known.count("3")
    assert known == ["3"] * three + ["0"] * (len(known) - three)
    assert three >= 3
    assert len(known) - three >= 3
