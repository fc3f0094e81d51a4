"""`burster offerings`: what can be had, what not and why; live against the stand-in for Azure, and from what comes along."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import structlog

from burster.cli.offerings import parse_fit
from burster.lab.arm import ArmConfig, ArmServer
from burster.model.errors import InputError
from burster.runtime.clock import SystemClock


Run = Callable[..., tuple[int, str, str]]
TARGET = """\
apiVersion: burster.dev/v1alpha1
kind: BurstTarget
metadata: {name: NAME}
spec:
  provider: azure
  azure: {subscriptionId: 00000000-0000-0000-0000-000000000000, resourceGroup: burst, region: eastus}
  sizes: [Standard_DC2es_v6, Standard_DC4es_v6, Standard_EC4es_v6, Standard_DC2as_v5, Standard_DC8es_v6, Standard_DC2es_v5]
  tees: [TDX, SNP]
  allowedNamespaces: [bank]
"""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target.yaml"
    path.write_text(TARGET.replace("NAME", "azure"))
    return path


class Azure:
    """The stand-in for ARM and the price list on loopback, in a thread and loop of its own."""

    def __init__(self, config: ArmConfig) -> None:
        self._config = config
        self._ready, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.url = ""

    async def _serve(self) -> None:
        async with ArmServer(SystemClock(), config=self._config) as server:
            self.url = server.url
            self._ready.set()
            while not self._stop.is_set():  # noqa: ASYNC110 - another thread says when
                await asyncio.sleep(0.01)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Azure]]:
    opened: list[Azure] = []

    def serve(**config: Any) -> Azure:
        one = Azure(ArmConfig(**config)).__enter__()
        opened.append(one)
        monkeypatch.setenv("BURSTER_ARM__BASE_URL", one.url)
        monkeypatch.setenv("BURSTER_ARM__AUTH", "none")
        monkeypatch.setenv("BURSTER_PRICES__URL", one.url)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        return one

    yield serve
    for one in opened:
        one.__exit__()


def told(out: str) -> dict[str, Any]:
    (one,) = json.loads(out)["targets"]
    return one


def codes(report: dict[str, Any]) -> list[tuple[str, int | None, str]]:
    return [(one["size"] + ("/spot" if one["spot"] else ""), one["rank"], one["code"]) for one in report["offerings"]]


def test_what_fits_is_ranked_and_what_does_not_has_its_reason(azure: Any, burster: Run, target: Path) -> None:
    azure(family_quota=6, cores_quota=100, restricted={"eastus/Standard_EC4es_v6": "NotAvailableForSubscription"})
    code, out, err = burster("offerings", "-f", target, "--fit", "cpu=4,memory=16Gi,tee=tdx", "-o", "json")
    assert (code, err) == (0, "")
    report = told(out)
    plain = [one for one in codes(report) if not one[0].endswith("/spot")]
    assert plain == [
        ("Standard_DC4es_v6", 1, "Cheapest"),
        ("Standard_DC8es_v6", None, "QuotaExhausted"),
        ("Standard_EC4es_v6", None, "SizeRestricted"),
        ("Standard_DC2es_v5", None, "SizeRestricted"),
        ("Standard_DC2es_v6", None, "NoSizeFits"),
        ("Standard_DC2as_v5", None, "TeeNotOffered"),
    ]
    first = report["offerings"][0]
    assert (first["price_micro_usd_per_hour"], first["price_per_fit_micro_usd_per_hour"]) == (202_000, 202_000)
    assert (first["free_family_vcpus"], first["free_region_vcpus"], first["zones"]) == (6, 100, ["1", "2", "3"])
    assert (report["currency"], report["prices_as_of"]) == ("USD", "")
    assert report["prices_age_ms"] < 60_000
    absent = next(one for one in report["offerings"] if one["size"] == "Standard_DC2es_v5")
    assert "not offered in eastus" in absent["sentence"]


def test_machines_may_be_spot(azure: Any, burster: Run, target: Path) -> None:
    azure()
    code, out, _ = burster("offerings", "-f", target, "--fit", "cpu=2,spot=only,tee=snp", "-o", "json")
    spot = [one for one in told(out)["offerings"] if one["spot"]]
    assert {one["code"] for one in told(out)["offerings"] if not one["spot"]} <= {
        "SpotNotOffered",
        "TeeNotOffered",
        "SizeRestricted",
    }
    assert code == (0 if any(one["rank"] for one in spot) else 1)


def test_the_table_says_the_same_to_people(azure: Any, burster: Run, target: Path) -> None:
    azure(family_quota=6)
    code, out, err = burster("offerings", "-f", target, "--fit", "cpu=4", "--target", "azure")
    assert (code, err) == (0, "")
    assert "prices in USD per hour, as of now" in out
    lines = out.splitlines()
    (best,) = [one for one in lines if one.startswith("1 ")]
    assert "Standard_DC4es_v6" in best
    assert "the cheapest that fits" in best
    assert "more as spot, for machines only" in out
    assert any("QuotaExhausted: Standard_DC8es_v6 at azure needs 8 vCPUs" in one for one in lines)


def test_prices_of_nonsense_are_told_and_nothing_is_ranked(azure: Any, burster: Run, target: Path) -> None:
    azure(price_fault="Html")
    code, out, _ = burster("offerings", "-f", target, "-o", "json")
    report = told(out)
    assert code == 1
    assert "an HTML page" in report["prices_problem"]
    assert {one["code"] for one in report["offerings"] if one["tee"] == "TDX" and not one["spot"]} == {"PriceUnknown"}


def test_the_last_good_prices_go_on_with_their_age(azure: Any, burster: Run, target: Path, tmp_path: Path) -> None:
    first = azure()
    assert burster("offerings", "-f", target, "-o", "json")[0] == 0
    (kept,) = (tmp_path / "cache/burster/prices").iterdir()
    body = json.loads(kept.read_text())
    assert body["origin"] == first.url
    second = azure(price_fault="OtherCurrency")
    day_ms = 86_400_000
    now_ms = SystemClock().now_ms()
    for days, want_code, want in ((2, 0, "Cheapest"), (8, 1, "PricesTooOld")):
        kept.write_text(json.dumps({**body, "origin": second.url, "read_at_ms": now_ms - days * day_ms}))
        code, out, _ = burster("offerings", "-f", target, "-o", "json")
        report = told(out)
        assert (code, report["offerings"][0]["code"]) == (want_code, want)
        assert "is in EUR" in report["prices_problem"]
        assert days * day_ms <= report["prices_age_ms"] < days * day_ms + 120_000
    _, out, _ = burster("offerings", "-f", target)
    assert "8 days old" in out
    assert "is in EUR" in out


def test_a_cloud_that_does_not_answer_is_told_of_its_target(
    burster: Run, target: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BURSTER_ARM__BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("BURSTER_ARM__AUTH", "none")
    monkeypatch.setenv("BURSTER_ARM__PATIENCE_MS", "0")
    code, out, _ = burster("offerings", "-f", target, "-o", "json")
    assert code == 1
    assert told(out)["refused"].startswith("Its sizes can't be read:")
    assert told(out)["offerings"] == []


def test_offline_nobody_is_asked(burster: Run, target: Path) -> None:
    code, out, err = burster("offerings", "--offline", "-f", target, "--fit", "cpu=4", "-o", "json")
    report = told(out)
    assert (code, err, report["prices_as_of"]) == (0, "", "2026-06-18")
    assert codes(report)[0] == ("Standard_DC4es_v6", 1, "Cheapest")
    assert report["notes"][0].startswith("--offline")


def test_a_catalogue_needs_no_cloud(burster: Run, tmp_path: Path) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(
        "apiVersion: burster.dev/v1alpha1\nkind: BurstTarget\nmetadata: {name: edge}\nspec:\n  provider: edge\n  region: frankfurt\n"
        '  allowedNamespaces: [bank]\n  catalogue:\n  - {size: big, cpu: "8", memory: 32Gi, tee: TDX, pricePerHour: "0.5"}\n'
    )
    code, out, _ = burster("offerings", "-f", path, "--fit", "cpu=8", "-o", "json")
    assert (code, codes(told(out))) == (0, [("big", 1, "Cheapest")])


def test_where_nothing_fits_the_answer_is_no(burster: Run, target: Path) -> None:
    code, out, _ = burster("offerings", "--offline", "-f", target, "--fit", "cpu=500")
    assert code == 1
    assert "None of them can be had now for 500 cpu and 0 memory." in out


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("cup=4", "--fit 'cup=4': write KEY=VALUE with one of cpu, memory, gpu, tee, spot"),
        ("cpu", "write KEY=VALUE"),
        ("cpu=", "write KEY=VALUE"),
        ("cpu=1,cpu=2", "names cpu twice"),
        ("cpu=many", "--fit: "),
        ("memory=-1", "--fit: "),
        ("gpu=1.5", "--fit: "),
        ("tee=sgx", "--fit tee=sgx: it is one of tdx, snp"),
        ("spot=maybe", "it is one of never, prefer, only"),
        (",", "write KEY=VALUE"),
    ],
)
def test_what_can_not_be_asked_for_is_named(text: str, want: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_fit(text)
    assert want in str(raised.value)


def test_what_is_asked_for() -> None:
    fit = parse_fit(" CPU=1500m , memory=1Gi,gpu=2,tee=SNP,spot=Prefer")
    assert (fit.requests.cpu_millicores, fit.requests.memory_bytes, fit.requests.gpus) == (1_500, 1024**3, 2)
    assert (fit.tees, fit.spot) == (("SNP",), "Prefer")
    assert parse_fit("").tees == ()


def test_wrong_usage_ends_with_2(burster: Run, target: Path, tmp_path: Path) -> None:
    assert burster("offerings", "--offline", "-f", target, "--fit", "cpu=x")[0] == 2
    code, _, err = burster("offerings", "--offline", "-f", target, "--target", "nowhere")
    assert (code, err) == (2, "burster: there is no BurstTarget nowhere: there is azure\n")
    assert burster("offerings", "--offline", "-f", tmp_path / "missing.yaml")[0] == 2


def test_what_is_logged_on_the_way_is_no_part_of_the_answer(
    monkeypatch: pytest.MonkeyPatch, burster: Run, target: Path
) -> None:
    async def look(*_: object) -> tuple[()]:
        structlog.get_logger("burster").warning("prices.unread", why="nobody is there")
        return ()

    structlog.reset_defaults()  # a process of its own begins with them, and they print
    monkeypatch.setattr("burster.runtime.offerings_report.look", look)
    _, out, err = burster("offerings", "-f", target, "-o", "json")
    assert json.loads(out)["targets"] == []
    assert "prices.unread" in err
