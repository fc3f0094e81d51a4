from burster.model.pods import Resources
from burster.surfaces.timeline import SAMPLES_MAX, Timeline
from burster.surfaces.view import OnPremView, StatusView


def a_view(at_ms, pending=0):
    onprem = OnPremView(used=Resources(cpu_millicores=1_000), allocatable=Resources(cpu_millicores=4_000))
    return StatusView(at_ms=at_ms, onprem=onprem, pending_total=pending, bursts_by_phase={"Serving": 2, "Released": 9})


def test_a_sample_has_the_view_s_numbers():
    timeline = Timeline()
    timeline.add(a_view(5, 3))
    (sample,) = timeline.samples
    assert (sample.at_ms, sample.cpu_percent, sample.memory_percent, sample.pending, sample.bursts) == (5, 25, 0, 3, 2)


def test_flat_stretches_keep_their_two_ends():
    timeline = Timeline()
    for at_ms, pending in [(0, 1), (1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2)]:
        timeline.add(a_view(at_ms, pending))
    assert [(sample.at_ms, sample.pending) for sample in timeline.samples] == [(0, 1), (3, 1), (4, 2), (6, 2)]


def test_a_long_run_stays_bounded_and_keeps_its_shape():
    timeline = Timeline()
    for at_ms in range(0, 5_000_000, 100):
        timeline.add(a_view(at_ms, at_ms // 100))
    samples = timeline.samples
    assert len(samples) <= SAMPLES_MAX
    assert len(samples) > SAMPLES_MAX // 4
    assert samples[0].at_ms == 0
    assert samples[-1].at_ms > 4_900_000
    assert [sample.at_ms for sample in samples] == sorted(sample.at_ms for sample in samples)
