"""How fast the cloud lets itself be asked, as metrics. Called by ``metrics`` at scrape time."""

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric


def paced(refused: int, waited_s: float, closed_s: float) -> Iterator[Metric]:
    """Return refusals for haste, waiting for one's turn, and for how long yet the cloud wants no more of something."""
    yield CounterMetricFamily(
        "burster_cloud_throttled", "Requests that the cloud refused for haste (429).", value=refused
    )
    yield CounterMetricFamily(
        "burster_cloud_waited_seconds", "Time that requests to the cloud waited for their turn.", value=waited_s
    )
    yield GaugeMetricFamily(
        "burster_cloud_closed_seconds",
        "For how long yet the cloud takes no more requests of some kind.",
        value=closed_s,
    )
