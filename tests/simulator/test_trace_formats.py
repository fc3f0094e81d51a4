"""What is read is what was written, and openb is read for what it says."""

import gzip
from pathlib import Path

import pytest

from burster.model.pods import Resources
from burster.simulator.traces import Trace, TraceEntry, read_trace
from burster.simulator.traces.inspect import inspect_trace
from burster.simulator.traces.load import dense_start
from burster.simulator.traces.native import write
from burster.simulator.traces.openb import NEVER_SCHEDULED


OPENB = Path(__file__).parents[3] / "shared" / "traces" / "openb"
POD_LIST = OPENB / "openb_pod_list_default.csv"
needs_openb = pytest.mark.skipif(not OPENB.is_dir(), reason="the openb trace is not beside the project")

ENTRIES = (
    TraceEntry(arrival_ms=0, name="web", kind="Deployment", replicas=3, requests=Resources(cpu_millicores=500)),
    TraceEntry(
        arrival_ms=0,
        name="a.b-c",
        duration_ms=5,
        requests=Resources(cpu_millicores=1500, memory_bytes=7 << 30, gpus=2),
        namespace="batch",
        priority=-7,
        labels={"team": "risk", "bank.example/odd": "a.b_c-D", "empty": ""},
    ),
    TraceEntry(arrival_ms=9, name="web", kind="Deployment", replicas=1, requests=Resources(cpu_millicores=500)),
)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_what_is_written_is_read_back(tmp_path, kind, packed):
    path = tmp_path / f"trace.{kind}{packed}"
    write(Trace(source="", format="csv", entries=ENTRIES, rows_read=3), path, kind)
    trace = read_trace(path)
    assert trace.entries == ENTRIES
    assert (trace.format, trace.rows_read, trace.dropped, trace.pods) == (kind, 3, {}, 4)
    assert [child.name for child in tmp_path.iterdir()] == [path.name]


def test_a_gzip_is_told_by_its_content_not_its_name(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_bytes(gzip.compress(b"arrival_ms,name\n1,a\n"))
    assert [entry.name for entry in read_trace(path).entries] == ["a"]


def test_defaults_comments_marks_and_line_ends(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_bytes(b"\xef\xbb\xbf# made by hand\r\nname,arrival_ms\r\n\r\na,1\r\n")
    assert read_trace(path).entries == (TraceEntry(arrival_ms=1, name="a"),)


def test_a_slice_of_ours_is_its_beginning(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("arrival_ms,name\n5,a\n6,b\n7,c\n-1,never read\n")
    assert [entry.arrival_ms for entry in read_trace(path, limit=2).entries] == [5, 6]


@pytest.mark.parametrize(
    ("hours", "count", "want"),
    [
        ([0, 100, 100.2, 100.5, 200], 3, 1),
        ([0, 200, 200.2, 200.5, 300], 4, 1),  # no 4 within an hour of each other: the bound is doubled until there are
        ([0, 0.5, 1, 1.5], 4, 0),
        ([0, 10, 20], 2, 0),
        ([0, 5, 5.5], 1, 0),
    ],
)
def test_a_slice_of_a_real_trace_starts_where_it_is_dense(hours, count, want):
    assert dense_start([round(hour * 3_600_000) for hour in hours], count) == want


@needs_openb
def test_openb_is_read_whole_and_pods_that_never_ran_are_counted():
    trace = read_trace(POD_LIST)
    assert trace.rows_read == 8152
    assert trace.dropped == {NEVER_SCHEDULED: 897}
    assert len(trace.entries) == trace.pods == 7255
    facts = inspect_trace(trace)
    assert (facts.duration_ms["p5"], facts.duration_ms["p50"], facts.duration_ms["p95"]) == (
        50_000,
        616_000,
        18_162_000,
    )
    assert facts.span_ms == 12_901_761_000
    assert trace.entries[0].arrival_ms == 0
    assert min(entry.requests.memory_bytes for entry in trace.entries) >= 0


@needs_openb
def test_a_slice_of_openb_is_dense_and_starts_at_zero():
    trace = read_trace(POD_LIST, limit=500, namespace="batch")
    assert len(trace.entries) == 500
    assert trace.entries[0].arrival_ms == 0
    assert trace.span_ms < 4 * 86_400_000  # the file's first 500 pods span 115 days
    assert {entry.namespace for entry in trace.entries} == {"batch"}
    assert trace.dropped["outside the slice of 500"] == 7255 - 500


@needs_openb
def test_openb_survives_conversion(tmp_path):
    trace = read_trace(POD_LIST, limit=200)
    write(trace, tmp_path / "slice.jsonl.gz", "jsonl")
    assert read_trace(tmp_path / "slice.jsonl.gz").entries == trace.entries


def test_openb_without_gpu_spec_and_with_a_zero_memory(tmp_path):
    path = tmp_path / "share.csv"
    path.write_text(
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"
        "a,1000,0,1,460,LS,Running,100,200,100\n"
        "b,1000,1,0,0,LS,Pending,110,200,\n"
        "c,1000,1,0,0,LS,Running,120,,130\n"
        "d,1000,1,0,0,BE,Succeeded,150.5,200,151\n"
    )
    trace = read_trace(path)
    assert [(entry.name, entry.arrival_ms, entry.duration_ms) for entry in trace.entries] == [
        ("a", 0, 100_000),
        ("d", 50_500, 49_000),
    ]
    assert sorted(trace.dropped.values()) == [1, 1]
    assert trace.entries[0].requests == Resources(cpu_millicores=1000, gpus=1)
    assert trace.rebased_from_ms == 100_000


def test_openb_names_that_occur_twice_are_told_apart(tmp_path):
    path = tmp_path / "resampled.csv"
    row = "a,1000,1,0,100,200,100\n"
    path.write_text("name,cpu_milli,memory_mib,num_gpu,creation_time,deletion_time,scheduled_time\n" + row * 3)
    assert [entry.name for entry in read_trace(path).entries] == ["a", "a-again-2", "a-again-3"]
