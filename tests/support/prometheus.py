"""Two servers that answer /api/v1/query_range: a stand-in of a few lines, and a real Prometheus over blocks written beforehand."""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


START_S = 1_799_236_800  # 2027-01-06T12:00:00Z
STEP_S = 30
#: what the query gives at each step; None: nothing at that step
Samples = dict[int, float | str]
Series = list[tuple[dict[str, str], Samples]]


def step_time(step: int) -> str:
    """Return when a step is, as burster writes times."""
    return datetime.fromtimestamp(START_S + step * STEP_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_LISTENING = re.compile(r'msg="Listening on" address=(127\.0\.0\.1:\d+)')


class StandIn(ThreadingHTTPServer):
    """Evaluates two queries at every step it is asked for: ``up``, and whatever else from a table."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.series: Series = []
        self.down: range = range(0)
        self.status, self.body = 200, b""
        self.queries: list[str] = []
        self.tokens: set[str | None] = set()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def load(self, series: Series, *, down: range = range(0)) -> None:
        """Hold these series; at the steps in ``down`` nothing was scraped at all."""
        self.series, self.down = series, down

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def answer(self, query: str, start_s: int, end_s: int, step_ms: int) -> Any:
        at_all_ms = range(start_s * 1000, end_s * 1000 + 1, step_ms)
        # a sample counts from its time on, for as long as the look-back, which here is a step
        numbered = [(at_ms / 1000, (at_ms // 1000 - START_S) // STEP_S) for at_ms in at_all_ms]
        if query.startswith("max(up"):
            values = [[at_s, "1"] for at_s, step in numbered if step not in self.down]
            return [{"metric": {}, "values": values}] if values else []
        found = [
            (labels, [[at_s, str(table[step])] for at_s, step in numbered if step in table and step not in self.down])
            for labels, table in self.series
        ]
        return [{"metric": labels, "values": values} for labels, values in found if values]


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_GET(self) -> None:
        arguments = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        self.server.queries.append(arguments["query"])
        self.server.tokens.add(self.headers.get("Authorization"))
        status, told = self._answer(arguments)
        data = self.server.body or json.dumps(told).encode()
        self.send_response(self.server.status if self.server.body else status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _answer(self, arguments: dict[str, str]) -> tuple[int, dict[str, Any]]:
        def refused(why: str) -> tuple[int, dict[str, Any]]:
            return 400, {"status": "error", "errorType": "bad_data", "error": why}

        query, start_s, end_s = arguments["query"], int(arguments["start"]), int(arguments["end"])
        try:
            step_ms = round(float(arguments["step"]) * 1000)
        except ValueError:  # it takes more, "30s" for one; that is nothing that burster asks for
            return refused(f'invalid parameter "step": cannot parse "{arguments["step"]}" to a valid duration')
        if (end_s - start_s) * 1000 / step_ms > 11_000:
            return refused("exceeded maximum resolution of 11,000 points per timeseries")
        if query.count("(") > query.count(")"):
            return refused("1:9: parse error: unclosed left parenthesis")
        result = self.server.answer(query, start_s, end_s, step_ms)
        return 200, {"status": "success", "data": {"resultType": "matrix", "result": result}}

    def log_message(self, *_: object) -> None:
        return


@functools.cache
def real_binaries() -> Path | None:
    """Return the folder with prometheus and promtool: $PROMETHEUS_BINARY, or what is on the path; None: there is none."""
    if named := os.environ.get("PROMETHEUS_BINARY"):
        # whoever names one wants it used: a wrong name is an error and no reason to skip
        return Path(named)
    found = shutil.which("prometheus")
    return Path(found).parent if found and shutil.which("promtool") else None


class RealPrometheus:
    """A real one in a folder, with a port of its own. It begins to run with ``load`` or ``scrape``."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries, self.folder = binaries, folder
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def load(self, series: Series, *, down: range = range(0), look_back_ms: int = STEP_S * 1000 - 1) -> None:
        """Hold these series; at the steps in ``down`` nothing was scraped at all.

        Written samples have no stale markers behind them, which a scrape would have left: the look-back is a step instead.
        """
        last = max(60, *(step for _, table in series for step in table))
        up: Samples = dict.fromkeys(range(-1, last + 2), 1)
        lines = ["# TYPE up gauge", *_samples("up", {"job": "pods"}, up, down), "# TYPE waiting gauge"]
        for labels, table in series:
            lines += _samples("waiting", labels, table, down)
        self.folder.mkdir(parents=True, exist_ok=True)
        text = self.folder / "samples.txt"
        text.write_text("\n".join([*lines, "# EOF", ""]))
        self.close()
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        command = [self.binaries / "promtool", "tsdb", "create-blocks-from", "openmetrics", text, self.folder / "data"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        self._start("global: {scrape_interval: 30s}\n", f"--query.lookback-delta={look_back_ms}ms")

    def scrape(self, address: str) -> None:
        """Scrape an exporter every second."""
        self.folder.mkdir(parents=True, exist_ok=True)
        job = f"{{job_name: pods, static_configs: [{{targets: ['{address}']}}]}}"
        self._start(f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs: [{job}]\n")

    def close(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=30)
            self._process = None

    def _start(self, config: str, *options: str) -> None:
        (self.folder / "prometheus.yml").write_text(config)
        log = self.folder / "log"
        with log.open("wb") as to:
            self._process = subprocess.Popen(
                [
                    *(self.binaries / "prometheus", f"--config.file={self.folder / 'prometheus.yml'}"),
                    *(f"--storage.tsdb.path={self.folder / 'data'}", "--storage.tsdb.retention.time=100y"),
                    *("--web.listen-address=127.0.0.1:0", *options),
                ],
                stdout=to,
                stderr=to,
            )
        for _ in range(600):
            assert self._process.poll() is None, log.read_text()
            found = _LISTENING.search(log.read_text())
            if found and _ready(url := f"http://{found[1]}"):
                self.url = url
                return
            time.sleep(0.05)
        raise AssertionError(f"Prometheus was not ready in 30 s:\n{log.read_text()}")


def _samples(name: str, labels: dict[str, str], table: Samples, down: range) -> list[str]:
    given = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return [
        f"{name}{{{given}}} {value} {START_S + step * STEP_S}"
        for step, value in sorted(table.items())
        if step not in down
    ]


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=5) as answer:  # noqa: S310 (http on loopback)
            return answer.status == 200
    except urllib.error.HTTPError as error:  # 503 while it reads its blocks
        error.close()
        return False
    except OSError:
        return False


@contextmanager
def scraping(page: Callable[[], str], binaries: Path, folder: Path) -> Iterator[str]:
    """Give the address of a real Prometheus that scrapes a page of metrics; none may have been scraped yet."""

    class Exporter(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page().encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Exporter) as exporter:
        thread = threading.Thread(target=exporter.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        real = RealPrometheus(binaries, folder)
        try:
            real.scrape(f"127.0.0.1:{exporter.server_address[1]}")
            yield real.url
        finally:
            real.close()
            exporter.shutdown()
            thread.join()
