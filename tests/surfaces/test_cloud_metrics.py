"""How the cloud's limits are felt can be seen."""

from burster.surfaces.metrics import Metrics


def test_waiting_and_refusals_are_told():
    metrics = Metrics()
    assert "burster_cloud_throttled_total 0.0" in metrics.exposition().decode()
    metrics.cloud = lambda: (2, 1.5, 30.0)
    told = metrics.exposition().decode()
    for line in (
        "burster_cloud_throttled_total 2.0",
        "burster_cloud_waited_seconds_total 1.5",
        "burster_cloud_closed_seconds 30.0",
    ):
        assert line in told
