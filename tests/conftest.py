"""What every test shares: quiet logs, and a real API server where there is one."""

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.support.control_plane import NoControlPlaneError, find_binaries, find_whole_plane, require_since
from tests.support.shared_plane import SharedPlane, join


_NOT_RUN = "not run"

# How long an example takes depends on who else is at work on this machine: Hypothesis' 200 ms are no property of the code, and an example
# that was slow once and quick the next time is reported as a flaky test. What is to be fast is measured by tests/perf.
settings.register_profile("burster", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("burster")


@pytest.fixture(autouse=True)
def quiet_logs() -> None:
    """Logs are for tests that ask for them; the others would drown in decisions."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@pytest.fixture(autouse=True)
def no_price_list_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no stand-in's prices in the developer's cache, whatever settings a test reads."""
    monkeypatch.setenv("BURSTER_PRICES__CACHE_DIR", "-")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what needs a real control plane where there is none; the summary says so in one line."""
    for marker in item.iter_markers("plane"):
        try:
            binaries = (find_whole_plane if marker.kwargs.get("whole") else find_binaries)()
            require_since(binaries, marker.kwargs.get("since", (1, 0)))
        except NoControlPlaneError as why:
            pytest.skip(f"{_NOT_RUN}: {why}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in one line a reason what was not run for want of a control plane, and how to have it run."""
    skipped: list[pytest.TestReport] = terminalreporter.stats.get("skipped", [])
    left_out = [each for each in skipped if f"{_NOT_RUN}: " in str(each.longrepr)]
    if left_out:
        terminalreporter.stats["skipped"] = [each for each in skipped if each not in left_out]
        terminalreporter.stats[_NOT_RUN] = left_out
        whys = Counter(str(each.longrepr[2]).partition(f"{_NOT_RUN}: ")[2] for each in left_out)  # type: ignore[index]
        for why, count in whys.items():
            terminalreporter.write_line(f"{count} tests on a real control plane were not run: {why}", yellow=True)


@pytest.fixture(scope="session")
def shared_plane(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[SharedPlane]:
    """The API server of this run, the same for all workers."""
    base = tmp_path_factory.getbasetemp()
    with join((base if worker_id == "master" else base.parent) / "control-plane") as plane:
        yield plane
