"""The use of cpu and memory, with pods that have no metrics or are not ready, worked out by hand from the HPA's rules."""

import pytest

from burster.engine.autoscale.arithmetic import Tolerance
from burster.engine.autoscale.resources import INITIALIZATION_MS, Goal, Measured, measure
from burster.model.stimuli import PodUse


NOW = 10_000_000
LONG_AGO = 0
MIB = 1024**2


def busy(usage, request=1000):
    return PodUse(usage=usage, request=request, started_at_ms=LONG_AGO)


def missing(request=1000):
    return PodUse(request=request, started_at_ms=LONG_AGO)


def pending(request=1000):
    return PodUse(request=request, ready=False)


def starting(usage, request=1000):
    return PodUse(usage=usage, request=request, ready=False, started_at_ms=NOW - 1)


def cpu(percent=80):
    return Goal("cpu", utilization=True, target_milli=percent * 1000)


def cpu_average(millicores):
    return Goal("cpu", utilization=False, target_milli=millicores)


@pytest.mark.parametrize(
    ("pods", "goal", "replicas", "want"),
    [
        pytest.param([busy(800)] * 3, cpu(), 3, 3, id="on the target"),
        pytest.param([busy(880)] * 3, cpu(), 3, 3, id="88 of 80 is exactly 1.1: within"),
        pytest.param([busy(889)] * 3, cpu(), 3, 3, id="88.9 is cut to 88: within"),
        pytest.param([busy(890)] * 3, cpu(), 3, 4, id="89 of 80 is not"),
        pytest.param([busy(720)] * 3, cpu(), 3, 3, id="72 of 80 is exactly 0.9: within"),
        pytest.param([busy(719)] * 3, cpu(), 3, 3, id="71 of 80 rounds up to the same"),
        pytest.param([busy(1600)] * 3, cpu(), 3, 6, id="twice the target doubles"),
        pytest.param([busy(400)] * 4, cpu(), 4, 2, id="half the target halves"),
        pytest.param([busy(500), busy(1500)], cpu(), 2, 3, id="the sum counts: 100 % of 80"),
        pytest.param([busy(600, 500), busy(600, 1500)], cpu(50), 2, 3, id="requests are summed too: 60 of 50"),
        pytest.param([busy(1600)] * 3 + [missing()], cpu(), 4, 6, id="missing counts 0 when growing: 120 % of four"),
        pytest.param([busy(960)] * 4 + [missing()], cpu(), 5, 5, id="corrected to 76 %: within, kept"),
        pytest.param([busy(900)] * 2 + [missing()] * 2, cpu(), 4, 4, id="corrected to 45 %: turned round, kept"),
        pytest.param([busy(400)] * 3 + [missing()], cpu(), 4, 3, id="missing counts its request when shrinking: 55 %"),
        pytest.param([busy(600)] * 1 + [missing()], cpu(), 2, 2, id="60 and 100 make 80: on the target, kept"),
        pytest.param([busy(700)] * 1 + [missing()], cpu(), 2, 2, id="70 and 100 make 85: turned round, kept"),
        pytest.param([busy(300)] * 3 + [missing()], cpu(200), 4, 2, id="above 100 % it counts the target: 72 of 200"),
        pytest.param([busy(800)] * 3 + [missing()], cpu(), 4, 4, id="on the target, a missing one changes nothing"),
        pytest.param([busy(1600)] * 3 + [pending()], cpu(), 4, 6, id="pending counts 0 when growing: 120 % of four"),
        pytest.param([busy(400)] * 3 + [pending()], cpu(), 4, 2, id="pending does not count when shrinking"),
        pytest.param([busy(1600)] * 3 + [starting(1600)], cpu(), 4, 6, id="one that starts counts 0 when growing"),
        pytest.param([busy(400)] * 3 + [starting(4000)], cpu(), 4, 2, id="nor does one that starts, when shrinking"),
        pytest.param([busy(800)] * 3 + [starting(0)], cpu(), 4, 4, id="on the target it is not counted"),
        pytest.param([busy(1000)] * 3 + [pending(), missing()], cpu(), 5, 5, id="both correct: 60 %, turned, kept"),
        pytest.param([busy(1600)] * 2, cpu(), 9, 4, id="the pods count, not the number that is asked for"),
        pytest.param([busy(2000)] * 2 + [missing()], cpu(), 9, 9, id="more wanted, fewer found: kept"),
        pytest.param([busy(100)] * 9 + [missing()], cpu(), 1, 1, id="less wanted, more found: kept"),
        pytest.param([], cpu(), 3, None, id="no pods"),
        pytest.param([missing()] * 3, cpu(), 3, None, id="no metrics at all"),
        pytest.param([starting(500)] * 3, cpu(), 3, None, id="nobody ready yet"),
        pytest.param([busy(500), busy(500, 0)], cpu(), 2, None, id="a pod without a request"),
        pytest.param([busy(500), busy(500, 0)], cpu_average(500), 2, 2, id="which only utilization needs"),
        pytest.param([busy(500)], cpu(0), 1, None, id="no target"),
        pytest.param([busy(500), busy(700)], cpu_average(300), 2, 4, id="600 on average of 300"),
        pytest.param([busy(330)] * 3, cpu_average(300), 3, 3, id="exactly 1.1 on average"),
        pytest.param([busy(331)] * 3, cpu_average(300), 3, 4, id="just above on average"),
        pytest.param([busy(330), busy(331)], cpu_average(300), 2, 2, id="330.5 is cut to 330"),
        pytest.param([busy(100)] * 3 + [missing()], cpu_average(300), 4, 2, id="missing counts the target: 150 of 300"),
        pytest.param([busy(900)] * 3 + [missing()], cpu_average(300), 4, 9, id="and 0 when growing: 675 of 300"),
        pytest.param([busy(300)] * 3 + [missing()], cpu_average(300), 4, 3, id="and 0 on the target: 225 of 300"),
    ],
)
def test_how_many_replicas_the_use_asks_for(pods, goal, replicas, want):
    assert measure(pods, goal, replicas=replicas, now_ms=NOW).replicas == want


def test_memory_is_measured_in_bytes_against_milli_bytes_and_readiness_does_not_matter():
    goal = Goal("memory", utilization=False, target_milli=100 * MIB * 1000)
    pods = [PodUse(usage=150 * MIB, ready=False, started_at_ms=NOW - 1)] * 2
    assert measure(pods, goal, replicas=2, now_ms=NOW) == Measured(3, 150 * MIB * 1000)
    shares = Goal("memory", utilization=True, target_milli=70_000)
    use = [PodUse(usage=900 * MIB, request=1000 * MIB)] * 4
    assert measure(use, shares, replicas=4, now_ms=NOW) == Measured(6, 90_000)


def test_a_pod_that_is_not_ready_counts_as_starting_for_five_minutes():
    def found(started):
        pods = [busy(400), PodUse(usage=2000, request=1000, ready=False, started_at_ms=started)]
        return measure(pods, cpu(), replicas=2, now_ms=NOW)

    assert INITIALIZATION_MS == 300_000
    assert found(NOW - 299_999) == Measured(1, 40_000)
    assert found(NOW - 300_000) == Measured(3, 120_000)
    assert found(None) == Measured(1, 40_000)


def test_a_ready_pod_counts_whether_or_not_its_start_is_known():
    assert measure([PodUse(usage=1600, request=1000)], cpu(), replicas=1, now_ms=NOW) == Measured(2, 160_000)


def test_a_pod_without_metrics_is_missing_once_it_has_started_or_is_ready():
    for one in (PodUse(request=1000), PodUse(request=1000, ready=False, started_at_ms=5)):
        assert measure([busy(400)] * 3 + [one], cpu(), replicas=4, now_ms=NOW).replicas == 3


def test_the_tolerance_is_the_goals():
    strict = Goal("cpu", utilization=True, target_milli=80_000, tolerance=Tolerance(0, 0))
    assert measure([busy(810)] * 3, strict, replicas=3, now_ms=NOW) == Measured(4, 81_000)
    assert measure([busy(800)] * 3, strict, replicas=3, now_ms=NOW) == Measured(3, 80_000)


def test_what_can_not_be_told_has_no_average_either():
    assert measure([missing()], cpu(), replicas=1, now_ms=NOW) == Measured(None, None)
