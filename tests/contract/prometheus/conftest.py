"""One question, two who answer: the stand-in that other tests use, and a real Prometheus where there is one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.prometheus import RealPrometheus, StandIn, real_binaries


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealPrometheus]:
    binaries = real_binaries()
    if binaries is None:
        pytest.skip("no prometheus here: `tools/prometheus` fetches Debian's and tells what to set")
    server = RealPrometheus(binaries, tmp_path / "prometheus")
    yield server
    server.close()


@pytest.fixture(params=["stand-in", pytest.param("real", marks=pytest.mark.long)])
def prometheus(request: pytest.FixtureRequest) -> Iterator[StandIn | RealPrometheus]:
    if request.param == "real":
        yield request.getfixturevalue("real")
        return
    server = StandIn()
    yield server
    server.close()
